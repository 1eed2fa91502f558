// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDepositCollector} from "../src/interfaces/IDepositCollector.sol";
import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {ITokenCollector} from "../src/interfaces/ITokenCollector.sol";
import {IRouter} from "./support/Interfaces.sol";
import {CollectorTest} from "./support/CollectorTest.sol";
import {ITransferHook, OddToken} from "./support/OddToken.sol";

/// @notice A merchant that is told of money before it comes, and calls whatever it is told to.
contract ReentrantMerchant is ITransferHook {
    address private _target;
    bytes private _call;
    IRouter private _router;
    bytes32 private _session;
    bool public succeeded;
    bytes4 public refusal;
    bool public sawPaid;

    function prepare(IRouter router, bytes32 session, address target, bytes calldata call)
        external
    {
        (_router, _session, _target, _call) = (router, session, target, call);
        (succeeded, refusal, sawPaid) = (false, 0, false);
    }

    function beforeTransfer() external {
        sawPaid = _router.paid(_session);
        bytes memory answer;
        (succeeded, answer) = _target.call(_call);
        if (!succeeded) refusal = bytes4(answer);
    }
}

/// @notice Calls back into the router, across functions, while money moves.
contract ReentrancyTest is CollectorTest {
    bytes4 private constant REFUSAL = bytes4(keccak256("ReentrancyGuardReentrantCall()"));

    OddToken private odd;
    ReentrantMerchant private attacker;

    function setUp() public override {
        super.setUp();
        odd = new OddToken();
        attacker = new ReentrantMerchant();
        merchant = address(attacker);
        odd.mint(payer, FUNDS);
        vm.startPrank(payer);
        odd.approve(address(router), FUNDS);
        odd.approve(PERMIT2, FUNDS);
        vm.stopPrank();
        odd.misbehave(OddToken.Oddity.TellsReceiverFirst, merchant);
    }

    function test_con_02_no_entry_point_opens_another() public {
        IPaymentRouter.PaymentOrder memory second = orderIn(address(odd));
        second.sessionKey = keccak256("second");
        IPaymentRouter.RoutedOrder memory routed = routedOrderIn(address(odd));
        routed.sessionKey = keccak256("second");
        bytes[4] memory calls = [
            abi.encodeCall(IPaymentRouter.pay, (second, signed(second))),
            abi.encodeCall(IPaymentRouter.payWith, (second, signed(second), payer, erc3009, "")),
            abi.encodeCall(IPaymentRouter.route, (routed, signedRouted(routed))),
            abi.encodeCall(
                IPaymentRouter.routeWith, (routed, signedRouted(routed), payer, erc3009, "")
            )
        ];
        for (uint256 index = 0; index < calls.length; index++) {
            for (uint256 entry = 0; entry < 4; entry++) {
                attackDuring(entry, keccak256(abi.encode(index, entry)), calls[index]);
            }
        }
        vm.assertEq(router.paid(keccak256("second")), false, "second was paid");
    }

    /// @dev Collecting is refused to everybody but the router, in the middle of a payment, too.
    function test_con_02_collectors_cannot_be_called_from_a_payment() public {
        attacker.prepare(
            router,
            keccak256("first"),
            permit,
            abi.encodePacked(ITokenCollector.collect.selector, new bytes(1000))
        );
        payEntry(1, keccak256("first"));
        vm.assertTrue(!attacker.succeeded(), "collected");
    }

    /// @dev A recovery during a sweep takes the deposit away from it, and goes where it must.
    function test_con_02_a_recovery_during_a_sweep_stops_the_sweep() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(odd));
        order.deadline = NOW + 2 days;
        IDepositCollector.DepositTerms memory terms = termsOf(order);
        address deposit = deposits.addressOf(terms);
        odd.mint(deposit, 100 * UNIT);
        vm.warp(terms.refundableAfter + 1);
        attacker.prepare(
            router,
            order.sessionKey,
            address(deposits),
            abi.encodeCall(IDepositCollector.recover, (terms, address(odd)))
        );
        refusesWith(
            order,
            deposit,
            address(deposits),
            abi.encode(terms),
            abi.encodeWithSelector(
                IPaymentRouter.TransferFailed.selector,
                address(odd),
                deposit,
                merchant,
                order.merchantAmount
            )
        );
        vm.assertEq(odd.balanceOf(refundTo), 0, "the recovery was undone with the sweep");
    }

    function attackDuring(uint256 entry, bytes32 session, bytes memory call) private {
        attacker.prepare(router, session, address(router), call);
        uint256 before = odd.balanceOf(merchant);
        payEntry(entry, session);
        vm.assertEq(bytes32(attacker.refusal()), bytes32(REFUSAL), "refusal");
        vm.assertTrue(attacker.sawPaid(), "the session counted as unpaid meanwhile");
        vm.assertEq(odd.balanceOf(merchant), before + 99_700_000, "paid once");
    }

    function payEntry(uint256 entry, bytes32 session) private {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(odd));
        order.sessionKey = session;
        IPaymentRouter.RoutedOrder memory routed = routedOrderIn(address(odd));
        routed.sessionKey = session;
        bytes memory signature = entry < 2 ? signed(order) : signedRouted(routed);
        vm.prank(payer);
        if (entry == 0) router.pay(order, signature);
        if (entry == 1) router.payWith(order, signature, payer, erc3009, "");
        if (entry == 2) router.route(routed, signature);
        if (entry == 3) router.routeWith(routed, signature, payer, erc3009, "");
    }
}
