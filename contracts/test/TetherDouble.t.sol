// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RouterTest} from "./support/RouterTest.sol";

/// @notice The double does what callers of USDT on Ethereum have to live with.
contract TetherDoubleTest is RouterTest {
    function test_is_named_like_usdt() public view {
        vm.assertEq(bytes(usdt.name()), bytes("Tether USD"), "name");
        vm.assertEq(bytes(usdt.symbol()), bytes("USDT"), "symbol");
        vm.assertEq(usdt.decimals(), 6, "decimals");
    }

    function test_returns_nothing() public {
        vm.startPrank(payer);
        returnsNothing(abi.encodeCall(usdt.transfer, (stranger, 1)));
        returnsNothing(abi.encodeCall(usdt.approve, (payer, 0)));
        returnsNothing(abi.encodeCall(usdt.approve, (payer, 5)));
        returnsNothing(abi.encodeCall(usdt.transferFrom, (payer, stranger, 2)));
        vm.stopPrank();
        vm.assertEq(usdt.balanceOf(stranger), 3, "moved");
        vm.assertEq(usdt.allowance(payer, payer), 3, "allowance left");
    }

    function test_allowance_goes_through_zero() public {
        vm.startPrank(payer);
        vm.expectRevert(bytes(""));
        usdt.approve(address(router), 1);
        usdt.approve(address(router), 0);
        usdt.approve(address(router), 1);
        vm.stopPrank();
        vm.assertEq(usdt.allowance(payer, address(router)), 1, "allowance");
    }

    function test_the_largest_allowance_is_not_used_up() public {
        vm.prank(stranger);
        usdt.approve(payer, type(uint256).max);
        fund(stranger, 10);
        vm.prank(payer);
        usdt.transferFrom(stranger, payer, 10);
        vm.assertEq(usdt.allowance(stranger, payer), type(uint256).max, "allowance");
    }

    function test_fee_goes_to_the_owner_up_to_its_maximum() public {
        vm.prank(issuer);
        usdt.setParams(19, 1);
        movesWithFee(1_000, 1);
        movesWithFee(100 * UNIT, 190_000);
        movesWithFee(1_000 * UNIT, UNIT);
    }

    function test_fee_has_bounds() public {
        vm.startPrank(issuer);
        vm.expectRevert(bytes(""));
        usdt.setParams(20, 1);
        vm.expectRevert(bytes(""));
        usdt.setParams(19, 50);
        vm.stopPrank();
    }

    function test_blacklist_stops_senders_only() public {
        vm.prank(issuer);
        usdt.addBlackList(stranger);
        vm.prank(payer);
        usdt.transfer(stranger, 7);
        vm.prank(stranger);
        vm.expectRevert(bytes(""));
        usdt.transfer(payer, 1);
        vm.prank(issuer);
        usdt.destroyBlackFunds(stranger);
        vm.assertEq(usdt.balanceOf(stranger), 0, "destroyed");
        vm.prank(issuer);
        usdt.removeBlackList(stranger);
        vm.prank(stranger);
        usdt.transfer(payer, 0);
    }

    function test_pause_stops_transfers_not_approvals() public {
        vm.prank(issuer);
        usdt.pause();
        vm.startPrank(payer);
        vm.expectRevert(bytes(""));
        usdt.transfer(stranger, 1);
        usdt.approve(stranger, 1);
        vm.stopPrank();
        vm.prank(issuer);
        usdt.unpause();
        vm.prank(payer);
        usdt.transfer(stranger, 1);
    }

    function test_supply_is_issued_to_and_redeemed_from_the_owner() public {
        uint256 before = usdt.balanceOf(issuer);
        vm.startPrank(issuer);
        usdt.issue(5);
        usdt.redeem(2);
        vm.stopPrank();
        vm.assertEq(usdt.balanceOf(issuer), before + 3, "owner");
        vm.assertEq(usdt.totalSupply(), 100 * FUNDS + 3, "supply");
    }

    function test_only_the_owner_manages() public {
        vm.startPrank(stranger);
        vm.expectRevert(bytes(""));
        usdt.issue(1);
        vm.expectRevert(bytes(""));
        usdt.setParams(1, 1);
        vm.expectRevert(bytes(""));
        usdt.addBlackList(payer);
        vm.expectRevert(bytes(""));
        usdt.pause();
        vm.expectRevert(bytes(""));
        usdt.transferOwnership(stranger);
        vm.stopPrank();
    }

    function test_too_little_balance_burns_the_gas_given() public {
        vm.prank(stranger);
        uint256 before = gasleft();
        (bool success,) =
            address(usdt).call{gas: 500_000}(abi.encodeCall(usdt.transfer, (payer, 1)));
        vm.assertTrue(!success, "moved what was not there");
        vm.assertTrue(before - gasleft() >= 500_000, "gas was given back");
    }

    function returnsNothing(bytes memory call) private {
        (bool success, bytes memory answer) = address(usdt).call(call);
        vm.assertTrue(success, "call");
        vm.assertEq(answer.length, 0, "answer");
    }

    function movesWithFee(uint256 value, uint256 fee) private {
        (uint256 toBefore, uint256 ownerBefore) =
            (usdt.balanceOf(stranger), usdt.balanceOf(issuer));
        vm.prank(payer);
        usdt.transfer(stranger, value);
        vm.assertEq(usdt.balanceOf(stranger), toBefore + value - fee, "receiver");
        vm.assertEq(usdt.balanceOf(issuer), ownerBefore + fee, "owner");
    }
}
