// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IHoldRail} from "../../src/interfaces/IHoldRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {HoldTest, IHolds} from "../support/HoldTest.sol";
import {IRouter, ITether} from "../support/Interfaces.sol";
import {IFiatToken} from "../support/Usdc.sol";
import {Vm} from "../support/Vm.sol";

/// @notice Everybody who can touch a hold, in any order. Keeps the books beside it.
contract HoldWorld {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant SIGNER_KEY = 0x1111;
    uint256 public constant SESSIONS = 8;

    IRouter private immutable router;
    IHolds private immutable rail;
    IFiatToken private immutable usdc;
    ITether private immutable usdt;
    address private immutable issuer;
    address private immutable feeReceiver;
    address[] private people;

    mapping(bytes32 sessionKey => uint256) public authorized;
    mapping(bytes32 sessionKey => uint256) public captured;
    mapping(bytes32 sessionKey => uint256) public givenBack;
    uint256 public donated;
    uint256 public outOfTime;
    uint256 public byStrangers;

    /// @param people_ Payer, merchant, operator, and two who have no business here.
    constructor(
        IRouter router_,
        IHolds rail_,
        IFiatToken usdc_,
        ITether usdt_,
        address issuer_,
        address feeReceiver_,
        address[] memory people_
    ) {
        (router, rail, usdc, usdt) = (router_, rail_, usdc_, usdt_);
        (issuer, feeReceiver, people) = (issuer_, feeReceiver_, people_);
    }

    function sessionKey(uint256 index) public pure returns (bytes32) {
        return keccak256(abi.encode("session", index % SESSIONS));
    }

    function authorize(uint256 session, uint256 amount, uint256 delay, uint256 fee, bool inUsdt)
        external
    {
        address token = inUsdt ? address(usdt) : address(usdc);
        IPaymentRouter.RoutedOrder memory order = IPaymentRouter.RoutedOrder({
            sessionKey: sessionKey(session),
            merchant: people[1],
            token: token,
            amount: 1000 + amount % 1_000e6,
            feeAmount: 0,
            feeReceiver: address(0),
            deadline: block.timestamp,
            rail: address(rail),
            settlementChainId: block.chainid,
            settlementToken: token,
            merchantAmount: 1,
            railData: abi.encode(
                block.timestamp + delay % 1 days, fee % 10_001, feeReceiver, people[2]
            )
        });
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SIGNER_KEY, router.digestOfRouted(order));
        vm.prank(people[0]);
        try router.route(order, abi.encodePacked(r, s, v)) {
            authorized[order.sessionKey] += order.amount;
        } catch {}
    }

    function capture(uint256 session, uint256 amount, uint256 who) external {
        bytes32 key = sessionKey(session);
        IHoldRail.Hold memory hold = rail.holds(key);
        // One more than what waits is tried too.
        amount = amount % (uint256(hold.remaining) + 2);
        vm.prank(people[who % people.length]);
        try rail.capture(key, amount) {
            captured[key] += amount;
            if (block.timestamp >= hold.captureBefore) outOfTime += 1;
            strangers(who);
        } catch {}
    }

    function void(uint256 session, uint256 who) external {
        bytes32 key = sessionKey(session);
        uint256 rest = rail.holds(key).remaining;
        vm.prank(people[who % people.length]);
        try rail.void(key) {
            givenBack[key] += rest;
            strangers(who);
        } catch {}
    }

    function reclaim(uint256 session, uint256 who) external {
        bytes32 key = sessionKey(session);
        IHoldRail.Hold memory hold = rail.holds(key);
        vm.prank(people[who % people.length]);
        try rail.reclaim(key) {
            givenBack[key] += hold.remaining;
            if (block.timestamp < hold.captureBefore) outOfTime += 1;
        } catch {}
    }

    function issuerSwitches(uint256 what, uint256 basisPoints) external {
        vm.startPrank(issuer);
        if (what % 4 == 0) usdt.setParams(basisPoints % 20, 1);
        if (what % 4 == 1) usdt.setParams(0, 0);
        if (what % 4 == 2) usdc.blacklist(feeReceiver);
        if (what % 4 == 3) usdc.unBlacklist(feeReceiver);
        vm.stopPrank();
    }

    function donate(uint256 amount) external {
        vm.prank(issuer);
        usdc.mint(address(rail), 1 + amount % 1e6);
        donated += 1 + amount % 1e6;
    }

    function wait(uint256 delay) external {
        vm.warp(block.timestamp + 1 + delay % 6 hours);
    }

    function strangers(uint256 who) private {
        if (who % people.length != 1 && who % people.length != 2) byStrangers += 1;
    }
}

/// @notice What holds whatever is done to a hold.
contract HoldInvariantsTest is HoldTest {
    HoldWorld private world;
    address private outsider = named("outsider");

    function setUp() public override {
        super.setUp();
        address[] memory people = new address[](5);
        (people[0], people[1], people[2]) = (payer, merchant, operator);
        (people[3], people[4]) = (stranger, outsider);
        world = new HoldWorld(router, rail, usdc, usdt, issuer, feeReceiver, people);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    /// @dev Whatever was done, a fresh hold can be made, captured in part, and taken back.
    function afterInvariant() external {
        vm.prank(issuer);
        usdc.unBlacklist(feeReceiver);
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        order.deadline = block.timestamp;
        order.railData = abi.encode(block.timestamp + 1, FEE_PPM, feeReceiver, operator);
        route(order);
        vm.prank(operator);
        rail.capture(SESSION, UNIT);
        vm.warp(block.timestamp + 1);
        rail.reclaim(SESSION);
    }

    function invariant_con_15_the_balance_is_what_open_holds_are_owed() external view {
        uint256 usdcHeld;
        uint256 usdtHeld;
        for (uint256 index = 0; index < world.SESSIONS(); index++) {
            IHoldRail.Hold memory hold = rail.holds(world.sessionKey(index));
            vm.assertEq(hold.open, hold.remaining != 0, "open");
            if (hold.token == address(usdc)) usdcHeld += hold.remaining;
            else usdtHeld += hold.remaining;
        }
        vm.assertEq(rail.owed(address(usdc)), usdcHeld, "owed usdc");
        vm.assertEq(rail.owed(address(usdt)), usdtHeld, "owed usdt");
        vm.assertEq(usdc.balanceOf(address(rail)), usdcHeld + world.donated(), "usdc");
        vm.assertEq(usdt.balanceOf(address(rail)), usdtHeld, "usdt");
    }

    function invariant_captured_and_given_back_never_exceed_what_was_authorized() external view {
        for (uint256 index = 0; index < world.SESSIONS(); index++) {
            bytes32 key = world.sessionKey(index);
            IHoldRail.Hold memory hold = rail.holds(key);
            vm.assertEq(uint256(hold.authorized), world.authorized(key), "authorized");
            vm.assertEq(
                world.captured(key) + world.givenBack(key) + hold.remaining,
                world.authorized(key),
                "captured + given back + remaining"
            );
        }
    }

    function invariant_con_04_nothing_happens_outside_its_time() external view {
        vm.assertEq(world.outOfTime(), 0, "out of time");
    }

    function invariant_con_16_nobody_else_decides_or_receives() external view {
        vm.assertEq(world.byStrangers(), 0, "decided by strangers");
        address[4] memory others = [stranger, outsider, operator, address(router)];
        for (uint256 index = 0; index < others.length; index++) {
            vm.assertEq(usdc.balanceOf(others[index]), 0, "usdc");
            vm.assertEq(usdt.balanceOf(others[index]), 0, "usdt");
        }
    }

    function invariant_con_11_sum_of_usdc_is_conserved() external view {
        uint256 sum = usdc.balanceOf(payer) + usdc.balanceOf(merchant)
            + usdc.balanceOf(feeReceiver) + usdc.balanceOf(address(rail)) + usdc.balanceOf(issuer);
        vm.assertEq(sum, usdc.totalSupply(), "sum");
    }
}
