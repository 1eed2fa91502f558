// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICustodyRail} from "../../src/interfaces/ICustodyRail.sol";
import {IHoldRail} from "../../src/interfaces/IHoldRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {HoldTest, IHolds} from "../support/HoldTest.sol";
import {ITransferHook, OddToken} from "../support/OddToken.sol";

/// @notice A merchant that captures and voids again from inside a capture.
contract ReentrantMerchant is ITransferHook {
    IHolds private immutable rail;
    bytes32 private immutable sessionKey;
    bytes4 public captureRefusal;
    bytes4 public voidRefusal;

    constructor(IHolds rail_, bytes32 sessionKey_) {
        rail = rail_;
        sessionKey = sessionKey_;
    }

    function capture(uint256 amount) external {
        rail.capture(sessionKey, amount);
    }

    function beforeTransfer() external {
        try rail.capture(sessionKey, 1000) {}
        catch (bytes memory reason) {
            captureRefusal = bytes4(reason);
        }
        try rail.void(sessionKey) {}
        catch (bytes memory reason) {
            voidRefusal = bytes4(reason);
        }
    }
}

/// @notice `HoldRail.capture`: by the merchant's side, in time, never more than what waits.
contract HoldCaptureTest is HoldTest {
    function test_captures_all_at_once_in_usdc() public {
        capturesAll(address(usdc));
    }

    function test_captures_all_at_once_in_usdt() public {
        capturesAll(address(usdt));
    }

    function capturesAll(address token) private {
        authorize(token);
        expectCaptured(token, 100 * UNIT, 99_700_000, 300_000, 0);
        vm.prank(merchant);
        rail.capture(SESSION, 100 * UNIT);
        vm.assertEq(balance(token, merchant), UNIT + 99_700_000, "merchant");
        vm.assertEq(balance(token, feeReceiver), UNIT + 300_000, "fee receiver");
        isOver(token);
        refuses(merchant, 1, nothingHeld());
    }

    function test_captures_in_parts_by_merchant_and_operator() public {
        authorize(address(usdc));
        expectCaptured(address(usdc), 40 * UNIT, 39_880_000, 120_000, 60 * UNIT);
        vm.prank(operator);
        rail.capture(SESSION, 40 * UNIT);
        expectCaptured(address(usdc), 3, 2, 1, 60 * UNIT - 3);
        vm.prank(merchant);
        rail.capture(SESSION, 3);
        vm.assertEq(remaining(), 60 * UNIT - 3, "remaining");
        vm.assertEq(rail.owed(address(usdc)), 60 * UNIT - 3, "owed");
        vm.prank(merchant);
        rail.capture(SESSION, 60 * UNIT - 3);
        isOver(address(usdc));
        vm.assertEq(uint256(rail.holds(SESSION).authorized), 100 * UNIT, "authorized");
    }

    function test_con_16_nobody_else_captures() public {
        authorize(address(usdc));
        address[4] memory others = [payer, stranger, owner, feeReceiver];
        for (uint256 index = 0; index < others.length; index++) {
            refuses(others[index], UNIT, notMerchantSide(others[index]));
        }
    }

    function test_con_16_no_operator_means_nobody() public {
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        order.railData = abi.encode(CAPTURE_BEFORE, FEE_PPM, feeReceiver, address(0));
        route(order);
        refuses(operator, UNIT, notMerchantSide(operator));
    }

    function test_con_04_captures_until_the_last_second_and_not_one_later() public {
        authorize(address(usdc));
        vm.warp(CAPTURE_BEFORE);
        refuses(
            merchant,
            UNIT,
            abi.encodeWithSelector(
                IHoldRail.CaptureTooLate.selector, CAPTURE_BEFORE, CAPTURE_BEFORE
            )
        );
        vm.warp(CAPTURE_BEFORE - 1);
        vm.prank(merchant);
        rail.capture(SESSION, UNIT);
    }

    function test_con_12_never_more_than_what_waits() public {
        authorize(address(usdc));
        refusesAbove(100 * UNIT + 1, 100 * UNIT);
        refusesAbove(type(uint256).max, 100 * UNIT);
        vm.prank(merchant);
        rail.capture(SESSION, 30 * UNIT);
        refusesAbove(70 * UNIT + 1, 70 * UNIT);
    }

    function test_con_12_refuses_to_capture_nothing_or_only_a_fee() public {
        authorize(address(usdc));
        refuses(merchant, 0, abi.encodeWithSelector(IHoldRail.CaptureTooSmall.selector, 0));
        refuses(merchant, 1, abi.encodeWithSelector(IHoldRail.CaptureTooSmall.selector, 1));
    }

    function test_con_12_one_unit_without_a_fee() public {
        IPaymentRouter.RoutedOrder memory order = holding(address(usdc));
        order.railData = abi.encode(CAPTURE_BEFORE, uint256(0), address(0), operator);
        route(order);
        vm.prank(merchant);
        rail.capture(SESSION, 1);
        vm.assertEq(usdc.balanceOf(merchant), UNIT + 1, "merchant");
    }

    function test_refuses_what_never_came() public {
        refuses(merchant, 1, nothingHeld());
    }

    function test_con_11_a_fee_that_its_receiver_cannot_take_is_the_merchants() public {
        authorize(address(usdc));
        vm.prank(issuer);
        usdc.blacklist(feeReceiver);
        expectCaptured(address(usdc), 100 * UNIT, 100 * UNIT, 0, 0);
        vm.prank(merchant);
        rail.capture(SESSION, 100 * UNIT);
        vm.assertEq(usdc.balanceOf(merchant), UNIT + 100 * UNIT, "merchant");
        isOver(address(usdc));
    }

    /// @dev Gas is given so that the fee's transfer can just fail: then all of it fails.
    function test_fuzz_con_11_little_gas_does_not_starve_the_fee(uint256 gasGiven) public {
        authorize(address(usdc));
        bytes memory call = abi.encodeCall(IHoldRail.capture, (SESSION, 100 * UNIT));
        gasGiven = bounded(gasGiven, 30_000, 250_000);
        vm.prank(merchant);
        (bool success,) = address(rail).call{gas: gasGiven}(call);
        uint256 fee = success ? 300_000 : 0;
        vm.assertEq(usdc.balanceOf(feeReceiver), UNIT + fee, "fee receiver");
    }

    function test_con_01_a_merchant_that_cannot_be_paid_can_be_paid_later() public {
        authorize(address(usdc));
        vm.prank(issuer);
        usdc.blacklist(merchant);
        refuses(
            merchant,
            UNIT,
            abi.encodeWithSignature("Error(string)", "Blacklistable: account is blacklisted")
        );
        vm.assertEq(remaining(), 100 * UNIT, "remaining");
        vm.assertEq(usdc.balanceOf(feeReceiver), UNIT, "fee receiver");
        vm.prank(issuer);
        usdc.unBlacklist(merchant);
        vm.prank(merchant);
        rail.capture(SESSION, UNIT);
    }

    function test_con_20_tells_what_usdt_delivered_with_its_fee_on() public {
        authorize(address(usdt));
        vm.prank(issuer);
        usdt.setParams(10, 1);
        uint256 received = 99_700_000 - 99_700_000 / 1000;
        expectCaptured(address(usdt), 100 * UNIT, received, 300_000, 0);
        vm.prank(merchant);
        rail.capture(SESSION, 100 * UNIT);
        isOver(address(usdt));
    }

    function test_con_01_odd_tokens_capture_all_or_nothing() public {
        OddToken odd = authorizedIn(merchant);
        odd.mint(address(rail), 1);
        bytes memory inexact =
            abi.encodeWithSelector(ICustodyRail.DebitNotExact.selector, address(odd), 50 * UNIT);
        bytes memory failed =
            abi.encodeWithSignature("SafeERC20FailedOperation(address)", address(odd));
        refusesOdd(odd, OddToken.Oddity.OnlyPretends, merchant, inexact);
        refusesOdd(odd, OddToken.Oddity.DebitsOneMore, merchant, inexact);
        refusesOdd(odd, OddToken.Oddity.OnlyPretends, feeReceiver, inexact);
        refusesOdd(odd, OddToken.Oddity.DebitsOneMore, feeReceiver, inexact);
        // Moves the fee and says that it did not: the merchant would be paid it once more.
        refusesOdd(odd, OddToken.Oddity.ReturnsTwo, feeReceiver, inexact);
        refusesOdd(odd, OddToken.Oddity.ReturnsFalse, merchant, failed);
        refusesOdd(odd, OddToken.Oddity.ReturnsTwo, merchant, failed);
        refusesOdd(
            odd, OddToken.Oddity.Reverts, merchant, abi.encodeWithSignature("Error(string)", "odd")
        );
        odd.misbehave(OddToken.Oddity.ReturnsNothing, merchant);
        vm.prank(merchant);
        rail.capture(SESSION, 50 * UNIT);
        vm.assertEq(odd.balanceOf(merchant), 50 * UNIT - 150_000, "merchant");
    }

    function test_con_11_odd_fee_receivers_never_block_a_merchant() public {
        OddToken odd = authorizedIn(merchant);
        OddToken.Oddity[3] memory oddities = [
            OddToken.Oddity.Reverts,
            OddToken.Oddity.RevertsWithHugeData,
            OddToken.Oddity.ReturnsFalse
        ];
        for (uint256 index = 0; index < oddities.length; index++) {
            odd.misbehave(oddities[index], feeReceiver);
            expectCaptured(address(odd), UNIT, UNIT, 0, 100 * UNIT - (index + 1) * UNIT);
            vm.prank(merchant);
            rail.capture(SESSION, UNIT);
        }
        vm.assertEq(odd.balanceOf(merchant), 3 * UNIT, "merchant");
        vm.assertEq(odd.balanceOf(feeReceiver), 0, "fee receiver");
    }

    function test_con_02_capturing_inside_a_capture_is_refused() public {
        ReentrantMerchant thief = new ReentrantMerchant(rail, SESSION);
        OddToken odd = authorizedIn(address(thief));
        odd.misbehave(OddToken.Oddity.TellsReceiverFirst, address(thief));
        thief.capture(40 * UNIT);
        vm.assertEq(bytes32(thief.captureRefusal()), bytes32(bytes4(reentered())), "capture");
        vm.assertEq(bytes32(thief.voidRefusal()), bytes32(bytes4(reentered())), "void");
        vm.assertEq(odd.balanceOf(address(thief)), 40 * UNIT - 120_000, "thief");
        vm.assertEq(remaining(), 60 * UNIT, "remaining");
    }

    function test_fuzz_captures_add_up(uint256 first, uint256 second, bool inUsdt) public {
        address token = inUsdt ? address(usdt) : address(usdc);
        authorize(token);
        first = bounded(first, 2, 100 * UNIT - 2);
        second = bounded(second, 2, 100 * UNIT - first);
        vm.prank(merchant);
        rail.capture(SESSION, first);
        vm.prank(merchant);
        rail.capture(SESSION, second);
        uint256 fees = feeOf(first) + feeOf(second);
        vm.assertEq(balance(token, feeReceiver), UNIT + fees, "fee receiver");
        vm.assertEq(balance(token, merchant), UNIT + first + second - fees, "merchant");
        vm.assertEq(remaining(), 100 * UNIT - first - second, "remaining");
        vm.assertEq(balance(token, address(rail)), 100 * UNIT - first - second, "rail");
    }

    function authorizedIn(address receiver) private returns (OddToken odd) {
        odd = new OddToken();
        odd.mint(payer, FUNDS);
        vm.prank(payer);
        odd.approve(address(router), FUNDS);
        IPaymentRouter.RoutedOrder memory order = holding(address(odd));
        order.merchant = receiver;
        route(order);
    }

    function expectCaptured(
        address token,
        uint256 amount,
        uint256 merchantReceived,
        uint256 feeReceived,
        uint256 left
    ) private {
        vm.expectEmit(address(rail));
        emit IHoldRail.Captured(
            SESSION, merchant, token, amount, merchantReceived, feeReceived, left
        );
    }

    function refuses(address account, uint256 amount, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(account);
        rail.capture(SESSION, amount);
    }

    function refusesOdd(OddToken odd, OddToken.Oddity oddity, address victim, bytes memory reason)
        private
    {
        odd.misbehave(oddity, victim);
        refuses(merchant, 50 * UNIT, reason);
        vm.assertEq(remaining(), 100 * UNIT, "remaining");
    }

    function refusesAbove(uint256 amount, uint256 left) private {
        refuses(
            merchant,
            amount,
            abi.encodeWithSelector(IHoldRail.CaptureAboveRemaining.selector, amount, left)
        );
    }
}
