// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICustodyRail} from "../../src/interfaces/ICustodyRail.sol";
import {IEscrowRail} from "../../src/interfaces/IEscrowRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {ISettlementRail} from "../../src/interfaces/ISettlementRail.sol";
import {EscrowTest} from "../support/EscrowTest.sol";
import {OddToken} from "../support/OddToken.sol";

/// @notice `EscrowRail.start`: the payer's money waits under the hash of its terms.
contract EscrowStartTest is EscrowTest {
    function test_keeps_the_money_and_tells_the_terms() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        vm.expectEmit(address(escrow));
        emit IEscrowRail.Escrowed(
            idOf(order),
            order.sessionKey,
            payer,
            order.token,
            order.amount,
            NOW + 10 minutes,
            NOW + 60 minutes
        );
        expectRouted(order, order.amount, 0);
        route(order);
        vm.assertEq(usdt.balanceOf(address(escrow)), order.amount, "escrow");
        vm.assertEq(usdt.balanceOf(payer), FUNDS - order.amount - order.feeAmount, "payer");
        vm.assertEq(usdt.balanceOf(merchant), UNIT, "merchant");
        vm.assertEq(escrow.owed(address(usdt)), order.amount, "owed");
    }

    function test_remembers_what_is_owed_to_whom() public {
        IEscrowRail.Escrow memory found = escrow.escrows(escrowed());
        vm.assertEq(found.payer, payer, "payer");
        vm.assertEq(found.token, address(usdt), "token");
        vm.assertEq(uint256(found.amount), 100 * UNIT, "amount");
        vm.assertEq(found.sessionKey, keccak256("session"), "session");
        vm.assertEq(uint256(found.startedAt), NOW + 1, "since");
        vm.assertEq(uint256(found.reclaimAfter), NOW + 60 minutes, "reclaimAfter");
        vm.assertTrue(found.state == IEscrowRail.State.OPEN, "state");
    }

    function test_the_id_is_the_hash_of_every_term() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        vm.assertEq(escrow.orderIdOf(termsOf(order)), idOf(order), "id");
        bytes32[12] memory words = abi.decode(abi.encode(termsOf(order)), (bytes32[12]));
        for (uint256 index = 0; index < words.length; index++) {
            bytes32 kept = words[index];
            words[index] = bytes32(uint256(kept) ^ 1);
            vm.assertTrue(keccak256(abi.encode(words)) != idOf(order), "a term is not bound");
            words[index] = kept;
        }
        route(order);
        vm.assertTrue(escrow.escrows(idOf(order)).state == IEscrowRail.State.OPEN, "not this id");
    }

    function test_fuzz_keeps_any_amount(uint256 amount, bool inUsdt) public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.token = inUsdt ? address(usdt) : address(usdc);
        order.amount = bounded(amount, 1, FUNDS / 2);
        order.feeAmount = 0;
        order.merchantAmount = order.amount;
        route(order);
        vm.assertEq(balance(order.token, address(escrow)), order.amount, "escrow");
        vm.assertEq(escrow.owed(order.token), order.amount, "owed");
    }

    function test_times_at_their_bounds() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        uint256 longest = NOW + 1 + escrow.MAX_RECLAIM_DELAY();
        refusesTimes(order, NOW, NOW + 60 minutes);
        refusesTimes(order, NOW + 2, NOW + 2);
        refusesTimes(order, NOW + 3, NOW + 2);
        refusesTimes(order, NOW + 2, longest + 1);
        refusesTimes(order, type(uint256).max, type(uint256).max);
        order.railData = abi.encode(NOW + 1, NOW + 2);
        route(order);
        order.sessionKey = keccak256("second");
        order.railData = abi.encode(longest - 1, longest);
        route(order);
    }

    function test_refuses_the_own_network_and_none() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.settlementChainId = HOME_CHAIN;
        refusesRoute(order, unsupported());
        order.settlementChainId = 0;
        refusesRoute(order, unsupported());
    }

    function test_refuses_terms_of_another_length() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.railData = abi.encode(NOW + 10 minutes);
        refusesRoute(order, unsupported());
        order.railData = abi.encode(NOW + 10 minutes, NOW + 60 minutes, uint256(0));
        refusesRoute(order, unsupported());
    }

    function test_refuses_to_promise_nothing() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.merchantAmount = 0;
        startsUnfunded(order, address(router), unsupported());
    }

    function test_refuses_the_same_order_again() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        route(order);
        fund(address(escrow), order.amount);
        startsUnfunded(
            order,
            address(router),
            abi.encodeWithSelector(IEscrowRail.AlreadyEscrowed.selector, idOf(order))
        );
    }

    function test_con_12_refuses_more_than_96_bits() public {
        OddToken odd = new OddToken();
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.token = address(odd);
        order.amount = uint256(type(uint96).max) + 1;
        odd.mint(address(escrow), 2 * order.amount);
        startsUnfunded(
            order,
            address(router),
            abi.encodeWithSelector(ICustodyRail.AmountTooLarge.selector, order.amount)
        );
        order.amount -= 1;
        vm.prank(address(router));
        escrow.start(deliveryOf(order), order.railData);
    }

    function test_only_the_router_starts_it() public {
        refusesStrangers(crossing());
    }

    function test_con_01_money_of_others_does_not_count_as_received() public {
        refusesMissingMoney(crossing());
        escrowed();
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.sessionKey = keccak256("second");
        startsUnfunded(order, address(router), notReceived(address(usdt), 200 * UNIT, 100 * UNIT));
        fund(address(escrow), 100 * UNIT - 1);
        startsUnfunded(
            order, address(router), notReceived(address(usdt), 200 * UNIT, 200 * UNIT - 1)
        );
    }

    function test_con_01_refuses_usdt_with_its_fee_on() public {
        vm.prank(issuer);
        usdt.setParams(10, 1);
        IPaymentRouter.RoutedOrder memory order = crossing();
        refusesRoute(
            order,
            abi.encodeWithSelector(
                IPaymentRouter.RailNotFunded.selector,
                address(usdt),
                address(escrow),
                order.amount - order.amount / 1000,
                order.amount
            )
        );
    }

    function test_con_15_stray_tokens_are_not_owed() public {
        fund(address(escrow), 7 * UNIT);
        escrowed();
        vm.assertEq(escrow.owed(address(usdt)), 100 * UNIT, "owed");
        vm.assertEq(usdt.balanceOf(address(escrow)), 107 * UNIT, "balance");
        (bool sent,) = address(escrow).call{value: 1}("");
        vm.assertEq(sent, false, "plain ether was taken");
    }

    function test_a_removed_rail_takes_no_new_orders() public {
        vm.prank(owner);
        router.removeRail(address(escrow));
        IPaymentRouter.RoutedOrder memory order = crossing();
        refusesRoute(
            order, abi.encodeWithSelector(IPaymentRouter.RailUnknown.selector, address(escrow))
        );
    }

    function refusesTimes(
        IPaymentRouter.RoutedOrder memory order,
        uint256 fillDeadline,
        uint256 reclaimAfter
    ) private {
        order.railData = abi.encode(fillDeadline, reclaimAfter);
        refusesRoute(
            order,
            abi.encodeWithSelector(IEscrowRail.BadTimes.selector, fillDeadline, reclaimAfter)
        );
    }
}
