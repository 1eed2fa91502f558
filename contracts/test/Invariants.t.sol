// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {IRouter, ITether} from "./support/Interfaces.sol";
import {RouterTest} from "./support/RouterTest.sol";
import {IFiatToken} from "./support/Usdc.sol";
import {Vm} from "./support/Vm.sol";

/// @notice Everybody who can touch a router, doing it in any order: payers, a thief with the
///         owner's and a signer's key, and the issuer of the tokens. Keeps the books beside it.
contract World {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant SIGNER_KEY = 0x1111;
    uint256 private constant THIEF_KEY = 0x7777;
    uint256 private constant SESSIONS = 12;

    IRouter private immutable router;
    IFiatToken private immutable usdc;
    ITether private immutable usdt;
    address private immutable owner;
    address private immutable issuer;
    address private immutable feeReceiver;
    address[] private payers;
    address[] private merchants;

    mapping(bytes32 sessionKey => uint256) public timesPaid;
    mapping(address token => mapping(address account => uint256)) public spent;
    mapping(address token => mapping(address account => uint256)) public earned;
    uint256 public payments;
    uint256 public skippedFees;
    uint256 public thefts;

    constructor(
        IRouter router_,
        IFiatToken usdc_,
        ITether usdt_,
        address owner_,
        address issuer_,
        address feeReceiver_,
        address[] memory payers_,
        address[] memory merchants_
    ) {
        (router, usdc, usdt) = (router_, usdc_, usdt_);
        (owner, issuer, feeReceiver) = (owner_, issuer_, feeReceiver_);
        (payers, merchants) = (payers_, merchants_);
    }

    function sessionKey(uint256 index) public pure returns (bytes32) {
        return keccak256(abi.encode("session", index % SESSIONS));
    }

    /// @dev Sessions are few, so that paying one again happens often.
    function pay(uint256 session, uint256 who, uint256 amount, uint256 fee, bool inUsdt) external {
        amount = 1 + amount % 1_000e6;
        settle(
            payers[who % payers.length],
            SIGNER_KEY,
            IPaymentRouter.PaymentOrder({
                sessionKey: sessionKey(session),
                merchant: merchants[session % merchants.length],
                token: inUsdt ? address(usdt) : address(usdc),
                merchantAmount: amount,
                feeAmount: fee % (amount / 100 + 1),
                feeReceiver: feeReceiver,
                deadline: block.timestamp
            })
        );
    }

    /// @dev The thief signs terms in their own favour and calls, with nothing to pay from.
    function steal(uint256 session, uint256 amount, bool inUsdt) external {
        address thief = vm.addr(THIEF_KEY);
        bool success = settle(
            thief,
            THIEF_KEY,
            IPaymentRouter.PaymentOrder({
                sessionKey: sessionKey(session),
                merchant: merchants[session % merchants.length],
                token: inUsdt ? address(usdt) : address(usdc),
                merchantAmount: 1 + amount % 1_000e6,
                feeAmount: 0,
                feeReceiver: thief,
                deadline: block.timestamp
            })
        );
        if (success) thefts += 1;
    }

    /// @dev Whatever the key of the owner can call, including bytes that nobody foresaw.
    function ownerCalls(uint256 what, uint256 argument, bytes calldata anything) external {
        bytes memory call = anything;
        if (what % 6 == 0) call = abi.encodeCall(IPaymentRouter.pause, ());
        if (what % 6 == 1) call = abi.encodeCall(IPaymentRouter.unpause, ());
        if (what % 6 == 2) call = abi.encodeCall(IPaymentRouter.addSigner, (vm.addr(THIEF_KEY)));
        if (what % 6 == 3) {
            call = abi.encodeCall(IPaymentRouter.addSigner, (address(uint160(argument))));
        }
        if (what % 6 == 4) call = abi.encodeCall(IPaymentRouter.unpause, ());
        vm.prank(owner);
        (bool success,) = address(router).call(call);
        success;
    }

    function issuerSwitches(uint256 what, uint256 basisPoints, uint256 maxFee) external {
        vm.startPrank(issuer);
        if (what % 3 == 0) usdt.setParams(basisPoints % 20, maxFee % 50);
        if (what % 3 == 1) usdc.blacklist(feeReceiver);
        if (what % 3 == 2) usdc.unBlacklist(feeReceiver);
        vm.stopPrank();
    }

    function settle(address payer, uint256 key, IPaymentRouter.PaymentOrder memory order)
        private
        returns (bool success)
    {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, router.digestOf(order));
        vm.recordLogs();
        vm.prank(payer);
        try router.pay(order, abi.encodePacked(r, s, v)) {
            success = true;
            payments += 1;
        } catch {}
        read(vm.getRecordedLogs());
    }

    /// @dev The books are kept from the events alone, as an indexer would.
    function read(Vm.Log[] memory logs) private {
        for (uint256 index = 0; index < logs.length; index++) {
            Vm.Log memory log = logs[index];
            if (log.emitter != address(router)) continue;
            if (log.topics[0] == IPaymentRouter.FeeSkipped.selector) skippedFees += 1;
            if (log.topics[0] == IPaymentRouter.Paid.selector) book(log);
        }
    }

    function book(Vm.Log memory log) private {
        (address token, uint256 merchantReceived, uint256 feeReceived, address receiver) =
            abi.decode(log.data, (address, uint256, uint256, address));
        timesPaid[log.topics[1]] += 1;
        spent[token][address(uint160(uint256(log.topics[2])))] += merchantReceived + feeReceived;
        earned[token][address(uint160(uint256(log.topics[3])))] += merchantReceived;
        earned[token][receiver] += feeReceived;
    }
}

/// @notice What holds whatever is done to a router, in USDC and in USDT with its fee switched.
contract InvariantsTest is RouterTest {
    World private world;
    address[] private payers;
    address[] private merchants;
    address private sleeper = named("approved everything, never pays");

    function setUp() public override {
        super.setUp();
        payers = [payer, named("payer 2"), named("payer 3")];
        merchants = [merchant, named("merchant 2")];
        fund(payers[1], FUNDS);
        fund(payers[2], FUNDS);
        fund(sleeper, FUNDS);
        approve(payers[1], type(uint256).max);
        approve(payers[2], type(uint256).max);
        approve(sleeper, type(uint256).max);
        world = new World(router, usdc, usdt, owner, issuer, feeReceiver, payers, merchants);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    /// @dev Whatever was done, an owner can let payments flow again.
    function afterInvariant() external {
        vm.prank(owner);
        router.unpause();
        uint256 before = usdc.balanceOf(merchant);
        pay(orderIn(address(usdc)));
        vm.assertEq(usdc.balanceOf(merchant), before + 99_700_000, "a fresh order is not payable");
    }

    function invariant_con_01_the_router_holds_nothing() external view {
        vm.assertEq(usdc.balanceOf(address(router)), 0, "usdc");
        vm.assertEq(usdt.balanceOf(address(router)), 0, "usdt");
        vm.assertEq(address(router).balance, 0, "ether");
    }

    function invariant_con_16_stolen_keys_move_nobodys_money() external view {
        vm.assertEq(world.thefts(), 0, "thefts");
        vm.assertEq(usdc.balanceOf(sleeper), FUNDS, "usdc of who never paid");
        vm.assertEq(usdt.balanceOf(sleeper), FUNDS, "usdt of who never paid");
        vm.assertEq(usdc.allowance(sleeper, address(router)), type(uint256).max, "allowance");
    }

    function invariant_a_session_is_paid_at_most_once() external view {
        uint256 paidSessions;
        for (uint256 index = 0; index < 12; index++) {
            bytes32 key = world.sessionKey(index);
            uint256 times = world.timesPaid(key);
            vm.assertLe(times, 1, "paid twice");
            vm.assertEq(router.paid(key), times == 1, "paid and event differ");
            paidSessions += times;
        }
        vm.assertEq(paidSessions, world.payments(), "a payment without its event");
    }

    /// @dev USDC delivers what it debits, so the events say where every unit went.
    function invariant_con_11_events_account_for_every_usdc() external view {
        for (uint256 index = 0; index < payers.length; index++) {
            uint256 expected = FUNDS - world.spent(address(usdc), payers[index]);
            vm.assertEq(usdc.balanceOf(payers[index]), expected, "payer");
        }
        receivedAsTold(address(usdc));
        vm.assertEq(
            usdc.balanceOf(feeReceiver),
            UNIT + world.earned(address(usdc), feeReceiver),
            "fee receiver"
        );
    }

    /// @dev USDT may withhold a fee; what merchants received is told as it is all the same.
    function invariant_con_20_events_say_what_merchants_received_in_usdt() external view {
        receivedAsTold(address(usdt));
    }

    function invariant_con_11_sum_of_usdt_is_conserved() external view {
        uint256 sum =
            usdt.balanceOf(issuer) + usdt.balanceOf(feeReceiver) + usdt.balanceOf(sleeper);
        for (uint256 index = 0; index < payers.length; index++) {
            sum += usdt.balanceOf(payers[index]);
        }
        for (uint256 index = 0; index < merchants.length; index++) {
            sum += usdt.balanceOf(merchants[index]);
        }
        vm.assertEq(sum, usdt.totalSupply(), "sum");
    }

    function receivedAsTold(address token) private view {
        for (uint256 index = 0; index < merchants.length; index++) {
            uint256 funded = merchants[index] == merchant ? UNIT : 0;
            vm.assertEq(
                balance(token, merchants[index]),
                funded + world.earned(token, merchants[index]),
                "merchant"
            );
        }
    }
}
