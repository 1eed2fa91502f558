// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDepositCollector} from "../../src/interfaces/IDepositCollector.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {CollectorTest} from "../support/CollectorTest.sol";
import {OddToken} from "../support/OddToken.sol";

/// @notice `recover`, and what else anybody may ask of the deposit collector.
contract DepositRecoveryTest is CollectorTest {
    IDepositCollector.DepositTerms private terms;
    address private deposit;

    function setUp() public override {
        super.setUp();
        terms = termsOf(orderIn(address(usdc)));
        deposit = deposits.addressOf(terms);
    }

    function test_recovers_everything_of_any_token_after_the_time() public {
        fund(deposit, 5 * UNIT);
        vm.warp(terms.refundableAfter + 1);
        recovers(address(usdc), 5 * UNIT);
        recovers(address(usdt), 5 * UNIT);
        // What comes later, too.
        fund(deposit, UNIT);
        recovers(address(usdc), UNIT);
    }

    function test_con_15_recovers_the_chains_own_coin() public {
        vm.deal(deposit, 3 ether);
        vm.warp(terms.refundableAfter + 1);
        expectRecovered(address(0), 3 ether);
        deposits.recover(terms, address(0));
        vm.assertEq(refundTo.balance, 3 ether, "refund address");
        (bool sent,) = deposit.call{value: 1 ether}("");
        vm.assertTrue(sent, "a deployed deposit address takes coins");
        deposits.recover(terms, address(0));
        vm.assertEq(refundTo.balance, 4 ether, "refund address");
    }

    function test_recovers_nothing_until_the_time() public {
        fund(deposit, UNIT);
        vm.warp(terms.refundableAfter);
        vm.expectRevert(
            abi.encodeWithSelector(
                IDepositCollector.NotYetRecoverable.selector,
                terms.refundableAfter,
                terms.refundableAfter
            )
        );
        deposits.recover(terms, address(usdc));
        vm.warp(terms.refundableAfter + 1);
        recovers(address(usdc), UNIT);
    }

    function test_recovers_nothing_from_an_empty_address_or_to_nobody() public {
        vm.warp(terms.refundableAfter + 1);
        nothing(address(usdc));
        nothing(address(0));
        terms.refundTo = address(0);
        fund(deposits.addressOf(terms), UNIT);
        nothing(address(usdc));
    }

    function test_a_refund_address_that_refuses_keeps_the_deposit() public {
        vm.warp(terms.refundableAfter + 1);
        fund(deposit, UNIT);
        vm.prank(issuer);
        usdc.blacklist(refundTo);
        vm.expectRevert(failed(address(usdc), refundTo, UNIT));
        deposits.recover(terms, address(usdc));
        terms.refundTo = address(usdc);
        deposit = deposits.addressOf(terms);
        vm.deal(deposit, 1 ether);
        vm.expectRevert(failed(address(0), address(usdc), 1 ether));
        deposits.recover(terms, address(0));
        vm.assertEq(deposit.balance, 1 ether, "still there");
    }

    function test_con_01_a_token_that_fails_is_not_recovered() public {
        OddToken odd = new OddToken();
        odd.mint(deposit, UNIT);
        vm.warp(terms.refundableAfter + 1);
        odd.misbehave(OddToken.Oddity.ReturnsFalse, refundTo);
        vm.expectRevert(failed(address(odd), refundTo, UNIT));
        deposits.recover(terms, address(odd));
        odd.misbehave(OddToken.Oddity.ReturnsNothing, refundTo);
        recovers(address(odd), UNIT);
    }

    /// @dev A refusal moves nothing, and what is still there once the token behaves is recovered.
    function test_con_01_recovery_survives_every_oddity() public {
        OddToken odd = new OddToken();
        odd.mint(deposit, UNIT);
        vm.warp(terms.refundableAfter + 1);
        address[3] memory victims = [address(0), deposit, refundTo];
        bytes memory call = abi.encodeCall(deposits.recover, (terms, address(odd)));
        uint256 last = uint256(type(OddToken.Oddity).max);
        uint256 refused;
        for (uint256 index = 0; index < 3 * (last + 1); index++) {
            uint256 snapshot = vm.snapshotState();
            odd.misbehave(OddToken.Oddity(index / 3), victims[index % 3]);
            (bool success,) = address(deposits).call{gas: 5_000_000}(call);
            odd.misbehave(OddToken.Oddity.None, address(0));
            uint256 rest = odd.balanceOf(deposit);
            if (!success) {
                refused += 1;
                vm.assertEq(rest, UNIT, "a refusal moved money");
            }
            if (rest != 0) deposits.recover(terms, address(odd));
            vm.assertEq(odd.balanceOf(deposit), 0, "not recoverable");
            vm.revertToState(snapshot);
        }
        vm.assertTrue(refused > 10 && refused < 3 * last - 10, "all refused, or none");
    }

    function test_fuzz_con_16_others_terms_recover_nothing_of_this_deposit(
        IDepositCollector.DepositTerms memory others
    ) public {
        fund(deposit, UNIT);
        others.refundableAfter = bounded(others.refundableAfter, 0, terms.refundableAfter);
        vm.warp(terms.refundableAfter + 1);
        vm.prank(stranger);
        try deposits.recover(others, address(usdc)) {} catch {}
        vm.assertEq(balance(address(usdc), deposit), UNIT, "deposit");
    }

    function test_balances_are_told_row_by_row() public {
        fund(deposit, 7);
        vm.deal(merchant, 9);
        address[] memory accounts = new address[](2);
        (accounts[0], accounts[1]) = (deposit, merchant);
        address[] memory tokens = new address[](3);
        (tokens[0], tokens[1], tokens[2]) = (address(usdc), address(usdt), address(0));
        uint256[] memory amounts = deposits.balances(accounts, tokens);
        uint256[6] memory expected = [uint256(7), 7, 0, UNIT, UNIT, 9];
        for (uint256 index = 0; index < 6; index++) {
            vm.assertEq(amounts[index], expected[index], "amount");
        }
        vm.assertEq(deposits.balances(accounts, new address[](0)).length, 0, "no tokens");
        vm.assertEq(deposits.balances(new address[](0), tokens).length, 0, "no accounts");
    }

    function test_con_16_the_router_is_set_once_by_the_owner() public {
        IDepositCollector fresh = IDepositCollector(
            vm.deployCode("DepositCollector.sol:DepositCollector", abi.encode(owner))
        );
        vm.assertEq(fresh.owner(), owner, "owner");
        vm.assertEq(fresh.router(), address(0), "router");
        vm.expectRevert(abi.encodeWithSelector(IDepositCollector.NotTheOwner.selector, stranger));
        vm.prank(stranger);
        fresh.setRouter(address(router));
        refusesRouter(fresh, address(0));
        refusesRouter(fresh, stranger);
        vm.expectEmit(address(fresh));
        emit IDepositCollector.RouterSet(address(router));
        vm.prank(owner);
        fresh.setRouter(address(router));
        refusesRouter(fresh, address(usdc));
        vm.assertEq(fresh.router(), address(router), "router");
    }

    function refusesRouter(IDepositCollector fresh, address account) private {
        vm.expectRevert(
            abi.encodeWithSelector(IDepositCollector.RouterNotSettable.selector, account)
        );
        vm.prank(owner);
        fresh.setRouter(account);
    }

    function recovers(address token, uint256 amount) private {
        uint256 before = balance(token, refundTo);
        expectRecovered(token, amount);
        vm.prank(stranger);
        vm.assertEq(deposits.recover(terms, token), amount, "amount");
        vm.assertEq(balance(token, refundTo), before + amount, "refund address");
        vm.assertEq(balance(token, deposit), 0, "deposit");
    }

    function expectRecovered(address token, uint256 amount) private {
        vm.expectEmit(address(deposits));
        emit IDepositCollector.Recovered(terms.sessionKey, refundTo, token, amount);
    }

    function nothing(address token) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                IDepositCollector.NothingToRecover.selector, token, terms.refundTo
            )
        );
        deposits.recover(terms, token);
    }

    function failed(address token, address receiver, uint256 amount)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IPaymentRouter.TransferFailed.selector, token, deposit, receiver, amount
        );
    }
}
