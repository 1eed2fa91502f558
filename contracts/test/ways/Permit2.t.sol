// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {IPermit2} from "../../src/interfaces/IPermit2.sol";
import {CollectorTest} from "../support/CollectorTest.sol";

/// @notice Payment by a Permit2 transfer with witness, relayed by anybody.
contract Permit2Test is CollectorTest {
    bytes4 private constant INVALID_SIGNER = bytes4(keccak256("InvalidSigner()"));
    bytes4 private constant INVALID_NONCE = bytes4(keccak256("InvalidNonce()"));

    function test_pays_in_usdc_and_usdt() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        expectPaid(order, payer, order.merchantAmount, order.feeAmount);
        payWith(order, payer, permit2, dataPermit2(order, 0));
        movedExactly(order, payer, FUNDS, order.feeAmount);
        order = orderIn(address(usdt));
        order.sessionKey = keccak256("second");
        expectPaid(order, payer, order.merchantAmount, order.feeAmount);
        payWith(order, payer, permit2, dataPermit2(order, 1));
        movedExactly(order, payer, FUNDS, order.feeAmount);
    }

    function test_con_11_pays_without_fee() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        (order.feeAmount, order.feeReceiver) = (0, address(0));
        expectPaid(order, payer, order.merchantAmount, 0);
        payWith(order, payer, permit2, dataPermit2(order, 0));
        movedExactly(order, payer, FUNDS, 0);
    }

    function test_fuzz_splits_any_payment_exactly(uint256 amount, uint256 fee, uint256 nonce)
        public
    {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdt));
        order.merchantAmount = bounded(amount, 1, FUNDS * 9 / 10);
        order.feeAmount = bounded(fee, 0, order.merchantAmount / 100);
        expectPaid(order, payer, order.merchantAmount, order.feeAmount);
        payWith(order, payer, permit2, dataPermit2(order, nonce));
        movedExactly(order, payer, FUNDS, order.feeAmount);
    }

    function test_con_11_a_fee_that_cannot_be_delivered_stays_with_the_payer() public {
        vm.prank(issuer);
        usdc.blacklist(feeReceiver);
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        expectFeeSkipped(order);
        expectPaid(order, payer, order.merchantAmount, 0);
        payWith(order, payer, permit2, dataPermit2(order, 0));
        movedExactly(order, payer, FUNDS, 0);
    }

    function test_con_11_an_unfunded_fee_is_refused_whole() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory reason = abi.encodeWithSelector(
            IPaymentRouter.FeeNotFunded.selector, order.feeAmount - 1, order.feeAmount
        );
        vm.prank(payer);
        usdc.approve(PERMIT2, 100 * UNIT - 1);
        refusesWith(order, payer, permit2, dataPermit2(order, 0), reason);
        vm.startPrank(payer);
        usdc.approve(PERMIT2, FUNDS);
        usdc.transfer(stranger, FUNDS - 100 * UNIT + 1);
        vm.stopPrank();
        refusesWith(order, payer, permit2, dataPermit2(order, 0), reason);
    }

    function test_con_10_nonces_at_the_edges_of_the_bitmap_are_used_once() public {
        uint256[6] memory nonces =
            [uint256(0), 255, 256, 2 ** 248 - 1, 2 ** 248, type(uint256).max];
        for (uint256 index = 0; index < nonces.length; index++) {
            IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
            order.sessionKey = keccak256(abi.encode(index));
            payWith(order, payer, permit2, dataPermit2(order, nonces[index]));
            order.sessionKey = keccak256(abi.encode(index, "again"));
            refusesWith(
                order,
                payer,
                permit2,
                dataPermit2(order, nonces[index]),
                abi.encodeWithSelector(INVALID_NONCE)
            );
        }
        vm.assertEq(balance(address(usdc), merchant), UNIT + 6 * 99_700_000, "merchant");
    }

    function test_con_10_a_transfer_pays_no_other_order() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory data = dataPermit2(order, 0);
        bytes memory reason = abi.encodeWithSelector(INVALID_SIGNER);
        order.merchant = stranger;
        refusesWith(order, payer, permit2, data, reason);
        order = orderIn(address(usdc));
        order.sessionKey = keccak256("another");
        refusesWith(order, payer, permit2, data, reason);
        order = orderIn(address(usdc));
        order.feeReceiver = stranger;
        refusesWith(order, payer, permit2, data, reason);
        order = orderIn(address(usdc));
        order.feeAmount = 0;
        refusesWith(order, payer, permit2, data, reason);
        order = orderIn(address(usdc));
        order.merchantAmount -= 1;
        refusesWith(order, payer, permit2, data, reason);
    }

    function test_con_10_refuses_a_transfer_whose_witness_names_another_payer() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes32 hash = transferHash(
            stranger, order.token, order.merchantAmount, order.feeAmount, router.digestOf(order), 0
        );
        bytes memory data = abi.encodePacked(uint256(0), signedWith(PAYER_KEY, hash));
        refusesWith(order, payer, permit2, data, abi.encodeWithSelector(INVALID_SIGNER));
    }

    function test_con_10_a_transfer_cannot_be_used_outside_the_router() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory data = dataPermit2(order, 0);
        bytes memory signature = signatureIn(data);
        IPermit2.PermitBatchTransferFrom memory transfer;
        transfer.permitted = new IPermit2.TokenPermissions[](2);
        transfer.permitted[0] = IPermit2.TokenPermissions(order.token, order.merchantAmount);
        transfer.permitted[1] = IPermit2.TokenPermissions(order.token, order.feeAmount);
        transfer.deadline = LATER;
        IPermit2.SignatureTransferDetails[] memory legs =
            new IPermit2.SignatureTransferDetails[](2);
        legs[0] = IPermit2.SignatureTransferDetails(stranger, order.merchantAmount);
        legs[1] = IPermit2.SignatureTransferDetails(stranger, order.feeAmount);
        bytes32 witness = keccak256(
            abi.encode(
                keccak256("PaymentWitness(bytes32 digest,address payer)"),
                router.digestOf(order),
                payer
            )
        );
        vm.expectRevert(INVALID_SIGNER);
        vm.prank(stranger);
        IPermit2(PERMIT2)
            .permitWitnessTransferFrom(
                transfer,
                legs,
                payer,
                witness,
                "PaymentWitness witness)PaymentWitness(bytes32 digest,address payer)"
                "TokenPermissions(address token,uint256 amount)",
                signature
            );
        payWith(order, payer, permit2, data);
    }

    function test_con_04_a_transfer_lasts_as_long_as_its_order() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        order.deadline = LATER - 1;
        bytes memory reason = abi.encodeWithSelector(INVALID_SIGNER);
        refusesWith(order, payer, permit2, dataPermit2(order, 0), reason);
        order.deadline = LATER;
        bytes memory data = dataPermit2(order, 0);
        vm.warp(LATER);
        payWith(order, payer, permit2, data);
    }

    function test_refuses_data_without_a_nonce() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        refusesWith(order, payer, permit2, "", "");
        refusesWith(order, payer, permit2, new bytes(31), "");
    }

    function test_con_01_refuses_blacklisted_merchants() public {
        vm.prank(issuer);
        usdc.blacklist(merchant);
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        refusesWith(
            order,
            payer,
            permit2,
            dataPermit2(order, 0),
            abi.encodeWithSignature("Error(string)", "TRANSFER_FROM_FAILED")
        );
    }

    function test_pays_through_a_rail() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdt));
        bytes32 hash = transferHash(
            payer, address(usdt), order.amount, order.feeAmount, router.digestOfRouted(order), 7
        );
        bytes memory data = abi.encodePacked(uint256(7), signedWith(PAYER_KEY, hash));
        bytes memory signature = signedRouted(order);
        expectRouted(order, payer, [uint256(99_700_000), 300_000, 99_700_000]);
        vm.prank(relayer);
        router.routeWith(order, signature, payer, permit2, data);
        vm.assertEq(balance(address(usdt), payer), FUNDS - 100 * UNIT, "payer");
        holdNothing(address(usdt));
    }

    /// @dev With little gas, the batch could fail and its second try succeed without the fee.
    function test_con_11_no_gas_limit_skips_the_fee() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        uint256 payments;
        for (uint256 gas = 90_000; gas < 200_000; gas += 500) {
            order.sessionKey = keccak256(abi.encode(gas));
            bytes memory data = dataPermit2(order, gas);
            bytes memory signature = signed(order);
            uint256 before = balance(address(usdc), feeReceiver);
            vm.prank(relayer);
            try router.payWith{gas: gas}(order, signature, payer, permit2, data) {
                payments += 1;
                before += order.feeAmount;
            } catch {}
            vm.assertEq(balance(address(usdc), feeReceiver), before, "fee and payment");
        }
        vm.assertTrue(payments > 10, "no gas limit was enough");
    }

    /// @dev The data without Permit2's nonce in front.
    function signatureIn(bytes memory data) private pure returns (bytes memory signature) {
        signature = new bytes(65);
        for (uint256 index = 0; index < 65; index++) {
            signature[index] = data[32 + index];
        }
    }
}
