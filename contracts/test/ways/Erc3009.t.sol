// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IErc3009} from "../../src/interfaces/IErc3009.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {CollectorTest} from "../support/CollectorTest.sol";

/// @notice The other half of EIP-3009, which nobody may use an authorization for us with.
interface ITransferWithAuthorization {
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;
}

/// @notice Payment by EIP-3009 authorization, relayed by anybody.
contract Erc3009Test is CollectorTest {
    function test_pays_without_gas_and_allowance_of_the_payer() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        approve(payer, 0);
        expectPaid(order, payer, order.merchantAmount, order.feeAmount);
        payWith(order, payer, erc3009, data3009(order));
        movedExactly(order, payer, FUNDS, order.feeAmount);
    }

    function test_con_11_pays_without_fee() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        (order.feeAmount, order.feeReceiver) = (0, address(0));
        expectPaid(order, payer, order.merchantAmount, 0);
        payWith(order, payer, erc3009, data3009(order));
        movedExactly(order, payer, FUNDS, 0);
    }

    function test_fuzz_splits_any_payment_exactly(uint256 amount, uint256 fee) public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        order.merchantAmount = bounded(amount, 1, FUNDS * 9 / 10);
        order.feeAmount = bounded(fee, 0, order.merchantAmount / 100);
        expectPaid(order, payer, order.merchantAmount, order.feeAmount);
        payWith(order, payer, erc3009, data3009(order));
        movedExactly(order, payer, FUNDS, order.feeAmount);
    }

    function test_con_11_a_fee_that_cannot_be_delivered_returns_to_the_payer() public {
        vm.prank(issuer);
        usdc.blacklist(feeReceiver);
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        expectFeeSkipped(order);
        expectPaid(order, payer, order.merchantAmount, 0);
        payWith(order, payer, erc3009, data3009(order));
        movedExactly(order, payer, FUNDS, 0);
    }

    function test_con_11_an_unfunded_fee_is_refused_whole() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        vm.prank(payer);
        usdc.transfer(stranger, FUNDS - 100 * UNIT + 1);
        refusesWith(
            order,
            payer,
            erc3009,
            data3009(order),
            textual("ERC20: transfer amount exceeds balance")
        );
    }

    function test_con_09_an_authorization_cannot_be_used_outside_the_router() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory signature = data3009(order);
        uint256 before = LATER + 1;
        bytes32 digest = router.digestOf(order);
        vm.expectRevert(textual("FiatTokenV2: caller must be the payee"));
        vm.prank(stranger);
        IErc3009(address(usdc))
            .receiveWithAuthorization(payer, erc3009, 100 * UNIT, 0, before, digest, signature);
        vm.expectRevert(textual("FiatTokenV2: invalid signature"));
        vm.prank(stranger);
        IErc3009(address(usdc))
            .receiveWithAuthorization(payer, stranger, 100 * UNIT, 0, before, digest, signature);
        vm.expectRevert(textual("FiatTokenV2: invalid signature"));
        vm.prank(stranger);
        ITransferWithAuthorization(address(usdc))
            .transferWithAuthorization(payer, erc3009, 100 * UNIT, 0, before, digest, signature);
        payWith(order, payer, erc3009, data3009(order));
    }

    function test_con_09_an_authorization_pays_no_other_order() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory data = data3009(order);
        bytes memory reason = textual("FiatTokenV2: invalid signature");
        order.merchant = stranger;
        refusesWith(order, payer, erc3009, data, reason);
        order = orderIn(address(usdc));
        order.sessionKey = keccak256("another");
        refusesWith(order, payer, erc3009, data, reason);
        order = orderIn(address(usdc));
        order.merchantAmount -= 1;
        refusesWith(order, payer, erc3009, data, reason);
        order = orderIn(address(usdc));
        order.feeReceiver = stranger;
        refusesWith(order, payer, erc3009, data, reason);
    }

    /// @dev EIP-3009 names the first second that is too late, an order the last that is in time.
    function test_con_04_an_authorization_lasts_as_long_as_its_order() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        order.deadline = LATER - 1;
        refusesWith(
            order, payer, erc3009, data3009(order), textual("FiatTokenV2: invalid signature")
        );
        order.deadline = LATER;
        bytes memory data = data3009(order);
        vm.warp(LATER);
        payWith(order, payer, erc3009, data);
    }

    function test_con_01_refuses_blacklisted_merchants_and_paused_tokens() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        vm.prank(issuer);
        usdc.blacklist(merchant);
        refusesWith(
            order,
            payer,
            erc3009,
            data3009(order),
            abi.encodeWithSelector(
                IPaymentRouter.TransferFailed.selector,
                address(usdc),
                payer,
                merchant,
                order.merchantAmount
            )
        );
        vm.startPrank(issuer);
        usdc.unBlacklist(merchant);
        usdc.pause();
        vm.stopPrank();
        refusesWith(order, payer, erc3009, data3009(order), textual("Pausable: paused"));
    }

    function test_refuses_a_token_without_authorizations() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdt));
        refusesWith(order, payer, erc3009, signedWith(PAYER_KEY, bytes32(0)), "");
    }

    function test_pays_through_a_rail() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        bytes32 hash = authorization(
            payer, address(usdc), order.amount + order.feeAmount, router.digestOfRouted(order)
        );
        bytes memory data = signedWith(PAYER_KEY, hash);
        bytes memory signature = signedRouted(order);
        expectRouted(order, payer, [uint256(99_700_000), 300_000, 99_700_000]);
        vm.prank(relayer);
        router.routeWith(order, signature, payer, erc3009, data);
        vm.assertEq(balance(address(usdc), payer), FUNDS - 100 * UNIT, "payer");
        vm.assertEq(rail.last().payer, payer, "the rail returns the rest to the payer");
        holdNothing(address(usdc));
    }

    function textual(string memory reason) private pure returns (bytes memory) {
        return abi.encodeWithSignature("Error(string)", reason);
    }
}
