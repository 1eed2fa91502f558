// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDepositCollector} from "../src/interfaces/IDepositCollector.sol";
import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {CollectorTest} from "./support/CollectorTest.sol";

/// @notice Fails when a payment costs more than gas-budget.toml allows. foundry.toml isolates
///         calls, so that the last call is a whole transaction with cold storage.
contract GasBudgetTest is CollectorTest {
    event log_named_uint(string key, uint256 value);

    function test_pay_in_usdc_is_within_the_budget() public {
        pay(orderIn(address(usdc)));
        withinBudget("pay.usdc");
    }

    function test_pay_in_usdt_is_within_the_budget() public {
        pay(orderIn(address(usdt)));
        withinBudget("pay.usdt");
    }

    function test_bare_transfer_is_what_the_readme_compares_with() public {
        vm.prank(payer);
        usdc.transfer(merchant, 99_700_000);
        withinBudget("transfer.usdc");
    }

    function test_payment_by_authorization_is_within_the_budget() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        payWith(order, payer, erc3009, data3009(order));
        withinBudget("erc3009.usdc");
    }

    function test_payment_by_permit2_is_within_the_budget() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        payWith(order, payer, permit2, dataPermit2(order, 0));
        withinBudget("permit2.usdc_fresh_nonce_word");
        order.sessionKey = keccak256("second");
        payWith(order, payer, permit2, dataPermit2(order, 1));
        withinBudget("permit2.usdc");
    }

    function test_payment_by_permit2_in_usdt_is_within_the_budget() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdt));
        payWith(order, payer, permit2, dataPermit2(order, 0));
        withinBudget("permit2.usdt_fresh_nonce_word");
        order.sessionKey = keccak256("second");
        payWith(order, payer, permit2, dataPermit2(order, 1));
        withinBudget("permit2.usdt");
    }

    function test_payment_by_permit_is_within_the_budget() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory data = dataPermit(address(usdc), order.merchantAmount + order.feeAmount);
        bytes memory signature = signed(order);
        vm.prank(payer);
        router.payWith(order, signature, payer, permit, data);
        withinBudget("permit.usdc");
    }

    function test_sweep_of_a_deposit_is_within_the_budget() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        IDepositCollector.DepositTerms memory terms = termsOf(order);
        address deposit = deposits.addressOf(terms);
        fund(deposit, 100 * UNIT);
        payWith(order, deposit, address(deposits), abi.encode(terms));
        withinBudget("deposit.usdc");
    }

    function withinBudget(string memory name) private {
        uint256 budget = vm.parseTomlUint(vm.readFile("gas-budget.toml"), string.concat(".", name));
        uint256 used = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint(name, used);
        vm.assertTrue(used > 40_000, "calls are not isolated: this is not a transaction's gas");
        vm.assertLe(used, budget, string.concat("gas of ", name));
    }
}
