// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICustodyRail} from "../../src/interfaces/ICustodyRail.sol";
import {IEscrowRail} from "../../src/interfaces/IEscrowRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {EscrowTest} from "../support/EscrowTest.sol";
import {OddToken} from "../support/OddToken.sol";

/// @notice `EscrowRail.reclaim`: back to the payer, without anybody's leave, when the time is over.
contract EscrowReclaimTest is EscrowTest {
    uint256 private constant RECLAIM_AFTER = NOW + 60 minutes;

    function test_anybody_sends_it_back_to_the_payer_once() public {
        bytes32 orderId = escrowed();
        vm.warp(RECLAIM_AFTER);
        vm.expectEmit(address(escrow));
        emit IEscrowRail.Reclaimed(orderId, keccak256("session"), payer, address(usdt), 100 * UNIT);
        vm.prank(stranger);
        escrow.reclaim(orderId);
        vm.assertEq(usdt.balanceOf(payer), FUNDS - 300_000, "payer");
        vm.assertEq(usdt.balanceOf(stranger), 0, "caller");
        vm.assertEq(usdt.balanceOf(address(escrow)), 0, "escrow");
        vm.assertEq(escrow.owed(address(usdt)), 0, "owed");
        refuses(orderId, notOpen(orderId, IEscrowRail.State.RECLAIMED));
        bytes memory proof = proofOf(orderId, solver);
        vm.expectRevert(notOpen(orderId, IEscrowRail.State.RECLAIMED));
        escrow.release(orderId, solver, proof);
    }

    function test_refuses_the_second_before() public {
        bytes32 orderId = escrowed();
        vm.warp(RECLAIM_AFTER - 1);
        refuses(
            orderId,
            abi.encodeWithSelector(
                IEscrowRail.ReclaimTooEarly.selector, RECLAIM_AFTER, RECLAIM_AFTER - 1
            )
        );
        vm.warp(RECLAIM_AFTER);
        escrow.reclaim(orderId);
    }

    function test_refuses_what_never_came() public {
        refuses(bytes32(uint256(1)), notOpen(bytes32(uint256(1)), IEscrowRail.State.NONE));
    }

    function test_con_16_works_while_everything_else_is_switched_off() public {
        bytes32 orderId = escrowed();
        vm.startPrank(owner);
        router.pause();
        router.removeRail(address(escrow));
        escrow.removeSolver(solver);
        escrow.transferOwnership(stranger);
        vm.stopPrank();
        vm.warp(RECLAIM_AFTER);
        vm.prank(payer);
        escrow.reclaim(orderId);
        vm.assertEq(usdt.balanceOf(payer), FUNDS - 300_000, "payer");
    }

    function test_con_01_a_payer_that_cannot_be_paid_can_be_paid_later() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.token = address(usdc);
        route(order);
        vm.warp(RECLAIM_AFTER);
        vm.prank(issuer);
        usdc.blacklist(payer);
        refuses(
            idOf(order),
            abi.encodeWithSignature("Error(string)", "Blacklistable: account is blacklisted")
        );
        vm.prank(issuer);
        usdc.unBlacklist(payer);
        escrow.reclaim(idOf(order));
        vm.assertEq(usdc.balanceOf(payer), FUNDS - 300_000, "payer");
    }

    function test_con_01_usdt_with_its_fee_on_debits_what_is_owed() public {
        bytes32 orderId = escrowed();
        fund(address(escrow), UNIT);
        vm.prank(issuer);
        usdt.setParams(10, 1);
        vm.warp(RECLAIM_AFTER);
        escrow.reclaim(orderId);
        vm.assertEq(usdt.balanceOf(address(escrow)), UNIT, "others' money was touched");
        vm.assertEq(usdt.balanceOf(payer), FUNDS - 300_000 - 100_000, "payer");
    }

    function test_con_01_a_token_that_only_pretends_reclaims_nothing() public {
        OddToken odd = new OddToken();
        odd.mint(payer, FUNDS);
        vm.prank(payer);
        odd.approve(address(router), FUNDS);
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.token = address(odd);
        route(order);
        vm.warp(RECLAIM_AFTER);
        odd.misbehave(OddToken.Oddity.OnlyPretends, payer);
        refuses(
            idOf(order),
            abi.encodeWithSelector(ICustodyRail.DebitNotExact.selector, address(odd), 100 * UNIT)
        );
        odd.misbehave(OddToken.Oddity.None, payer);
        escrow.reclaim(idOf(order));
        vm.assertEq(odd.balanceOf(payer), FUNDS - 300_000, "payer");
    }

    function test_fuzz_never_before_its_time(uint256 delay, uint256 when) public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        uint256 reclaimAfter = NOW + 2 + bounded(delay, 0, 30 days - 1);
        order.railData = abi.encode(NOW + 1, reclaimAfter);
        route(order);
        when = NOW + 1 + bounded(when, 0, 60 days);
        vm.warp(when);
        if (when < reclaimAfter) {
            vm.expectRevert(
                abi.encodeWithSelector(IEscrowRail.ReclaimTooEarly.selector, reclaimAfter, when)
            );
        }
        escrow.reclaim(idOf(order));
        vm.assertEq(
            usdt.balanceOf(address(escrow)), when < reclaimAfter ? 100 * UNIT : 0, "escrow"
        );
    }

    function refuses(bytes32 orderId, bytes memory reason) private {
        vm.expectRevert(reason);
        escrow.reclaim(orderId);
    }
}
