// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {ISettlementRail} from "../../src/interfaces/ISettlementRail.sol";
import {RouterTest} from "./RouterTest.sol";

/// @notice What the tests of every rail need: to pay through it, and to start it as the router.
abstract contract RailTest is RouterTest {
    uint256 internal constant HOME_CHAIN = 31_337;
    uint256 internal constant OTHER_CHAIN = 1_338_453;

    address internal elsewhere = named("the merchant's token on another network");

    function allow(address rail) internal {
        vm.prank(owner);
        router.addRail(rail);
    }

    /// @dev 100.00 to the rail and 0.30 of fee, payable for one hour.
    function routedOrder(
        address rail,
        address token,
        uint256 settlementChainId,
        address settlementToken,
        uint256 merchantAmount,
        bytes memory railData
    ) internal view returns (IPaymentRouter.RoutedOrder memory) {
        return IPaymentRouter.RoutedOrder({
            sessionKey: keccak256("session"),
            merchant: merchant,
            token: token,
            amount: 100 * UNIT,
            feeAmount: 300_000,
            feeReceiver: feeReceiver,
            deadline: NOW + 1 hours,
            rail: rail,
            settlementChainId: settlementChainId,
            settlementToken: settlementToken,
            merchantAmount: merchantAmount,
            railData: railData
        });
    }

    function route(IPaymentRouter.RoutedOrder memory order) internal {
        bytes memory signature = signedWith(SIGNER_KEY, router.digestOfRouted(order));
        vm.prank(payer);
        router.route(order, signature);
    }

    function refusesRoute(IPaymentRouter.RoutedOrder memory order, bytes memory reason) internal {
        bytes memory signature = signedWith(SIGNER_KEY, router.digestOfRouted(order));
        uint256 before = balance(order.token, payer);
        vm.expectRevert(reason);
        vm.prank(payer);
        router.route(order, signature);
        vm.assertEq(router.paid(order.sessionKey), false, "a refusal marked the session paid");
        vm.assertEq(balance(order.token, payer), before, "a refusal moved the payer's money");
        vm.assertEq(balance(order.token, order.rail), 0, "a refusal left money in the rail");
    }

    function expectRouted(
        IPaymentRouter.RoutedOrder memory order,
        uint256 spent,
        uint256 delivered
    ) internal {
        vm.expectEmit(address(router));
        emit IPaymentRouter.Routed(
            order.sessionKey,
            payer,
            order.rail,
            order.merchant,
            order.token,
            spent,
            order.feeAmount,
            order.feeReceiver,
            order.settlementChainId,
            order.settlementToken,
            order.merchantAmount,
            delivered,
            order.railData
        );
    }

    /// @dev What the router tells a rail about an order.
    function deliveryOf(IPaymentRouter.RoutedOrder memory order)
        internal
        view
        returns (ISettlementRail.Delivery memory)
    {
        return ISettlementRail.Delivery({
            sessionKey: order.sessionKey,
            payer: payer,
            merchant: order.merchant,
            token: order.token,
            amount: order.amount,
            settlementChainId: order.settlementChainId,
            settlementToken: order.settlementToken,
            merchantAmount: order.merchantAmount,
            deadline: order.deadline
        });
    }

    /// @dev Without the money that a router would have sent before.
    function startsUnfunded(
        IPaymentRouter.RoutedOrder memory order,
        address caller,
        bytes memory reason
    ) internal {
        vm.expectRevert(reason);
        vm.prank(caller);
        ISettlementRail(order.rail).start(deliveryOf(order), order.railData);
    }

    function refusesStrangers(IPaymentRouter.RoutedOrder memory order) internal {
        startsUnfunded(
            order, payer, abi.encodeWithSelector(ISettlementRail.NotTheRouter.selector, payer)
        );
        startsUnfunded(
            order, owner, abi.encodeWithSelector(ISettlementRail.NotTheRouter.selector, owner)
        );
    }

    function refusesMissingMoney(IPaymentRouter.RoutedOrder memory order) internal {
        startsUnfunded(order, address(router), notReceived(order.token, order.amount, 0));
    }

    function notReceived(address token, uint256 expected, uint256 found)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            ISettlementRail.AmountNotReceived.selector, token, expected, found
        );
    }

    function unsupported() internal pure returns (bytes memory) {
        return abi.encodeWithSelector(ISettlementRail.RouteUnsupported.selector);
    }

    function reentered() internal pure returns (bytes memory) {
        return abi.encodeWithSelector(bytes4(keccak256("ReentrancyGuardReentrantCall()")));
    }
}
