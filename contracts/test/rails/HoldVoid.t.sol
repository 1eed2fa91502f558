// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICustodyRail} from "../../src/interfaces/ICustodyRail.sol";
import {IHoldRail} from "../../src/interfaces/IHoldRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {HoldTest} from "../support/HoldTest.sol";
import {OddToken} from "../support/OddToken.sol";

/// @notice `HoldRail.void`: the merchant's side lets the rest go, back to the payer.
contract HoldVoidTest is HoldTest {
    function test_the_merchant_voids_in_usdc() public {
        sendsAllBack(address(usdc), merchant);
    }

    function test_the_operator_voids_in_usdt() public {
        sendsAllBack(address(usdt), operator);
    }

    function sendsAllBack(address token, address caller) private {
        authorize(token);
        vm.expectEmit(address(rail));
        emit IHoldRail.Voided(SESSION, payer, token, 100 * UNIT);
        vm.prank(caller);
        rail.void(SESSION);
        vm.assertEq(balance(token, payer), FUNDS, "payer");
        isOver(token);
        refuses(caller, nothingHeld());
    }

    function test_sends_back_what_was_not_captured() public {
        authorize(address(usdc));
        vm.startPrank(merchant);
        rail.capture(SESSION, 30 * UNIT);
        vm.expectEmit(address(rail));
        emit IHoldRail.Voided(SESSION, payer, address(usdc), 70 * UNIT);
        rail.void(SESSION);
        vm.stopPrank();
        vm.assertEq(usdc.balanceOf(payer), FUNDS - 30 * UNIT, "payer");
        isOver(address(usdc));
    }

    function test_nothing_can_be_captured_afterwards() public {
        authorize(address(usdc));
        vm.startPrank(merchant);
        rail.void(SESSION);
        vm.expectRevert(nothingHeld());
        rail.capture(SESSION, 2);
        vm.stopPrank();
        vm.warp(CAPTURE_BEFORE);
        vm.expectRevert(nothingHeld());
        rail.reclaim(SESSION);
    }

    function test_works_after_the_time_to_capture_too() public {
        authorize(address(usdc));
        vm.warp(CAPTURE_BEFORE + 1);
        vm.prank(merchant);
        rail.void(SESSION);
        vm.assertEq(usdc.balanceOf(payer), FUNDS, "payer");
    }

    function test_con_16_nobody_else_voids() public {
        authorize(address(usdc));
        address[4] memory others = [payer, stranger, owner, feeReceiver];
        for (uint256 index = 0; index < others.length; index++) {
            refuses(others[index], notMerchantSide(others[index]));
        }
    }

    function test_refuses_what_never_came() public {
        refuses(merchant, nothingHeld());
    }

    function test_con_01_a_token_that_only_pretends_voids_nothing() public {
        OddToken odd = new OddToken();
        odd.mint(payer, FUNDS);
        vm.prank(payer);
        odd.approve(address(router), FUNDS);
        authorize(address(odd));
        odd.misbehave(OddToken.Oddity.OnlyPretends, payer);
        refuses(
            merchant,
            abi.encodeWithSelector(ICustodyRail.DebitNotExact.selector, address(odd), 100 * UNIT)
        );
        vm.assertEq(remaining(), 100 * UNIT, "remaining");
    }

    function refuses(address account, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(account);
        rail.void(SESSION);
    }
}
