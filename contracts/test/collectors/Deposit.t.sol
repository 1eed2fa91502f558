// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDepositCollector} from "../../src/interfaces/IDepositCollector.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {ITokenCollector} from "../../src/interfaces/ITokenCollector.sol";
import {CollectorTest} from "../support/CollectorTest.sol";

/// @notice Payment by a plain transfer to an address that commits to the session.
contract DepositTest is CollectorTest {
    function test_a_plain_transfer_pays_and_anybody_sweeps_it() public {
        sweeps(address(usdc), "first");
        sweeps(address(usdt), "second");
    }

    function sweeps(address token, string memory session) private {
        IPaymentRouter.PaymentOrder memory order = orderIn(token);
        order.sessionKey = keccak256(bytes(session));
        address deposit = deposited(order, 100 * UNIT);
        expectPaid(order, deposit, order.merchantAmount, order.feeAmount);
        sweep(order, deposit);
        movedExactly(order, deposit, 100 * UNIT, order.feeAmount);
    }

    function test_con_11_sweeps_without_fee() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        address deposit = deposited(order, 100 * UNIT);
        order.feeAmount = 0;
        IDepositCollector.DepositTerms memory terms = termsOf(order);
        order.feeReceiver = stranger;
        expectPaid(order, deposit, order.merchantAmount, 0);
        payWith(order, deposit, address(deposits), abi.encode(terms));
        vm.assertEq(balance(address(usdc), deposit), 300_000, "the rest stays");
    }

    function test_sweeps_a_second_session_of_a_wallet_that_exists() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        address deposit = deposited(order, 100 * UNIT);
        vm.warp(NOW + 1 days + 1);
        deposits.recover(termsOf(order), address(usdc));
        vm.assertTrue(deposit.code.length != 0, "deployed by the recovery");
        fund(deposit, 100 * UNIT);
        order.deadline = NOW + 2 days;
        sweep(order, deposit);
        vm.assertEq(balance(address(usdc), merchant), UNIT + 99_700_000, "merchant");
    }

    function test_the_address_is_a_clone_that_everybody_can_compute() public view {
        IDepositCollector.DepositTerms memory terms = termsOf(orderIn(address(usdc)));
        bytes32 code = keccak256(
            abi.encodePacked(
                hex"3d602d80600a3d3981f3363d3d373d3d3d363d73",
                deposits.walletImplementation(),
                hex"5af43d82803e903d91602b57fd5bf3"
            )
        );
        bytes32 salt = keccak256(abi.encode(terms));
        bytes32 hash = keccak256(abi.encodePacked(bytes1(0xff), address(deposits), salt, code));
        vm.assertEq(deposits.addressOf(terms), address(uint160(uint256(hash))), "address");
        // The implementation is the first contract that the collector made.
        bytes32 first =
            keccak256(abi.encodePacked(bytes2(0xd694), address(deposits), bytes1(0x01)));
        vm.assertEq(
            deposits.walletImplementation(), address(uint160(uint256(first))), "implementation"
        );
    }

    function test_each_term_changes_the_address() public view {
        address original = deposits.addressOf(termsOf(orderIn(address(usdc))));
        for (uint256 member = 0; member < 7; member++) {
            IDepositCollector.DepositTerms memory terms = changed(member);
            vm.assertTrue(deposits.addressOf(terms) != original, "the same address");
        }
    }

    function test_refuses_an_order_that_differs_from_the_terms() public {
        // The last two terms, of the refund, are no terms of an order.
        for (uint256 member = 0; member < 5; member++) {
            IDepositCollector.DepositTerms memory terms = changed(member);
            address deposit = deposits.addressOf(terms);
            fund(deposit, 100 * UNIT);
            refusesWith(
                orderIn(address(usdc)),
                deposit,
                address(deposits),
                abi.encode(terms),
                abi.encodeWithSelector(IDepositCollector.OrderDiffers.selector, terms.sessionKey)
            );
        }
    }

    function test_refuses_to_take_from_any_other_account() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        address deposit = deposited(order, 100 * UNIT);
        vm.prank(payer);
        usdc.approve(address(deposits), FUNDS);
        refusesWith(
            order,
            payer,
            address(deposits),
            abi.encode(termsOf(order)),
            abi.encodeWithSelector(IDepositCollector.NotTheDeposit.selector, payer, deposit)
        );
    }

    function test_refuses_a_deposit_that_is_too_small() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        address deposit = deposited(order, order.merchantAmount - 1);
        refusesWith(
            order,
            deposit,
            address(deposits),
            abi.encode(termsOf(order)),
            abi.encodeWithSelector(
                IPaymentRouter.TransferFailed.selector,
                address(usdc),
                deposit,
                merchant,
                order.merchantAmount
            )
        );
        fund(deposit, order.feeAmount);
        refusesWith(
            order,
            deposit,
            address(deposits),
            abi.encode(termsOf(order)),
            abi.encodeWithSelector(
                IPaymentRouter.FeeNotFunded.selector, order.feeAmount - 1, order.feeAmount
            )
        );
        fund(deposit, 1);
        sweep(order, deposit);
    }

    function test_con_11_a_fee_that_cannot_be_delivered_can_be_recovered() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        address deposit = deposited(order, 100 * UNIT);
        vm.prank(issuer);
        usdc.blacklist(feeReceiver);
        expectFeeSkipped(order);
        expectPaid(order, deposit, order.merchantAmount, 0);
        sweep(order, deposit);
        movedExactly(order, deposit, 100 * UNIT, 0);
        vm.warp(NOW + 1 days + 1);
        deposits.recover(termsOf(order), address(usdc));
        vm.assertEq(balance(address(usdc), refundTo), order.feeAmount, "refund address");
    }

    function test_pays_through_a_rail_and_gets_the_rest_back() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        IDepositCollector.DepositTerms memory terms = termsOf(orderIn(address(usdc)));
        address deposit = deposits.addressOf(terms);
        fund(deposit, order.amount + order.feeAmount);
        bytes memory signature = signedRouted(order);
        expectRouted(order, deposit, [uint256(99_700_000), 300_000, 99_700_000]);
        vm.prank(relayer);
        router.routeWith(order, signature, deposit, address(deposits), abi.encode(terms));
        vm.assertEq(balance(address(usdc), deposit), 300_000, "the rest is back");
        holdNothing(address(usdc));
    }

    function test_only_the_router_collects_and_only_the_collector_moves() public {
        ITokenCollector.Collection memory collection;
        vm.expectRevert(abi.encodeWithSelector(ITokenCollector.NotTheRouter.selector, owner));
        vm.prank(owner);
        deposits.collect(collection, "");
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        address deposit = deposited(order, 200 * UNIT);
        sweep(order, deposit);
        address[3] memory others = [stranger, owner, address(router)];
        for (uint256 index = 0; index < others.length; index++) {
            vm.prank(others[index]);
            (bool success, bytes memory answer) = deposit.call(
                abi.encodeWithSignature(
                    "send(address,address,uint256)", address(usdc), stranger, 1
                )
            );
            vm.assertTrue(!success, "somebody else moved a deposit");
            vm.assertEq(
                answer,
                abi.encodeWithSignature("NotTheCollector(address)", others[index]),
                "refusal"
            );
        }
    }

    function sweep(IPaymentRouter.PaymentOrder memory order, address deposit) private {
        payWith(order, deposit, address(deposits), abi.encode(termsOf(order)));
    }

    function deposited(IPaymentRouter.PaymentOrder memory order, uint256 amount)
        private
        returns (address deposit)
    {
        deposit = deposits.addressOf(termsOf(order));
        fund(deposit, amount);
    }

    function changed(uint256 member)
        private
        view
        returns (IDepositCollector.DepositTerms memory terms)
    {
        terms = termsOf(orderIn(address(usdc)));
        if (member == 0) terms.sessionKey = keccak256("another");
        if (member == 1) terms.merchant = stranger;
        if (member == 2) terms.settlementChainId += 1;
        if (member == 3) terms.settlementToken = address(usdt);
        if (member == 4) terms.feeReceiver = stranger;
        if (member == 5) terms.refundTo = stranger;
        if (member == 6) terms.refundableAfter += 1;
    }
}
