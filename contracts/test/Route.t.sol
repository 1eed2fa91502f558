// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {ISettlementRail} from "../src/interfaces/ISettlementRail.sol";
import {OddToken} from "./support/OddToken.sol";
import {CollectorTest} from "./support/CollectorTest.sol";

/// @notice `route`: what the router checks, what it tells the rail, and what it believes.
contract RouteTest is CollectorTest {
    function test_pays_through_a_rail_in_usdc() public {
        paysThroughTheRail(address(usdc));
    }

    function test_pays_through_a_rail_in_usdt() public {
        paysThroughTheRail(address(usdt));
    }

    function paysThroughTheRail(address token) private {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(token);
        expectRouted(order, payer, [uint256(99_700_000), 300_000, 99_700_000]);
        route(order);
        vm.assertEq(balance(token, payer), FUNDS - 100 * UNIT, "payer got the rest back");
        vm.assertEq(balance(token, merchant), UNIT + 99_700_000, "merchant");
        vm.assertEq(balance(token, feeReceiver), UNIT + 300_000, "fee receiver");
        holdNothing(token);
        vm.assertTrue(router.paid(order.sessionKey), "paid");
    }

    function test_tells_the_rail_every_term() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        route(order);
        ISettlementRail.Delivery memory expected = ISettlementRail.Delivery({
            sessionKey: order.sessionKey,
            payer: payer,
            merchant: merchant,
            token: address(usdc),
            amount: order.amount,
            settlementChainId: order.settlementChainId,
            settlementToken: order.settlementToken,
            merchantAmount: order.merchantAmount,
            deadline: order.deadline
        });
        vm.assertEq(abi.encode(rail.last()), abi.encode(expected), "delivery");
        vm.assertEq(rail.lastData(), order.railData, "rail data");
    }

    function test_delivers_later_or_elsewhere() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        order.settlementChainId = 1_338_453;
        order.settlementToken = stranger;
        rail.claim(order.amount, 0);
        expectRouted(order, payer, [order.amount, order.feeAmount, 0]);
        route(order);
        vm.assertEq(balance(address(usdc), address(rail)), order.amount, "the rail carries it");
    }

    function test_refuses_a_rail_that_delivers_too_little() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        rail.claim(order.amount, order.merchantAmount - 1);
        refusesRoute(order, failed(order.amount, order.merchantAmount - 1));
        rail.claim(order.amount, order.merchantAmount);
        route(order);
    }

    function test_refuses_a_rail_that_spends_too_much() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        rail.claim(order.amount + 1, 0);
        refusesRoute(order, failed(order.amount + 1, 0));
        rail.claim(order.amount, 0);
        route(order);
    }

    function test_refuses_what_is_no_rail() public {
        address[4] memory others = [address(0), stranger, permit, address(router)];
        for (uint256 index = 0; index < others.length; index++) {
            IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
            order.rail = others[index];
            refusesRoute(
                order, abi.encodeWithSelector(IPaymentRouter.RailUnknown.selector, others[index])
            );
        }
    }

    function test_con_16_refuses_a_removed_rail() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        vm.prank(owner);
        router.removeRail(address(rail));
        refusesRoute(
            order, abi.encodeWithSelector(IPaymentRouter.RailUnknown.selector, address(rail))
        );
        vm.prank(owner);
        router.addRail(address(rail));
        route(order);
    }

    function test_con_01_refuses_a_token_that_funds_the_rail_in_part() public {
        OddToken odd = new OddToken();
        odd.mint(payer, FUNDS);
        vm.prank(payer);
        odd.approve(address(router), FUNDS);
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(odd));
        // What the rail holds of others must not make up for it.
        odd.mint(address(rail), FUNDS);
        odd.misbehave(OddToken.Oddity.TakesOnePercent, address(rail));
        refusesRoute(order, notFunded(order, 99 * UNIT));
        odd.misbehave(OddToken.Oddity.OnlyPretends, address(rail));
        refusesRoute(order, notFunded(order, 0));
        vm.assertEq(odd.balanceOf(address(rail)), FUNDS, "what the rail held before");
    }

    function test_con_11_a_blacklisted_fee_receiver_does_not_stop_the_rail() public {
        vm.prank(issuer);
        usdc.blacklist(feeReceiver);
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        vm.expectEmit(address(router));
        emit IPaymentRouter.FeeSkipped(
            order.sessionKey, feeReceiver, address(usdc), order.feeAmount
        );
        expectRouted(order, payer, [uint256(99_700_000), 0, 99_700_000]);
        route(order);
        vm.assertEq(balance(address(usdc), payer), FUNDS - 99_700_000, "the fee stayed");
    }

    function test_con_11_an_unfunded_fee_is_refused_whole() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        approve(payer, 0);
        approve(payer, order.amount + order.feeAmount - 1);
        refusesRoute(
            order,
            abi.encodeWithSelector(
                IPaymentRouter.FeeNotFunded.selector, order.feeAmount - 1, order.feeAmount
            )
        );
    }

    function test_con_11_refuses_fees_that_are_too_high_or_to_nobody() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        (order.amount, order.feeAmount) = (98_999_999, 1_000_001);
        refusesRoute(
            order,
            abi.encodeWithSelector(
                IPaymentRouter.FeeAboveCap.selector, 1_000_001, uint256(1_000_000)
            )
        );
        address[3] memory nobody = [address(0), address(router), address(rail)];
        for (uint256 index = 0; index < nobody.length; index++) {
            order = routedOrderIn(address(usdc));
            order.feeReceiver = nobody[index];
            refusesRoute(
                order,
                abi.encodeWithSelector(IPaymentRouter.BadFeeReceiver.selector, nobody[index])
            );
        }
    }

    function test_con_12_refuses_amounts_of_zero_or_above_128_bits() public {
        uint256 large = uint256(type(uint128).max) + 1;
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        (order.amount, order.feeAmount) = (0, 0);
        refusesRoute(order, abi.encodeWithSelector(IPaymentRouter.AmountZero.selector));
        order = routedOrderIn(address(usdc));
        order.merchantAmount = 0;
        refusesRoute(order, abi.encodeWithSelector(IPaymentRouter.AmountZero.selector));
        order.merchantAmount = large;
        refusesRoute(order, tooLarge(large));
        order = routedOrderIn(address(usdc));
        order.amount = large;
        refusesRoute(order, tooLarge(large));
        order = routedOrderIn(address(usdc));
        order.feeAmount = type(uint256).max;
        refusesRoute(order, tooLarge(type(uint256).max));
    }

    function test_con_14_refuses_a_token_without_code() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        order.token = stranger;
        bytes memory signature = signedRouted(order);
        vm.expectRevert(abi.encodeWithSelector(IPaymentRouter.TokenWithoutCode.selector, stranger));
        vm.prank(payer);
        router.route(order, signature);
    }

    function test_refuses_bad_merchants_late_orders_and_a_pause() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        order.merchant = address(0);
        refusesRoute(
            order, abi.encodeWithSelector(IPaymentRouter.BadMerchant.selector, address(0))
        );
        order.merchant = address(router);
        refusesRoute(
            order, abi.encodeWithSelector(IPaymentRouter.BadMerchant.selector, address(router))
        );
        order.merchant = merchant;
        vm.prank(owner);
        router.pause();
        refusesRoute(order, abi.encodeWithSelector(IPaymentRouter.RouterPaused.selector));
        vm.prank(owner);
        router.unpause();
        vm.warp(order.deadline + 1);
        refusesRoute(
            order,
            abi.encodeWithSelector(
                IPaymentRouter.OrderExpired.selector, order.deadline, order.deadline + 1
            )
        );
        vm.warp(order.deadline);
        route(order);
    }

    function test_a_session_is_paid_once_by_either_order() public {
        IPaymentRouter.RoutedOrder memory routed = routedOrderIn(address(usdc));
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory reason =
            abi.encodeWithSelector(IPaymentRouter.AlreadyPaid.selector, order.sessionKey);
        pay(order);
        refusesRoute(routed, reason);
        routed.sessionKey = keccak256("second");
        order.sessionKey = keccak256("second");
        route(routed);
        refuses(
            order, abi.encodeWithSelector(IPaymentRouter.AlreadyPaid.selector, order.sessionKey)
        );
    }

    function test_fuzz_con_11_sum_is_conserved(uint256 amount, uint256 fee, uint256 promised)
        public
    {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        order.amount = bounded(amount, 1, FUNDS * 9 / 10);
        order.feeAmount = bounded(fee, 0, order.amount / 100);
        order.merchantAmount = bounded(promised, 1, order.amount);
        expectRouted(order, payer, [order.merchantAmount, order.feeAmount, order.merchantAmount]);
        route(order);
        vm.assertEq(
            balance(address(usdc), payer), FUNDS - order.merchantAmount - order.feeAmount, "payer"
        );
        vm.assertEq(balance(address(usdc), merchant), UNIT + order.merchantAmount, "merchant");
        vm.assertEq(balance(address(usdc), feeReceiver), UNIT + order.feeAmount, "fee");
        holdNothing(address(usdc));
    }

    function route(IPaymentRouter.RoutedOrder memory order) private {
        bytes memory signature = signedRouted(order);
        vm.prank(payer);
        router.route(order, signature);
    }

    /// @dev A refusal reverts with exactly this evidence, and nothing has changed.
    function refusesRoute(IPaymentRouter.RoutedOrder memory order, bytes memory reason) private {
        bytes memory signature = signedRouted(order);
        bool paidBefore = router.paid(order.sessionKey);
        uint256 before = balance(order.token, payer);
        vm.expectRevert(reason);
        vm.prank(payer);
        router.route(order, signature);
        vm.assertEq(router.paid(order.sessionKey), paidBefore, "a refusal changed paid");
        vm.assertEq(balance(order.token, payer), before, "a refusal moved money");
    }

    function failed(uint256 spent, uint256 delivered) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IPaymentRouter.RailFailed.selector, address(rail), spent, delivered
        );
    }

    function notFunded(IPaymentRouter.RoutedOrder memory order, uint256 received)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IPaymentRouter.RailNotFunded.selector, order.token, order.rail, received, order.amount
        );
    }

    function tooLarge(uint256 amount) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPaymentRouter.AmountTooLarge.selector, amount);
    }
}
