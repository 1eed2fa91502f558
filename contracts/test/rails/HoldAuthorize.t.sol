// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICustodyRail} from "../../src/interfaces/ICustodyRail.sol";
import {IHoldRail} from "../../src/interfaces/IHoldRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {HoldTest} from "../support/HoldTest.sol";
import {OddToken} from "../support/OddToken.sol";

/// @notice `HoldRail.start`: the payer authorises, and the money waits.
contract HoldAuthorizeTest is HoldTest {
    function test_holds_usdc() public {
        authorizes(address(usdc));
    }

    function test_holds_usdt() public {
        authorizes(address(usdt));
    }

    function authorizes(address token) private {
        IPaymentRouter.RoutedOrder memory order = holding(token);
        vm.expectEmit(address(rail));
        emit IHoldRail.Authorized(SESSION, payer, merchant, token, 100 * UNIT, CAPTURE_BEFORE);
        expectRouted(order, 100 * UNIT, 0);
        route(order);
        vm.assertEq(balance(token, address(rail)), 100 * UNIT, "rail");
        vm.assertEq(balance(token, payer), FUNDS - 100 * UNIT, "payer");
        vm.assertEq(balance(token, merchant), UNIT, "merchant");
        vm.assertEq(balance(token, feeReceiver), UNIT, "fee receiver");
        vm.assertEq(rail.owed(token), 100 * UNIT, "owed");
    }

    function test_remembers_all_of_it() public {
        authorize(address(usdc));
        IHoldRail.Hold memory hold = rail.holds(SESSION);
        vm.assertEq(hold.payer, payer, "payer");
        vm.assertEq(hold.merchant, merchant, "merchant");
        vm.assertEq(hold.token, address(usdc), "token");
        vm.assertEq(hold.feeReceiver, feeReceiver, "feeReceiver");
        vm.assertEq(hold.operator, operator, "operator");
        vm.assertEq(uint256(hold.captureBefore), CAPTURE_BEFORE, "captureBefore");
        vm.assertEq(uint256(hold.feePpm), FEE_PPM, "feePpm");
        vm.assertEq(uint256(hold.authorized), 100 * UNIT, "authorized");
        vm.assertEq(uint256(hold.remaining), 100 * UNIT, "remaining");
        vm.assertTrue(hold.open, "open");
    }

    function test_capture_before_at_its_bounds() public {
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        uint256 longest = NOW + rail.MAX_HOLD();
        refusesTime(order, NOW);
        refusesTime(order, 0);
        refusesTime(order, longest + 1);
        refusesTime(order, type(uint256).max);
        order.railData = abi.encode(longest, FEE_PPM, feeReceiver, operator);
        route(order);
        order.sessionKey = keccak256("second");
        order.railData = abi.encode(NOW + 1, FEE_PPM, feeReceiver, operator);
        route(order);
    }

    function test_con_11_fee_is_at_most_one_percent() public {
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        order.merchantAmount = 99 * UNIT;
        order.railData = abi.encode(CAPTURE_BEFORE, uint256(10_001), feeReceiver, operator);
        refusesRoute(order, abi.encodeWithSelector(IHoldRail.FeeAboveCap.selector, 10_001, 10_000));
        order.railData = abi.encode(CAPTURE_BEFORE, type(uint256).max, feeReceiver, operator);
        refusesRoute(
            order,
            abi.encodeWithSelector(IHoldRail.FeeAboveCap.selector, type(uint256).max, 10_000)
        );
        order.railData = abi.encode(CAPTURE_BEFORE, rail.MAX_FEE_PPM(), feeReceiver, operator);
        route(order);
    }

    function test_con_11_a_fee_needs_a_receiver() public {
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        order.railData = abi.encode(CAPTURE_BEFORE, FEE_PPM, address(0), operator);
        refusesRoute(order, abi.encodeWithSelector(IHoldRail.BadFeeReceiver.selector, address(0)));
        order.railData = abi.encode(CAPTURE_BEFORE, FEE_PPM, address(rail), operator);
        refusesRoute(
            order, abi.encodeWithSelector(IHoldRail.BadFeeReceiver.selector, address(rail))
        );
        order.railData = abi.encode(CAPTURE_BEFORE, uint256(0), address(0), operator);
        route(order);
    }

    function test_promise_may_be_all_that_the_fee_leaves_and_not_one_more() public {
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        order.merchantAmount = 99_700_001;
        refusesRoute(
            order,
            abi.encodeWithSelector(
                IHoldRail.MerchantAmountNotCovered.selector, 100 * UNIT, 300_000, 99_700_001
            )
        );
        order.merchantAmount = 99_700_000;
        route(order);
    }

    function test_con_12_refuses_a_hold_that_is_all_fee() public {
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        order.amount = 1;
        order.merchantAmount = 1;
        refusesRoute(
            order, abi.encodeWithSelector(IHoldRail.MerchantAmountNotCovered.selector, 1, 1, 1)
        );
        order.amount = 2;
        route(order);
    }

    function test_con_12_refuses_more_than_96_bits() public {
        OddToken odd = new OddToken();
        IPaymentRouter.RoutedOrder memory order = holding(address(odd));
        order.amount = uint256(type(uint96).max) + 1;
        odd.mint(address(rail), order.amount);
        startsUnfunded(
            order,
            address(router),
            abi.encodeWithSelector(ICustodyRail.AmountTooLarge.selector, order.amount)
        );
        order.amount -= 1;
        vm.prank(address(router));
        rail.start(deliveryOf(order), order.railData);
        vm.assertEq(uint256(rail.holds(SESSION).remaining), order.amount, "remaining");
    }

    function test_refuses_another_network_or_token() public {
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        order.settlementChainId = OTHER_CHAIN;
        refusesRoute(order, unsupported());
        order = holding(address(usdc));
        order.settlementToken = address(usdt);
        refusesRoute(order, unsupported());
    }

    function test_refuses_itself_as_merchant() public {
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        order.merchant = address(rail);
        refusesRoute(order, unsupported());
    }

    function test_refuses_terms_of_another_length() public {
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        order.railData = abi.encode(CAPTURE_BEFORE, FEE_PPM, feeReceiver);
        refusesRoute(order, unsupported());
        order.railData = abi.encode(CAPTURE_BEFORE, FEE_PPM, feeReceiver, operator, operator);
        refusesRoute(order, unsupported());
    }

    function test_a_session_has_one_hold_ever() public {
        authorize(address(usdc));
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        bytes memory reason = abi.encodeWithSelector(IHoldRail.AlreadyHeld.selector, SESSION);
        fund(address(rail), 100 * UNIT);
        startsUnfunded(order, address(router), reason);
        vm.prank(merchant);
        rail.void(SESSION);
        startsUnfunded(order, address(router), reason);
    }

    function test_only_the_router_starts_it() public {
        refusesStrangers(holding(address(usdc)));
    }

    function test_con_01_money_of_others_does_not_count_as_received() public {
        refusesMissingMoney(holding(address(usdc)));
        authorize(address(usdc));
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        order.sessionKey = keccak256("second");
        startsUnfunded(order, address(router), notReceived(address(usdc), 200 * UNIT, 100 * UNIT));
    }

    function test_con_15_stray_tokens_are_not_owed() public {
        fund(address(rail), 7 * UNIT);
        authorize(address(usdc));
        vm.assertEq(rail.owed(address(usdc)), 100 * UNIT, "owed");
        (bool sent,) = address(rail).call{value: 1}("");
        vm.assertEq(sent, false, "plain ether was taken");
    }

    function refusesTime(IPaymentRouter.RoutedOrder memory order, uint256 captureBefore) private {
        order.railData = abi.encode(captureBefore, FEE_PPM, feeReceiver, operator);
        refusesRoute(
            order, abi.encodeWithSelector(IHoldRail.BadCaptureBefore.selector, captureBefore)
        );
    }
}
