// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {ISettlementRail} from "../../src/interfaces/ISettlementRail.sol";
import {SymbolicTest} from "./SymbolicTest.sol";

/// @notice A rail that keeps everything and says so.
contract KeepingRail {
    function start(ISettlementRail.Delivery calldata delivery, bytes calldata)
        external
        pure
        returns (uint256 spent, uint256 delivered)
    {
        return (delivery.amount, 0);
    }
}

/// @notice For every amount, fee, session and deadline: a payment splits exactly, its fee is at
///         most one percent rounded up, and its session is never paid again.
contract RouterProofs is SymbolicTest {
    address private constant OWNER = address(0xa5);

    IPaymentRouter private router;
    address private rail;

    function setUp() public {
        bytes memory arguments = abi.encode(OWNER, vm.addr(SIGNER_KEY), STRANGER);
        router = IPaymentRouter(deploy("PaymentRouter", arguments));
        rail = address(new KeepingRail());
        vm.prank(OWNER);
        router.addRail(rail);
        deployToken();
        vm.prank(PAYER);
        token.approve(address(router), FUNDS);
    }

    function check_con_11_a_payment_splits_exactly(
        bytes32 sessionKey,
        uint256 merchantAmount,
        uint256 feeAmount,
        uint256 deadline
    ) public {
        IPaymentRouter.PaymentOrder memory order =
            direct(sessionKey, merchantAmount, feeAmount, deadline);
        if (!pays(order)) return;
        assert(token.balanceOf(MERCHANT) == merchantAmount);
        assert(token.balanceOf(FEE_RECEIVER) == feeAmount);
        assert(token.balanceOf(PAYER) == FUNDS - merchantAmount - feeAmount);
        assert(token.balanceOf(address(router)) == 0);
        assert(router.paid(sessionKey));
        assert(merchantAmount != 0 && block.timestamp <= deadline);
    }

    function check_con_11_no_fee_is_above_the_cap(uint256 merchantAmount, uint256 feeAmount)
        public
    {
        if (!pays(direct("session", merchantAmount, feeAmount, block.timestamp))) return;
        assert(feeAmount <= capOf(merchantAmount + feeAmount));
    }

    /// @dev The other direction: nothing lawful is refused.
    function check_con_11_every_fee_up_to_the_cap_is_paid(
        uint256 merchantAmount,
        uint256 feeAmount
    ) public {
        vm.assume(merchantAmount != 0 && merchantAmount <= type(uint128).max);
        vm.assume(feeAmount <= type(uint128).max);
        vm.assume(feeAmount <= capOf(merchantAmount + feeAmount));
        assert(pays(direct("session", merchantAmount, feeAmount, block.timestamp)));
    }

    function check_con_12_amounts_beyond_128_bits_are_refused(
        uint256 merchantAmount,
        uint256 feeAmount
    ) public {
        vm.assume(merchantAmount > type(uint128).max || feeAmount > type(uint128).max);
        assert(!pays(direct("session", merchantAmount, feeAmount, block.timestamp)));
    }

    function check_con_11_a_route_splits_exactly(
        bytes32 sessionKey,
        uint256 amount,
        uint256 feeAmount,
        uint256 merchantAmount
    ) public {
        if (!routes(routed(sessionKey, amount, feeAmount, merchantAmount))) return;
        assert(token.balanceOf(rail) == amount);
        assert(token.balanceOf(FEE_RECEIVER) == feeAmount);
        assert(token.balanceOf(PAYER) == FUNDS - amount - feeAmount);
        assert(token.balanceOf(address(router)) == 0);
        assert(feeAmount <= capOf(amount + feeAmount));
    }

    /// @dev On the same or on any other terms.
    function check_a_session_is_never_paid_twice(
        bytes32 sessionKey,
        uint256[2] memory amounts,
        uint256[2] memory fees,
        uint256[2] memory deadlines
    ) public {
        if (!pays(direct(sessionKey, amounts[0], fees[0], deadlines[0]))) return;
        assert(!pays(direct(sessionKey, amounts[1], fees[1], deadlines[1])));
    }

    function check_what_was_paid_is_never_routed(
        bytes32 sessionKey,
        uint256[2] memory amounts,
        uint256[2] memory fees,
        uint256 merchantAmount
    ) public {
        if (!pays(direct(sessionKey, amounts[0], fees[0], block.timestamp))) return;
        assert(!routes(routed(sessionKey, amounts[1], fees[1], merchantAmount)));
    }

    function check_what_was_routed_is_never_paid(
        bytes32 sessionKey,
        uint256[2] memory amounts,
        uint256[2] memory fees,
        uint256 merchantAmount
    ) public {
        if (!routes(routed(sessionKey, amounts[0], fees[0], merchantAmount))) return;
        assert(!pays(direct(sessionKey, amounts[1], fees[1], block.timestamp)));
    }

    /// @dev Whatever a signature recovers to, if it is not the signer's address.
    function check_con_04_only_the_signers_orders_are_paid(
        uint256 merchantAmount,
        uint256 feeAmount,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) public {
        IPaymentRouter.PaymentOrder memory order =
            direct("session", merchantAmount, feeAmount, block.timestamp);
        vm.assume(ecrecover(router.digestOf(order), v, r, s) != vm.addr(SIGNER_KEY));
        assert(!called(abi.encodeCall(IPaymentRouter.pay, (order, abi.encodePacked(r, s, v)))));
    }

    /// @dev One percent, rounded up.
    function capOf(uint256 total) private pure returns (uint256) {
        return (total * 10_000 + 999_999) / 1_000_000;
    }

    function pays(IPaymentRouter.PaymentOrder memory order) private returns (bool) {
        bytes memory signature = signed(SIGNER_KEY, router.digestOf(order));
        return called(abi.encodeCall(IPaymentRouter.pay, (order, signature)));
    }

    function routes(IPaymentRouter.RoutedOrder memory order) private returns (bool) {
        bytes memory signature = signed(SIGNER_KEY, router.digestOfRouted(order));
        return called(abi.encodeCall(IPaymentRouter.route, (order, signature)));
    }

    function called(bytes memory call) private returns (bool success) {
        vm.prank(PAYER);
        (success,) = address(router).call(call);
    }

    function direct(
        bytes32 sessionKey,
        uint256 merchantAmount,
        uint256 feeAmount,
        uint256 deadline
    ) private view returns (IPaymentRouter.PaymentOrder memory) {
        return IPaymentRouter.PaymentOrder({
            sessionKey: sessionKey,
            merchant: MERCHANT,
            token: address(token),
            merchantAmount: merchantAmount,
            feeAmount: feeAmount,
            feeReceiver: FEE_RECEIVER,
            deadline: deadline
        });
    }

    function routed(bytes32 sessionKey, uint256 amount, uint256 feeAmount, uint256 merchantAmount)
        private
        view
        returns (IPaymentRouter.RoutedOrder memory)
    {
        return IPaymentRouter.RoutedOrder({
            sessionKey: sessionKey,
            merchant: MERCHANT,
            token: address(token),
            amount: amount,
            feeAmount: feeAmount,
            feeReceiver: FEE_RECEIVER,
            deadline: block.timestamp,
            rail: rail,
            settlementChainId: block.chainid + 1,
            settlementToken: address(token),
            merchantAmount: merchantAmount,
            railData: ""
        });
    }
}
