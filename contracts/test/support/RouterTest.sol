// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {IRouter, ITether} from "./Interfaces.sol";
import {IFiatToken, Usdc} from "./Usdc.sol";
import {Vm} from "./Vm.sol";

/// @notice A router, both stablecoins, a funded payer who approved it, and a valid order.
abstract contract RouterTest {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint256 internal constant SIGNER_KEY = 0x1111;
    uint256 internal constant NOW = 1_800_000_000;
    uint256 internal constant UNIT = 1e6;
    uint256 internal constant FUNDS = 1_000_000 * UNIT;
    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;

    address internal owner = named("owner");
    address internal payer = named("payer");
    address internal merchant = named("merchant");
    address internal feeReceiver = named("fee receiver");
    address internal issuer = named("issuer");
    address internal stranger = named("stranger");

    IRouter internal router;
    IFiatToken internal usdc;
    ITether internal usdt;

    function setUp() public virtual {
        vm.warp(NOW);
        router = deployRouter(owner, vm.addr(SIGNER_KEY));
        usdc = Usdc.deploy(named("proxy admin"), issuer);
        usdt = deployTether(issuer);
        fund(payer, FUNDS);
        fund(merchant, UNIT);
        fund(feeReceiver, UNIT);
        approve(payer, FUNDS);
    }

    function deployRouter(address owner_, address signer) internal returns (IRouter) {
        return deployRouter(owner_, signer, PERMIT2);
    }

    function deployRouter(address owner_, address signer, address permit2_)
        internal
        returns (IRouter)
    {
        bytes memory arguments = abi.encode(owner_, signer, permit2_);
        return IRouter(vm.deployCode("PaymentRouter.sol:PaymentRouter", arguments));
    }

    function deployTether(address owner_) internal returns (ITether token) {
        token = ITether(vm.deployCode("TetherDouble.sol:TetherDouble", abi.encode(100 * FUNDS)));
        token.transfer(owner_, 100 * FUNDS);
        token.transferOwnership(owner_);
    }

    function named(string memory name) internal returns (address account) {
        account = address(uint160(uint256(keccak256(bytes(name)))));
        vm.label(account, name);
    }

    function fund(address account, uint256 amount) internal {
        vm.startPrank(issuer);
        usdc.mint(account, amount);
        usdt.transfer(account, amount);
        vm.stopPrank();
    }

    function approve(address account, uint256 amount) internal {
        vm.startPrank(account);
        usdc.approve(address(router), amount);
        usdt.approve(address(router), amount);
        vm.stopPrank();
    }

    /// @dev 99.70 to the merchant and 0.30 of fee, payable for one hour.
    function orderIn(address token) internal view returns (IPaymentRouter.PaymentOrder memory) {
        return IPaymentRouter.PaymentOrder({
            sessionKey: keccak256("session"),
            merchant: merchant,
            token: token,
            merchantAmount: 99_700_000,
            feeAmount: 300_000,
            feeReceiver: feeReceiver,
            deadline: NOW + 1 hours
        });
    }

    function signed(IPaymentRouter.PaymentOrder memory order)
        internal
        view
        returns (bytes memory)
    {
        return signedWith(SIGNER_KEY, router.digestOf(order));
    }

    function signedWith(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function pay(IPaymentRouter.PaymentOrder memory order) internal {
        payAs(payer, order);
    }

    function payAs(address account, IPaymentRouter.PaymentOrder memory order) internal {
        bytes memory signature = signed(order);
        vm.prank(account);
        router.pay(order, signature);
    }

    function refuses(IPaymentRouter.PaymentOrder memory order, bytes memory reason) internal {
        refuses(order, signed(order), reason);
    }

    /// @dev A refusal reverts with exactly this evidence and leaves the session unpaid.
    function refuses(
        IPaymentRouter.PaymentOrder memory order,
        bytes memory signature,
        bytes memory reason
    ) internal {
        bool paidBefore = router.paid(order.sessionKey);
        vm.expectRevert(reason);
        vm.prank(payer);
        router.pay(order, signature);
        vm.assertEq(router.paid(order.sessionKey), paidBefore, "a refusal changed paid");
    }

    function expectPaid(
        IPaymentRouter.PaymentOrder memory order,
        address by,
        uint256 merchantReceived,
        uint256 feeReceived
    ) internal {
        vm.expectEmit(address(router));
        emit IPaymentRouter.Paid(
            order.sessionKey,
            by,
            order.merchant,
            order.token,
            merchantReceived,
            feeReceived,
            order.feeReceiver
        );
    }

    function expectFeeSkipped(IPaymentRouter.PaymentOrder memory order) internal {
        vm.expectEmit(address(router));
        emit IPaymentRouter.FeeSkipped(
            order.sessionKey, order.feeReceiver, order.token, order.feeAmount
        );
    }

    function balance(address token, address account) internal view returns (uint256) {
        return IERC20(token).balanceOf(account);
    }

    function bounded(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        if (low == 0 && high == type(uint256).max) return value;
        return low + value % (high - low + 1);
    }
}
