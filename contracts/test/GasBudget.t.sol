// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RouterTest} from "./support/RouterTest.sol";

/// @notice Fails when a payment costs more than gas-budget.toml allows. foundry.toml isolates
///         calls, so that the last call is a whole transaction with cold storage.
contract GasBudgetTest is RouterTest {
    event log_named_uint(string key, uint256 value);

    function test_pay_in_usdc_is_within_the_budget() public {
        withinBudget("usdc", address(usdc));
    }

    function test_pay_in_usdt_is_within_the_budget() public {
        withinBudget("usdt", address(usdt));
    }

    function withinBudget(string memory name, address token) private {
        string memory key = string.concat(".pay.", name);
        uint256 budget = vm.parseTomlUint(vm.readFile("gas-budget.toml"), key);
        pay(orderIn(token));
        uint256 used = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint(name, used);
        vm.assertTrue(used > 60_000, "calls are not isolated: this is not a transaction's gas");
        vm.assertLe(used, budget, string.concat("gas of pay() in ", name));
    }
}
