// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IHoldRail} from "../../src/interfaces/IHoldRail.sol";
import {HoldTest} from "../support/HoldTest.sol";

/// @notice `HoldRail.reclaim`: back to the payer, without anybody's leave, when the time is over.
contract HoldReclaimTest is HoldTest {
    function test_anybody_sends_the_rest_back_to_the_payer_once() public {
        authorize(address(usdt));
        vm.prank(merchant);
        rail.capture(SESSION, 25 * UNIT);
        vm.warp(CAPTURE_BEFORE);
        vm.expectEmit(address(rail));
        emit IHoldRail.Reclaimed(SESSION, payer, address(usdt), 75 * UNIT);
        vm.prank(stranger);
        rail.reclaim(SESSION);
        vm.assertEq(usdt.balanceOf(payer), FUNDS - 25 * UNIT, "payer");
        vm.assertEq(usdt.balanceOf(stranger), 0, "caller");
        isOver(address(usdt));
        refuses(nothingHeld());
    }

    function test_refuses_the_second_before() public {
        authorize(address(usdc));
        vm.warp(CAPTURE_BEFORE - 1);
        refuses(
            abi.encodeWithSelector(
                IHoldRail.ReclaimTooEarly.selector, CAPTURE_BEFORE, CAPTURE_BEFORE - 1
            )
        );
        vm.warp(CAPTURE_BEFORE);
        rail.reclaim(SESSION);
        vm.assertEq(usdc.balanceOf(payer), FUNDS, "payer");
    }

    function test_refuses_what_never_came_or_was_captured() public {
        vm.warp(CAPTURE_BEFORE);
        refuses(nothingHeld());
        vm.warp(NOW);
        authorize(address(usdc));
        vm.prank(merchant);
        rail.capture(SESSION, 100 * UNIT);
        vm.warp(CAPTURE_BEFORE);
        refuses(nothingHeld());
    }

    function test_con_16_works_while_everything_else_is_switched_off() public {
        authorize(address(usdc));
        vm.startPrank(owner);
        router.pause();
        router.removeRail(address(rail));
        vm.stopPrank();
        vm.warp(CAPTURE_BEFORE);
        vm.prank(payer);
        rail.reclaim(SESSION);
        vm.assertEq(usdc.balanceOf(payer), FUNDS, "payer");
    }

    function test_con_01_a_payer_that_cannot_be_paid_can_be_paid_later() public {
        authorize(address(usdc));
        vm.warp(CAPTURE_BEFORE);
        vm.prank(issuer);
        usdc.blacklist(payer);
        refuses(abi.encodeWithSignature("Error(string)", "Blacklistable: account is blacklisted"));
        vm.assertEq(remaining(), 100 * UNIT, "remaining");
        vm.prank(issuer);
        usdc.unBlacklist(payer);
        rail.reclaim(SESSION);
        vm.assertEq(usdc.balanceOf(payer), FUNDS, "payer");
    }

    function test_fuzz_at_each_second_either_capture_or_reclaim(uint256 when) public {
        authorize(address(usdc));
        when = NOW + bounded(when, 0, 2 days);
        vm.warp(when);
        vm.prank(merchant);
        (bool captured,) =
            address(rail).call(abi.encodeCall(IHoldRail.capture, (SESSION, 40 * UNIT)));
        (bool reclaimed,) = address(rail).call(abi.encodeCall(IHoldRail.reclaim, (SESSION)));
        vm.assertEq(captured, when < CAPTURE_BEFORE, "captured");
        vm.assertEq(reclaimed, !captured, "reclaimed");
    }

    function refuses(bytes memory reason) private {
        vm.expectRevert(reason);
        rail.reclaim(SESSION);
    }
}
