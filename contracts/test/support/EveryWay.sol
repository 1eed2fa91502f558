// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {ISettlementRail} from "../../src/interfaces/ISettlementRail.sol";
import {ITokenCollector} from "../../src/interfaces/ITokenCollector.sol";
import {CollectorTest} from "./CollectorTest.sol";
import {Vm} from "./Vm.sol";

/// @notice What a thief with the owner's key lists as collector and rail: it takes what it can.
contract Grabber {
    address private immutable _thief;

    constructor(address thief) {
        _thief = thief;
    }

    function collect(ITokenCollector.Collection calldata collection, bytes calldata data)
        external
        returns (uint256)
    {
        grab(collection.token, collection.payer, collection.amount);
        (address other) = abi.decode(data, (address));
        (bool success,) = other.call(abi.encodeCall(ITokenCollector.collect, (collection, data)));
        success;
        return collection.feeAmount;
    }

    function start(ISettlementRail.Delivery calldata delivery, bytes calldata)
        external
        returns (uint256 spent, uint256 delivered)
    {
        grab(delivery.token, delivery.payer, delivery.amount);
        return (delivery.amount, delivery.merchantAmount);
    }

    function grab(address token, address from, uint256 amount) private {
        try IERC20(token).transferFrom(from, _thief, amount) {} catch {}
    }
}

/// @notice Everybody who can touch a router and its collectors, doing it in any order: a payer by
///         every way, relayers of what others signed, and a thief with the keys of the owner and
///         of a signer, and with everything that was ever signed. Keeps the books beside it.
contract EveryWay is CollectorTest {
    uint256 private constant THIEF_KEY = 0x7777;
    uint256 private constant VICTIM_KEY = 0x51C71;
    uint256 private constant SESSIONS = 20;
    uint256 public constant DEPOSIT = 100 * UNIT;

    mapping(bytes32 sessionKey => uint256) public timesPaid;
    mapping(address account => uint256) public earned;
    uint256 public payments;
    uint256 public shortfalls;
    uint256 public victimSpent;
    uint256 public swept;

    address public victim = vm.addr(VICTIM_KEY);
    address public thief = vm.addr(THIEF_KEY);
    address public sleeper = named("approved everything, signed nothing");
    address public deposit;
    Grabber private grabber;
    Grabber private grabbingRail;
    bytes private authorizationData;
    bytes private transferData;
    bytes private depositData;

    function setUp() public override {
        super.setUp();
        fund(victim, FUNDS);
        fund(sleeper, FUNDS);
        (grabber, grabbingRail) = (new Grabber(thief), new Grabber(thief));
        vm.startPrank(owner);
        router.addSigner(thief);
        router.addCollector(address(grabber));
        router.addRail(address(grabbingRail));
        vm.stopPrank();
        approveEverything(sleeper);
        vm.prank(victim);
        usdc.approve(PERMIT2, FUNDS);
        approve(payer, 0);
        prepareConsents();
    }

    function sessionKey(uint256 index) public pure returns (bytes32) {
        return keccak256(abi.encode("session", index % SESSIONS));
    }

    function contracts() external view returns (address[6] memory) {
        return [
            address(router),
            permit,
            address(deposits),
            address(rail),
            address(grabber),
            address(grabbingRail)
        ];
    }

    /// @dev By each way in turn, in sessions that are few, so that paying one again is frequent.
    function payBy(uint256 way, uint256 session, uint256 amount, uint256 fee) external {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        order.sessionKey = sessionKey(session);
        order.merchantAmount = 1 + amount % (100 * UNIT);
        order.feeAmount = fee % (order.merchantAmount / 100 + 1);
        uint256 total = order.merchantAmount + order.feeAmount;
        way = way % 6;
        bytes memory call;
        if (way == 0) call = abi.encodeCall(IPaymentRouter.pay, (order, signed(order)));
        if (way == 1) call = payCall(order, payer, erc3009, data3009(order));
        if (way == 2) call = payCall(order, payer, permit2, dataPermit2(order, session));
        if (way == 3) call = payCall(order, payer, permit, dataPermit(address(usdc), total));
        if (way == 4) {
            address account = deposits.addressOf(termsOf(order));
            if (!router.paid(order.sessionKey)) fund(account, total);
            call = payCall(order, account, address(deposits), abi.encode(termsOf(order)));
        }
        if (way == 5) call = routeCall(order);
        vm.startPrank(payer);
        if (way == 0 || way == 5) usdc.approve(address(router), total);
        vm.stopPrank();
        settle(payer, call, order);
        vm.prank(payer);
        usdc.approve(address(router), 0);
    }

    /// @dev What the victim consented to, relayed by anybody.
    function relay(uint256 which) external {
        IPaymentRouter.PaymentOrder memory order = consentedTo(which % 3);
        (address account, address by, bytes memory data) = consent(which % 3);
        if (!settle(relayer, payCall(order, account, by, data), order)) return;
        if (which % 3 == 2) swept += order.merchantAmount + order.feeAmount;
        else victimSpent += order.merchantAmount + order.feeAmount;
    }

    /// @dev The thief signs terms in their own favour and adds the consents of others.
    function steal(uint256 which, uint256 from, uint256 by, uint256 term) external {
        IPaymentRouter.PaymentOrder memory order = consentedTo(which % 3);
        if (term % 4 == 0) order.merchant = thief;
        if (term % 4 == 1) order.feeReceiver = thief;
        if (term % 4 == 2) (order.merchant, order.feeReceiver) = (thief, thief);
        if (term % 4 == 3) (order.sessionKey, order.merchant) = (bytes32(term), thief);
        (,, bytes memory data) = consent(which % 3);
        address[5] memory accounts = [victim, sleeper, deposit, payer, address(router)];
        address[5] memory ways = [erc3009, permit2, permit, address(deposits), address(grabber)];
        if (by % 5 == 4) data = abi.encode(ways[which % 4]);
        bytes memory signature = signedWith(THIEF_KEY, router.digestOf(order));
        vm.prank(thief);
        try router.payWith(order, signature, accounts[from % 5], ways[by % 5], data) {} catch {}
    }

    /// @dev Through a rail of the thief's own. Deposits are left out: README.md says why.
    function stealThroughRail(uint256 which, uint256 from, uint256 by) external {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        order.sessionKey = bytes32(which);
        order.rail = address(grabbingRail);
        order.merchant = thief;
        (,, bytes memory data) = consent(which % 2);
        bytes memory signature = signedWith(THIEF_KEY, router.digestOfRouted(order));
        address[4] memory accounts = [victim, sleeper, payer, address(router)];
        address[3] memory ways = [erc3009, permit2, permit];
        vm.prank(thief);
        try router.routeWith(order, signature, accounts[from % 4], ways[by % 3], data) {} catch {}
    }

    /// @dev Bytes that nobody foresaw, by the owner's key, to each contract.
    function ownerCalls(uint256 where, bytes calldata anything) external {
        address[3] memory targets = [address(router), permit, address(deposits)];
        vm.prank(owner);
        (bool success,) = targets[where % 3].call(anything);
        success;
    }

    function recover(bool late) external {
        if (late) vm.warp(NOW + 1 days + 1);
        try deposits.recover(termsOf(consentedTo(2)), address(usdc)) {} catch {}
        vm.warp(NOW);
    }

    function settle(address caller, bytes memory call, IPaymentRouter.PaymentOrder memory order)
        private
        returns (bool success)
    {
        uint256 before = balance(address(usdc), order.merchant);
        vm.recordLogs();
        vm.prank(caller);
        (success,) = address(router).call(call);
        if (!success) return false;
        payments += 1;
        if (balance(address(usdc), order.merchant) < before + order.merchantAmount) {
            shortfalls += 1;
        }
        earned[order.merchant] += order.merchantAmount;
        earned[order.feeReceiver] += order.feeAmount;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 index = 0; index < logs.length; index++) {
            bool told = logs[index].topics[0] == IPaymentRouter.Paid.selector
                || logs[index].topics[0] == IPaymentRouter.Routed.selector;
            if (logs[index].emitter == address(router) && told) {
                timesPaid[logs[index].topics[1]] += 1;
            }
        }
    }

    function prepareConsents() private {
        IPaymentRouter.PaymentOrder memory order = consentedTo(0);
        bytes32 hash = authorization(
            victim, order.token, order.merchantAmount + order.feeAmount, router.digestOf(order)
        );
        authorizationData = signedWith(VICTIM_KEY, hash);
        order = consentedTo(1);
        hash = transferHash(
            victim, order.token, order.merchantAmount, order.feeAmount, router.digestOf(order), 0
        );
        transferData = abi.encodePacked(uint256(0), signedWith(VICTIM_KEY, hash));
        order = consentedTo(2);
        depositData = abi.encode(termsOf(order));
        deposit = deposits.addressOf(termsOf(order));
        fund(deposit, DEPOSIT);
    }

    function consentedTo(uint256 which)
        private
        view
        returns (IPaymentRouter.PaymentOrder memory order)
    {
        order = orderIn(address(usdc));
        order.sessionKey = keccak256(abi.encode("the victim's", which));
    }

    function consent(uint256 which) private view returns (address, address, bytes memory) {
        if (which == 0) return (victim, erc3009, authorizationData);
        if (which == 1) return (victim, permit2, transferData);
        return (deposit, address(deposits), depositData);
    }

    function payCall(
        IPaymentRouter.PaymentOrder memory order,
        address account,
        address by,
        bytes memory data
    ) private view returns (bytes memory) {
        return abi.encodeCall(IPaymentRouter.payWith, (order, signed(order), account, by, data));
    }

    function routeCall(IPaymentRouter.PaymentOrder memory order)
        private
        view
        returns (bytes memory)
    {
        IPaymentRouter.RoutedOrder memory routed = routedOrderIn(address(usdc));
        routed.sessionKey = order.sessionKey;
        routed.amount = order.merchantAmount;
        routed.merchantAmount = order.merchantAmount;
        routed.feeAmount = order.feeAmount;
        return abi.encodeCall(IPaymentRouter.route, (routed, signedRouted(routed)));
    }

    function approveEverything(address account) private {
        address[4] memory spenders = [address(router), permit2, permit, address(deposits)];
        vm.startPrank(account);
        for (uint256 index = 0; index < spenders.length; index++) {
            usdc.approve(spenders[index], type(uint256).max);
        }
        vm.stopPrank();
    }

    function token() external view returns (IERC20) {
        return usdc;
    }

    function isPaid(bytes32 session) external view returns (bool) {
        return router.paid(session);
    }

    function known() external view returns (address[9] memory) {
        return
            [
                payer,
                victim,
                thief,
                sleeper,
                deposit,
                merchant,
                feeReceiver,
                refundTo,
                address(router)
            ];
    }
}
