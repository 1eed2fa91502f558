// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {ITokenCollector} from "../../src/interfaces/ITokenCollector.sol";
import {CollectorTest} from "../support/CollectorTest.sol";

/// @notice Payment by EIP-2612 permit, called by the payer.
contract PermitTest is CollectorTest {
    function setUp() public override {
        super.setUp();
        relayer = payer;
    }

    function test_pays_in_one_transaction_and_leaves_no_allowance() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        expectPaid(order, payer, order.merchantAmount, order.feeAmount);
        payWith(order, payer, permit, dataPermit(address(usdc), 100 * UNIT));
        movedExactly(order, payer, FUNDS, order.feeAmount);
        vm.assertEq(usdc.allowance(payer, permit), 0, "allowance");
    }

    function test_con_11_pays_without_fee() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        (order.feeAmount, order.feeReceiver) = (0, address(0));
        payWith(order, payer, permit, dataPermit(address(usdc), order.merchantAmount));
        movedExactly(order, payer, FUNDS, 0);
        vm.assertEq(usdc.allowance(payer, permit), 0, "allowance");
    }

    function test_a_permit_that_somebody_used_before_does_not_stop_the_payment() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory data = dataPermit(address(usdc), 100 * UNIT);
        (uint256 deadline, uint8 v, bytes32 r, bytes32 s) =
            abi.decode(data, (uint256, uint8, bytes32, bytes32));
        vm.prank(stranger);
        IERC20Permit(address(usdc)).permit(payer, permit, 100 * UNIT, deadline, v, r, s);
        payWith(order, payer, permit, data);
        movedExactly(order, payer, FUNDS, order.feeAmount);
    }

    function test_an_allowance_is_as_good_as_a_permit() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdt));
        vm.prank(payer);
        usdt.approve(permit, 100 * UNIT);
        payWith(order, payer, permit, abi.encode(0, 0, 0, 0));
        movedExactly(order, payer, FUNDS, order.feeAmount);
    }

    function test_only_the_payer_uses_a_permit() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory data = dataPermit(address(usdc), 100 * UNIT);
        relayer = stranger;
        refusesWith(
            order,
            payer,
            permit,
            data,
            abi.encodeWithSignature("PayerNotCaller(address,address)", payer, stranger)
        );
        vm.assertEq(usdc.allowance(payer, permit), 0, "nothing was permitted");
    }

    function test_refuses_without_a_valid_permit() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory reason = abi.encodeWithSelector(
            IPaymentRouter.TransferFailed.selector,
            address(usdc),
            payer,
            merchant,
            order.merchantAmount
        );
        bytes memory tooLittle = dataPermit(address(usdc), 100 * UNIT - 1);
        refusesWith(order, payer, permit, tooLittle, reason);
        bytes memory late = dataPermit(address(usdc), 100 * UNIT);
        order.deadline = LATER + 1;
        vm.warp(LATER + 1);
        refusesWith(order, payer, permit, late, reason);
        vm.warp(LATER);
        payWith(order, payer, permit, late);
    }

    function test_con_11_an_unfunded_fee_is_refused_whole() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        vm.prank(payer);
        usdc.approve(permit, 100 * UNIT - 1);
        refusesWith(
            order,
            payer,
            permit,
            abi.encode(0, 0, 0, 0),
            abi.encodeWithSelector(
                IPaymentRouter.FeeNotFunded.selector, order.feeAmount - 1, order.feeAmount
            )
        );
    }

    function test_con_11_a_fee_that_cannot_be_delivered_stays_with_the_payer() public {
        vm.prank(issuer);
        usdc.blacklist(feeReceiver);
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        expectFeeSkipped(order);
        expectPaid(order, payer, order.merchantAmount, 0);
        payWith(order, payer, permit, dataPermit(address(usdc), 100 * UNIT));
        movedExactly(order, payer, FUNDS, 0);
        // The allowance that is left is of use to nobody but the payer.
        vm.assertEq(usdc.allowance(payer, permit), order.feeAmount, "allowance");
    }

    function test_pays_through_a_rail() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        bytes memory data = dataPermit(address(usdc), order.amount + order.feeAmount);
        bytes memory signature = signedRouted(order);
        expectRouted(order, payer, [uint256(99_700_000), 300_000, 99_700_000]);
        vm.prank(payer);
        router.routeWith(order, signature, payer, permit, data);
        vm.assertEq(balance(address(usdc), payer), FUNDS - 100 * UNIT, "payer");
        vm.assertEq(usdc.allowance(payer, permit), 0, "allowance");
        holdNothing(address(usdc));
    }

    function test_only_the_router_collects() public {
        ITokenCollector.Collection memory collection;
        (collection.payer, collection.caller) = (payer, payer);
        vm.expectRevert(abi.encodeWithSelector(ITokenCollector.NotTheRouter.selector, payer));
        vm.prank(payer);
        ITokenCollector(permit).collect(collection, "");
    }
}
