// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {RouterTest} from "./support/RouterTest.sol";

/// @notice `pay`: what it does, who may call it, and each refusal of its terms.
contract PayTest is RouterTest {
    function test_pays_merchant_and_fee_receiver_in_usdc() public {
        paysBoth(address(usdc));
    }

    function test_pays_merchant_and_fee_receiver_in_usdt() public {
        paysBoth(address(usdt));
    }

    function paysBoth(address token) private {
        IPaymentRouter.PaymentOrder memory order = orderIn(token);
        expectPaid(order, payer, order.merchantAmount, order.feeAmount);
        pay(order);
        vm.assertEq(balance(token, payer), FUNDS - 100 * UNIT, "payer");
        vm.assertEq(balance(token, merchant), UNIT + 99_700_000, "merchant");
        vm.assertEq(balance(token, feeReceiver), UNIT + 300_000, "fee receiver");
        vm.assertEq(balance(token, address(router)), 0, "router");
        vm.assertTrue(router.paid(order.sessionKey), "paid");
    }

    function test_fuzz_splits_any_payment_exactly(uint256 amount, uint256 fee, bool inUsdt)
        public
    {
        IPaymentRouter.PaymentOrder memory order = orderIn(inUsdt ? address(usdt) : address(usdc));
        order.merchantAmount = bounded(amount, 1, FUNDS * 9 / 10);
        order.feeAmount = bounded(fee, 0, order.merchantAmount / 100);
        expectPaid(order, payer, order.merchantAmount, order.feeAmount);
        pay(order);
        uint256 total = order.merchantAmount + order.feeAmount;
        vm.assertEq(balance(order.token, payer), FUNDS - total, "payer");
        vm.assertEq(balance(order.token, merchant), UNIT + order.merchantAmount, "merchant");
        vm.assertEq(balance(order.token, feeReceiver), UNIT + order.feeAmount, "fee receiver");
        vm.assertEq(balance(order.token, address(router)), 0, "router");
    }

    function test_con_20_event_names_the_caller_as_payer() public {
        fund(stranger, 100 * UNIT);
        approve(stranger, 100 * UNIT);
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        expectPaid(order, stranger, order.merchantAmount, order.feeAmount);
        payAs(stranger, order);
        vm.assertEq(balance(address(usdc), stranger), 0, "the caller paid");
        vm.assertEq(balance(address(usdc), payer), FUNDS, "nobody else paid");
    }

    function test_refuses_a_session_paid_before() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        pay(order);
        refuses(
            order, abi.encodeWithSelector(IPaymentRouter.AlreadyPaid.selector, order.sessionKey)
        );
    }

    function test_refuses_other_terms_of_a_session_paid_before() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        pay(order);
        order.token = address(usdt);
        order.merchantAmount = 1;
        order.feeAmount = 0;
        refuses(
            order, abi.encodeWithSelector(IPaymentRouter.AlreadyPaid.selector, order.sessionKey)
        );
    }

    function test_two_sessions_are_paid_independently() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        pay(order);
        order.sessionKey = bytes32(uint256(order.sessionKey) + 1);
        pay(order);
        vm.assertEq(balance(address(usdc), merchant), UNIT + 2 * 99_700_000, "merchant");
    }

    function test_con_04_pays_at_the_second_before_the_deadline() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        vm.warp(order.deadline - 1);
        pay(order);
    }

    function test_con_04_pays_exactly_at_the_deadline() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        vm.warp(order.deadline);
        pay(order);
    }

    function test_con_04_refuses_one_second_after_the_deadline() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        vm.warp(order.deadline + 1);
        refuses(
            order,
            abi.encodeWithSelector(
                IPaymentRouter.OrderExpired.selector, order.deadline, order.deadline + 1
            )
        );
    }

    function test_con_12_refuses_amount_zero() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        order.merchantAmount = 0;
        order.feeAmount = 0;
        refuses(order, abi.encodeWithSelector(IPaymentRouter.AmountZero.selector));
    }

    function test_refuses_the_zero_address_as_merchant() public {
        refusesMerchant(address(0));
    }

    function test_refuses_the_router_as_merchant() public {
        refusesMerchant(address(router));
    }

    function refusesMerchant(address account) private {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        order.merchant = account;
        refuses(order, abi.encodeWithSelector(IPaymentRouter.BadMerchant.selector, account));
    }

    function test_refuses_while_paused_and_pays_after() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        vm.prank(owner);
        router.pause();
        refuses(order, abi.encodeWithSelector(IPaymentRouter.RouterPaused.selector));
        vm.prank(owner);
        router.unpause();
        pay(order);
    }

    function test_payer_without_allowance_can_pay_after_approving() public {
        payableAfterFailure(address(usdc), 0);
        payableAfterFailure(address(usdt), 0);
    }

    function test_payer_with_one_unit_too_little_allowance_is_refused() public {
        payableAfterFailure(address(usdc), 99_700_000 - 1);
        payableAfterFailure(address(usdt), 99_700_000 - 1);
    }

    function payableAfterFailure(address token, uint256 allowance) private {
        IPaymentRouter.PaymentOrder memory order = orderIn(token);
        order.sessionKey = keccak256(abi.encode(token));
        approve(payer, 0);
        approve(payer, allowance);
        refuses(
            order,
            abi.encodeWithSelector(
                IPaymentRouter.TransferFailed.selector,
                token,
                payer,
                merchant,
                order.merchantAmount
            )
        );
        vm.assertEq(balance(token, payer), FUNDS, "nothing moved");
        approve(payer, 0);
        approve(payer, 100 * UNIT);
        pay(order);
    }

    function test_payer_without_funds_is_refused() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory signature = signed(order);
        approve(stranger, FUNDS);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentRouter.TransferFailed.selector,
                address(usdc),
                stranger,
                merchant,
                order.merchantAmount
            )
        );
        vm.prank(stranger);
        router.pay(order, signature);
    }

    function test_con_20_merchant_who_pays_the_own_order_is_refused() public {
        fund(merchant, FUNDS);
        approve(merchant, FUNDS);
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory signature = signed(order);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentRouter.MerchantNotPaid.selector, address(usdc), merchant
            )
        );
        vm.prank(merchant);
        router.pay(order, signature);
    }

    function test_con_15_takes_no_ether() public {
        (bool sent,) = address(router).call{value: 1}("");
        vm.assertEq(sent, false, "plain ether was taken");
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory call = abi.encodeCall(IPaymentRouter.pay, (order, signed(order)));
        (sent,) = address(router).call{value: 1}(call);
        vm.assertEq(sent, false, "ether was taken with a payment");
    }
}
