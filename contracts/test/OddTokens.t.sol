// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {CollectorTest} from "./support/CollectorTest.sol";
import {OddToken} from "./support/OddToken.sol";
import {Vm} from "./support/Vm.sol";

/// @notice Every way to pay against every oddity of a token, towards each receiver in turn and
///         towards all of them. A payment is refused and changes nothing, or it is told exactly
///         as it happened; and nothing is left on the way.
contract OddTokensTest is CollectorTest {
    enum Entry {
        Pay,
        Authorization,
        Permit2,
        Permit,
        Deposit,
        Route,
        RouteByAuthorization,
        RouteByPermit2,
        RouteByPermit,
        RouteFromDeposit
    }

    uint256 private constant GAS = 5_000_000;

    OddToken private odd;
    uint256 private sessions;
    uint256 private paidCount;
    uint256 private refusedCount;

    function setUp() public override {
        super.setUp();
        odd = new OddToken();
        odd.mint(payer, FUNDS);
        vm.startPrank(payer);
        odd.approve(address(router), FUNDS);
        odd.approve(PERMIT2, FUNDS);
        vm.stopPrank();
    }

    function test_con_01_pay() public {
        survives(Entry.Pay);
    }

    function test_con_01_pay_with_authorization() public {
        survives(Entry.Authorization);
    }

    function test_con_01_pay_with_permit2() public {
        survives(Entry.Permit2);
    }

    function test_con_01_pay_with_permit() public {
        survives(Entry.Permit);
    }

    function test_con_01_pay_from_a_deposit() public {
        survives(Entry.Deposit);
    }

    function test_con_01_route() public {
        survives(Entry.Route);
    }

    function test_con_01_route_with_authorization() public {
        survives(Entry.RouteByAuthorization);
    }

    function test_con_01_route_with_permit2() public {
        survives(Entry.RouteByPermit2);
    }

    function test_con_01_route_with_permit() public {
        survives(Entry.RouteByPermit);
    }

    function test_con_01_route_from_a_deposit() public {
        survives(Entry.RouteFromDeposit);
    }

    function survives(Entry entry) private {
        address[5] memory victims = [address(0), merchant, feeReceiver, erc3009, address(rail)];
        uint256 last = uint256(type(OddToken.Oddity).max);
        vm.assertTrue(last >= 20, "too few oddities");
        for (uint256 oddity = 0; oddity <= last; oddity++) {
            for (uint256 index = 0; index < victims.length; index++) {
                survives(entry, OddToken.Oddity(oddity), victims[index]);
            }
        }
        vm.assertTrue(paidCount > 20 && refusedCount > 20, "all paid, or all refused");
    }

    function survives(Entry entry, OddToken.Oddity oddity, address victim) private {
        sessions += 1;
        bytes32 session = bytes32(sessions);
        (address account, bytes memory call) = prepared(entry, session);
        uint256[3] memory before = moneyOf(account);
        odd.misbehave(oddity, victim);
        vm.recordLogs();
        vm.prank(account == payer ? payer : relayer);
        (bool success,) = address(router).call{gas: GAS}(call);
        if (success) {
            paidCount += 1;
            toldAsItHappened(session, before[1], rebases(oddity));
        } else {
            refusedCount += 1;
        }
        odd.misbehave(OddToken.Oddity.None, address(0));
        vm.assertEq(router.paid(session), success, "paid");
        if (!success) changedNothing(account, before);
        // What a token only says it moved stays where it was, on the way.
        uint256 left = lies(oddity) ? 101 * UNIT : 0;
        nothingStuck(left);
    }

    function lies(OddToken.Oddity oddity) private pure returns (bool) {
        return oddity == OddToken.Oddity.OnlyPretends || oddity == OddToken.Oddity.MovesHalf
            || oddity == OddToken.Oddity.DebitsNothing || oddity == OddToken.Oddity.CreditsOneMore;
    }

    function rebases(OddToken.Oddity oddity) private pure returns (bool) {
        return
            oddity == OddToken.Oddity.HalvesBalances || oddity == OddToken.Oddity.DoublesBalances;
    }

    function changedNothing(address account, uint256[3] memory before) private view {
        uint256[3] memory afterwards = moneyOf(account);
        for (uint256 index = 0; index < 3; index++) {
            vm.assertEq(afterwards[index], before[index], "a refusal moved money");
        }
    }

    function nothingStuck(uint256 left) private {
        address[4] memory stations = [address(router), permit2, permit, address(deposits)];
        for (uint256 index = 0; index < stations.length; index++) {
            vm.assertLe(odd.balanceOf(stations[index]), left, "stuck");
            empty(stations[index]);
        }
        vm.assertLe(odd.balanceOf(address(rail)), left, "stuck in the rail");
        empty(address(rail));
    }

    function empty(address station) private {
        uint256 rest = odd.balanceOf(station);
        if (rest == 0) return;
        vm.prank(station);
        odd.transfer(stranger, rest);
    }

    /// @dev The last event of the router, against what the token itself says now.
    function toldAsItHappened(bytes32 session, uint256 merchantBefore, bool isRebasing) private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        Vm.Log memory last = logs[logs.length - 1];
        vm.assertEq(last.emitter, address(router), "emitter");
        vm.assertEq(last.topics[1], session, "session");
        uint256 received;
        uint256 fee;
        if (last.topics[0] == IPaymentRouter.Paid.selector) {
            (, received, fee,) = abi.decode(last.data, (address, uint256, uint256, address));
            vm.assertTrue(received != 0, "told of nothing");
        } else {
            (,,, fee,,,,, received,) = abi.decode(
                last.data,
                (
                    address,
                    address,
                    uint256,
                    uint256,
                    address,
                    uint256,
                    address,
                    uint256,
                    uint256,
                    bytes
                )
            );
            vm.assertLe(99_700_000, received, "too little through the rail");
        }
        // A rail measures after balances changed by themselves, so only its word is left then.
        bool isMeasured = last.topics[0] == IPaymentRouter.Paid.selector || !isRebasing;
        if (isMeasured) {
            vm.assertEq(odd.balanceOf(merchant) - merchantBefore, received, "received");
        }
        vm.assertTrue(fee == 0 || fee == 300_000, "fee");
    }

    function moneyOf(address account) private view returns (uint256[3] memory) {
        return [odd.balanceOf(account), odd.balanceOf(merchant), odd.balanceOf(feeReceiver)];
    }

    function prepared(Entry entry, bytes32 session)
        private
        returns (address account, bytes memory call)
    {
        if (entry >= Entry.Route) return routed(entry, session);
        IPaymentRouter.PaymentOrder memory order = orderIn(address(odd));
        order.sessionKey = session;
        bytes memory signature = signed(order);
        if (entry == Entry.Pay) {
            return (payer, abi.encodeCall(IPaymentRouter.pay, (order, signature)));
        }
        address by;
        bytes memory data;
        (account, by, data) = (payer, erc3009, "");
        if (entry == Entry.Permit2) (by, data) = (permit2, dataPermit2(order, sessions));
        if (entry == Entry.Permit) (by, data) = (permit, abi.encode(LATER, 27, 0, 0));
        if (entry == Entry.Deposit) {
            (by, data) = (address(deposits), abi.encode(termsOf(order)));
            account = deposits.addressOf(termsOf(order));
            odd.mint(account, 100 * UNIT);
        }
        call = abi.encodeCall(IPaymentRouter.payWith, (order, signature, account, by, data));
    }

    function routed(Entry entry, bytes32 session)
        private
        returns (address account, bytes memory call)
    {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(odd));
        order.sessionKey = session;
        bytes memory signature = signedRouted(order);
        if (entry == Entry.Route) {
            return (payer, abi.encodeCall(IPaymentRouter.route, (order, signature)));
        }
        address by;
        bytes memory data;
        (account, by, data) = (payer, erc3009, "");
        if (entry == Entry.RouteByPermit2) {
            bytes32 digest = router.digestOfRouted(order);
            bytes32 hash =
                transferHash(payer, address(odd), order.amount, order.feeAmount, digest, sessions);
            (by, data) = (permit2, abi.encodePacked(sessions, signedWith(PAYER_KEY, hash)));
        }
        if (entry == Entry.RouteByPermit) (by, data) = (permit, abi.encode(LATER, 27, 0, 0));
        if (entry == Entry.RouteFromDeposit) {
            IPaymentRouter.PaymentOrder memory direct = orderIn(address(odd));
            direct.sessionKey = session;
            (by, data) = (address(deposits), abi.encode(termsOf(direct)));
            account = deposits.addressOf(termsOf(direct));
            odd.mint(account, order.amount + order.feeAmount);
        }
        call = abi.encodeCall(IPaymentRouter.routeWith, (order, signature, account, by, data));
    }
}
