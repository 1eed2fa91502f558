// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {OddToken} from "./support/OddToken.sol";
import {RouterTest} from "./support/RouterTest.sol";

/// @notice The fee: its cap, its sizes, and that it never stands between payer and merchant.
contract FeeTest is RouterTest {
    uint256 private constant LARGEST = type(uint128).max;

    OddToken private odd;

    function setUp() public override {
        super.setUp();
        odd = new OddToken();
        odd.mint(payer, type(uint256).max / 2);
        vm.prank(payer);
        odd.approve(address(router), type(uint256).max);
    }

    function test_con_11_pays_without_fee_and_without_fee_receiver() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        order.feeAmount = 0;
        order.feeReceiver = address(0);
        expectPaid(order, payer, order.merchantAmount, 0);
        pay(order);
    }

    function test_con_11_fee_of_one_unit() public {
        paysWithFee(1_000_000, 1);
    }

    function test_con_11_fee_at_the_cap_and_one_above() public {
        // 1 % of 100.000000 in total.
        paysWithFee(99_000_000, 1_000_000);
        refusesFee(98_999_999, 1_000_001, 1_000_000);
    }

    function test_con_11_cap_is_rounded_up() public {
        // 1 % of 101 in total is 1.01: a fee of 2 is within the cap rounded up, 3 is not.
        paysWithFee(99, 2);
        refusesFee(98, 3, 2);
        paysWithFee(1, 1);
        refusesFee(1, 2, 1);
    }

    function test_con_11_fuzz_cap_is_exact(uint256 amount) public {
        amount = bounded(amount, 1, LARGEST / 200);
        // The largest fee f with f <= ceil((amount + f) / 100), so 99 f < amount + 100.
        uint256 fee = amount / 99 + 1;
        paysWithFee(amount, fee);
        refusesFee(amount, fee + 1, (amount + fee + 1 + 99) / 100);
    }

    function test_con_12_amounts_up_to_128_bits() public {
        paysWithFee(1, 0);
        paysWithFee(2 ** 96, uint256(2 ** 96) / 100);
        paysWithFee(LARGEST, LARGEST / 100);
    }

    function test_con_12_refuses_amounts_above_128_bits() public {
        refusesTooLarge(LARGEST + 1, 0, LARGEST + 1);
        refusesTooLarge(type(uint256).max, 0, type(uint256).max);
        refusesTooLarge(1, LARGEST + 1, LARGEST + 1);
        refusesTooLarge(1, type(uint256).max, type(uint256).max);
        refusesTooLarge(type(uint256).max, type(uint256).max, type(uint256).max);
    }

    function test_con_11_refuses_bad_fee_receivers_before_money_moves() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        order.feeReceiver = address(0);
        refuses(order, abi.encodeWithSelector(IPaymentRouter.BadFeeReceiver.selector, address(0)));
        order.feeReceiver = address(router);
        refuses(
            order, abi.encodeWithSelector(IPaymentRouter.BadFeeReceiver.selector, address(router))
        );
    }

    function test_con_11_merchant_is_paid_when_the_fee_receiver_is_blacklisted() public {
        vm.prank(issuer);
        usdc.blacklist(feeReceiver);
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        expectFeeSkipped(order);
        expectPaid(order, payer, order.merchantAmount, 0);
        pay(order);
        vm.assertEq(balance(address(usdc), merchant), UNIT + order.merchantAmount, "merchant");
        vm.assertEq(balance(address(usdc), payer), FUNDS - order.merchantAmount, "payer");
        vm.assertEq(balance(address(usdc), feeReceiver), UNIT, "fee receiver");
    }

    function test_con_11_merchant_is_paid_however_the_fee_fails() public {
        skipsFee(OddToken.Oddity.Reverts);
        skipsFee(OddToken.Oddity.RevertsWithHugeData);
        skipsFee(OddToken.Oddity.ReturnsFalse);
        skipsFee(OddToken.Oddity.BurnsAllGas);
    }

    function test_con_11_fee_with_too_little_allowance_is_refused_whole() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        approve(payer, 0);
        approve(payer, 100 * UNIT - 1);
        refuses(
            order,
            abi.encodeWithSelector(
                IPaymentRouter.FeeNotFunded.selector, order.feeAmount - 1, order.feeAmount
            )
        );
        vm.assertEq(balance(address(usdc), merchant), UNIT, "merchant");
    }

    function test_con_11_fee_with_too_little_balance_is_refused_whole() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        vm.prank(payer);
        usdc.transfer(stranger, FUNDS - 100 * UNIT + 1);
        refuses(
            order,
            abi.encodeWithSelector(
                IPaymentRouter.FeeNotFunded.selector, order.feeAmount - 1, order.feeAmount
            )
        );
        vm.assertEq(balance(address(usdc), merchant), UNIT, "merchant");
    }

    /// @dev A callee gets 63/64 of the gas, so a payer could hope to starve the fee's transfer
    ///      and keep the rest of the call alive. What is left would not pay for the events.
    function test_con_11_no_gas_limit_skips_the_fee() public {
        starve(address(usdc));
        starve(address(usdt));
    }

    function starve(address token) private {
        IPaymentRouter.PaymentOrder memory order = orderIn(token);
        uint256 payments;
        for (uint256 gas = 70_000; gas < 125_000; gas += 150) {
            order.sessionKey = keccak256(abi.encode(token, gas));
            bytes memory signature = signed(order);
            uint256 before = balance(token, feeReceiver);
            vm.prank(payer);
            try router.pay{gas: gas}(order, signature) {
                payments += 1;
                before += order.feeAmount;
            } catch {}
            vm.assertEq(balance(token, feeReceiver), before, "fee and payment go together");
        }
        vm.assertTrue(payments > 10, "no gas limit was enough");
    }

    function skipsFee(OddToken.Oddity oddity) private {
        IPaymentRouter.PaymentOrder memory order = oddOrder(99_700_000, 300_000);
        odd.misbehave(oddity, feeReceiver);
        (uint256 payerBefore, uint256 merchantBefore) =
            (odd.balanceOf(payer), odd.balanceOf(merchant));
        bytes memory signature = signed(order);
        expectFeeSkipped(order);
        expectPaid(order, payer, order.merchantAmount, 0);
        vm.prank(payer);
        router.pay{gas: 10_000_000}(order, signature);
        vm.assertEq(odd.balanceOf(merchant), merchantBefore + order.merchantAmount, "merchant");
        vm.assertEq(odd.balanceOf(payer), payerBefore - order.merchantAmount, "payer");
        vm.assertEq(odd.balanceOf(address(router)), 0, "router");
    }

    function paysWithFee(uint256 merchantAmount, uint256 feeAmount) private {
        IPaymentRouter.PaymentOrder memory order = oddOrder(merchantAmount, feeAmount);
        uint256 before = odd.balanceOf(feeReceiver);
        expectPaid(order, payer, merchantAmount, feeAmount);
        pay(order);
        vm.assertEq(odd.balanceOf(feeReceiver), before + feeAmount, "fee receiver");
    }

    function refusesFee(uint256 merchantAmount, uint256 feeAmount, uint256 cap) private {
        refuses(
            oddOrder(merchantAmount, feeAmount),
            abi.encodeWithSelector(IPaymentRouter.FeeAboveCap.selector, feeAmount, cap)
        );
    }

    function refusesTooLarge(uint256 merchantAmount, uint256 feeAmount, uint256 evidence) private {
        refuses(
            oddOrder(merchantAmount, feeAmount),
            abi.encodeWithSelector(IPaymentRouter.AmountTooLarge.selector, evidence)
        );
    }

    /// @dev An order in the odd token, in a session of its own.
    function oddOrder(uint256 merchantAmount, uint256 feeAmount)
        private
        returns (IPaymentRouter.PaymentOrder memory order)
    {
        order = orderIn(address(odd));
        sessions += 1;
        order.sessionKey = bytes32(sessions);
        order.merchantAmount = merchantAmount;
        order.feeAmount = feeAmount;
    }

    uint256 private sessions;
}
