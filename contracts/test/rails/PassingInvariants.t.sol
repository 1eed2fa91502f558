// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {Cctp} from "../support/Cctp.sol";
import {IRouter, ITether} from "../support/Interfaces.sol";
import {RailTest} from "../support/RailTest.sol";
import {IUniswapFactory, LiquidityProvider, Uniswap} from "../support/Uniswap.sol";
import {IFiatToken, Usdc} from "../support/Usdc.sol";
import {Vm} from "../support/Vm.sol";

/// @notice Payers who swap and burn, and people who send tokens to the wrong place.
contract PassingWorld {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant SIGNER_KEY = 0x1111;
    uint32 private constant THERE = 6;

    IRouter private immutable router;
    IFiatToken private immutable usdc;
    ITether private immutable usdt;
    address private immutable swapRail;
    address private immutable cctpRail;
    address private immutable payer;
    address private immutable issuer;
    address private immutable merchant;

    uint256 public sessions;
    mapping(address token => uint256) public promised;
    mapping(address rail => uint256) public donated;
    uint256 public burnt;

    constructor(
        IRouter router_,
        IFiatToken usdc_,
        ITether usdt_,
        address swapRail_,
        address cctpRail_,
        address[3] memory people
    ) {
        (router, usdc, usdt) = (router_, usdc_, usdt_);
        (swapRail, cctpRail) = (swapRail_, cctpRail_);
        (payer, issuer, merchant) = (people[0], people[1], people[2]);
    }

    function swap(uint256 amount, uint256 spare, uint256 poolFee, bool back) external {
        IPaymentRouter.RoutedOrder memory order = orderOf(swapRail, 1 + amount % 1_000e6);
        order.token = back ? address(usdc) : address(usdt);
        order.settlementToken = back ? address(usdt) : address(usdc);
        order.amount += spare % (order.amount / 100 + 3);
        order.railData = abi.encode(poolFee % 8 == 0 ? poolFee : Uniswap.POOL_FEE);
        if (route(order)) promised[order.settlementToken] += order.merchantAmount;
    }

    function cross(uint256 amount, uint256 maxFee, uint256 domain) external {
        IPaymentRouter.RoutedOrder memory order = orderOf(cctpRail, 1 + amount % 1_000e6);
        order.settlementChainId = block.chainid + 1;
        order.amount += maxFee % 100;
        order.railData =
            abi.encode(domain % 8 == 0 ? uint32(domain) : THERE, maxFee % 100, uint32(2000));
        if (route(order)) burnt += order.amount;
    }

    function donate(bool toSwap, uint256 amount) external {
        address rail = toSwap ? swapRail : cctpRail;
        vm.prank(issuer);
        usdc.mint(rail, 1 + amount % 1e6);
        donated[rail] += 1 + amount % 1e6;
    }

    function issuerSwitches(uint256 basisPoints) external {
        vm.prank(issuer);
        usdt.setParams(basisPoints % 4 == 0 ? basisPoints % 20 : 0, 1);
    }

    function orderOf(address rail, uint256 amount)
        private
        returns (IPaymentRouter.RoutedOrder memory)
    {
        sessions += 1;
        return IPaymentRouter.RoutedOrder({
            sessionKey: bytes32(sessions),
            merchant: merchant,
            token: address(usdc),
            amount: amount,
            feeAmount: 0,
            feeReceiver: address(0),
            deadline: block.timestamp,
            rail: rail,
            settlementChainId: block.chainid,
            settlementToken: address(usdc),
            merchantAmount: amount,
            railData: ""
        });
    }

    function route(IPaymentRouter.RoutedOrder memory order) private returns (bool success) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SIGNER_KEY, router.digestOfRouted(order));
        vm.prank(payer);
        try router.route(order, abi.encodePacked(r, s, v)) {
            success = true;
        } catch {}
    }
}

/// @notice The rails that money only passes through hold nothing, whatever is done.
contract PassingInvariantsTest is RailTest {
    PassingWorld private world;
    Cctp.Side private here;
    address private swapRouter;
    address private swapRail;
    address private cctpRail;
    uint256 private minted;

    function setUp() public override {
        super.setUp();
        deploySwap();
        deployCctp();
        world = new PassingWorld(router, usdc, usdt, swapRail, cctpRail, [payer, issuer, merchant]);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    function invariant_con_15_passing_rails_hold_nothing() external view {
        vm.assertEq(usdc.balanceOf(swapRail), world.donated(swapRail), "swap usdc");
        vm.assertEq(usdc.balanceOf(cctpRail), world.donated(cctpRail), "cctp usdc");
        vm.assertEq(usdt.balanceOf(swapRail), 0, "swap usdt");
        vm.assertEq(usdt.balanceOf(cctpRail), 0, "cctp usdt");
        vm.assertEq(usdc.balanceOf(address(here.messenger)), 0, "messenger");
    }

    function invariant_no_allowance_is_left_behind() external view {
        vm.assertEq(usdc.allowance(swapRail, swapRouter), 0, "swap usdc");
        vm.assertEq(usdt.allowance(swapRail, swapRouter), 0, "swap usdt");
        vm.assertEq(usdc.allowance(cctpRail, address(here.messenger)), 0, "cctp usdc");
    }

    function invariant_con_11_merchants_get_what_was_promised_to_the_unit() external view {
        vm.assertEq(
            usdc.balanceOf(merchant), UNIT + world.promised(address(usdc)), "merchant's usdc"
        );
        vm.assertEq(
            usdt.balanceOf(merchant), UNIT + world.promised(address(usdt)), "merchant's usdt"
        );
    }

    function invariant_con_20_what_is_burnt_is_what_was_told() external view {
        uint256 donated = world.donated(swapRail) + world.donated(cctpRail);
        vm.assertEq(usdc.totalSupply(), minted + donated - world.burnt(), "supply");
    }

    /// @dev Whatever was done, a fresh payment of each kind goes through.
    function afterInvariant() external {
        vm.prank(issuer);
        usdt.setParams(0, 0);
        uint256 before = world.promised(address(usdc));
        world.swap(50e6, 10e6, 1, false);
        vm.assertTrue(world.promised(address(usdc)) > before, "no swap goes through");
        before = world.burnt();
        world.cross(50e6, 5, 1);
        vm.assertTrue(world.burnt() > before, "no crossing goes through");
    }

    function deploySwap() private {
        IUniswapFactory factory;
        (factory, swapRouter) = Uniswap.deploy();
        LiquidityProvider provider = new LiquidityProvider();
        fund(address(provider), 2 * FUNDS);
        provider.provide(Uniswap.openPool(factory, address(usdc), address(usdt)), 1e13);
        swapRail = vm.deployCode("SwapRail.sol:SwapRail", abi.encode(address(router), swapRouter));
        allow(swapRail);
        minted = usdc.totalSupply();
    }

    function deployCctp() private {
        IFiatToken remote = Usdc.deploy(named("proxy admin"), issuer);
        here = Cctp.deploy(7, usdc, issuer, owner, stranger);
        Cctp.Side memory there = Cctp.deploy(6, remote, issuer, owner, stranger);
        Cctp.link(here, there, owner);
        cctpRail = vm.deployCode(
            "CctpRail.sol:CctpRail", abi.encode(address(router), address(here.messenger))
        );
        allow(cctpRail);
    }
}
