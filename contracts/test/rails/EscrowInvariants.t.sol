// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEscrowRail} from "../../src/interfaces/IEscrowRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {EscrowTest, IEscrow} from "../support/EscrowTest.sol";
import {IRouter, ITether} from "../support/Interfaces.sol";
import {IFiatToken} from "../support/Usdc.sol";
import {Vm} from "../support/Vm.sol";

/// @notice Everybody who can touch an escrow, on both networks, in any order: payers, an honest
///         solver and attestors, strangers, and a thief who has the owner's key. Keeps the books
///         beside it.
contract EscrowWorld {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant SIGNER_KEY = 0x1111;
    uint256 private constant THIEF_KEY = 0x7777;
    uint256 private constant HOME_CHAIN = 31_337;
    uint256 private constant OTHER_CHAIN = 1_338_453;
    uint256 private constant SESSIONS = 10;

    struct People {
        address owner;
        address issuer;
        address payer;
        address merchant;
        address solver;
        uint256 lowKey;
        uint256 highKey;
    }

    IRouter private immutable router;
    IEscrow private immutable escrow;
    IEscrow private immutable remote;
    IFiatToken private immutable usdc;
    ITether private immutable usdt;
    People private people;

    IEscrowRail.EscrowTerms[] private _orders;
    mapping(bytes32 orderId => uint256) public timesClosed;
    mapping(bytes32 orderId => uint256) public timesFilled;
    uint256 public donated;
    uint256 public filledInAll;
    uint256 public reclaimedTooEarly;
    uint256 public filledTooLate;
    uint256 public releasedUnfilled;
    uint256 public thefts;

    constructor(
        IRouter router_,
        IEscrow escrow_,
        IEscrow remote_,
        IFiatToken usdc_,
        ITether usdt_,
        People memory people_
    ) {
        (router, escrow, remote, usdc, usdt) = (router_, escrow_, remote_, usdc_, usdt_);
        people = people_;
    }

    function orders() external view returns (IEscrowRail.EscrowTerms[] memory) {
        return _orders;
    }

    /// @dev Sessions are few, so that paying one again happens often.
    function pay(uint256 session, uint256 amount, uint256 delay, bool inUsdt) external {
        uint256 fillDeadline = block.timestamp + delay % 1 hours;
        IPaymentRouter.RoutedOrder memory order = IPaymentRouter.RoutedOrder({
            sessionKey: keccak256(abi.encode("session", session % SESSIONS)),
            merchant: people.merchant,
            token: inUsdt ? address(usdt) : address(usdc),
            amount: 1 + amount % 1_000e6,
            feeAmount: 0,
            feeReceiver: address(0),
            deadline: block.timestamp,
            rail: address(escrow),
            settlementChainId: OTHER_CHAIN,
            settlementToken: address(usdc),
            merchantAmount: 1 + amount % 1_000e6,
            railData: abi.encode(fillDeadline, fillDeadline + 1 + delay % 2 hours)
        });
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SIGNER_KEY, router.digestOfRouted(order));
        vm.prank(people.payer);
        try router.route(order, abi.encodePacked(r, s, v)) {
            _orders.push(termsOf(order));
        } catch {}
    }

    function fill(uint256 which, bool changed) external {
        if (_orders.length == 0) return;
        IEscrowRail.EscrowTerms memory terms = _orders[which % _orders.length];
        // An invented order pays its merchant too, and must not count as the real one.
        if (changed) terms.merchantAmount = 1;
        bytes32 orderId = keccak256(abi.encode(terms));
        vm.chainId(OTHER_CHAIN);
        vm.prank(people.solver);
        try remote.fill(terms) {
            timesFilled[orderId] += 1;
            filledInAll += terms.merchantAmount;
            if (block.timestamp > terms.fillDeadline) filledTooLate += 1;
        } catch {}
        vm.chainId(HOME_CHAIN);
    }

    /// @dev Honest attestors sign what they saw on the other network.
    function release(uint256 which) external {
        if (_orders.length == 0) return;
        bytes32 orderId = keccak256(abi.encode(_orders[which % _orders.length]));
        address solver = remote.filledBy(orderId);
        if (solver == address(0)) return;
        signAndRelease(orderId, solver, people.lowKey, people.highKey);
    }

    /// @dev The thief signs for everybody it could profit from, with what it has.
    function steal(uint256 which, bool forSolver) external {
        if (_orders.length == 0) return;
        bytes32 orderId = keccak256(abi.encode(_orders[which % _orders.length]));
        address thief = vm.addr(THIEF_KEY);
        // To hand it to the honest solver, the thief has to be an attestor only.
        uint256 since = forSolver ? escrow.attestorSince(thief) : escrow.solverSince(thief);
        uint256 startedAt = escrow.escrows(orderId).startedAt;
        address receiver = forSolver ? people.solver : thief;
        if (!signAndRelease(orderId, receiver, THIEF_KEY, 0)) return;
        if (startedAt <= since) thefts += 1;
    }

    function reclaim(uint256 which) external {
        if (_orders.length == 0) return;
        IEscrowRail.EscrowTerms memory terms = _orders[which % _orders.length];
        bytes32 orderId = keccak256(abi.encode(terms));
        try escrow.reclaim(orderId) {
            timesClosed[orderId] += 1;
            if (block.timestamp < terms.reclaimAfter) reclaimedTooEarly += 1;
        } catch {}
    }

    function ownerCalls(uint256 what, uint256 threshold) external {
        address thief = vm.addr(THIEF_KEY);
        bytes memory call = abi.encodeCall(IEscrowRail.setThreshold, (threshold % 4));
        if (what % 8 == 0) call = abi.encodeCall(IEscrowRail.addSolver, (thief));
        if (what % 8 == 1) call = abi.encodeCall(IEscrowRail.removeSolver, (thief));
        if (what % 8 == 2) call = abi.encodeCall(IEscrowRail.addAttestor, (thief));
        if (what % 8 == 3) call = abi.encodeCall(IEscrowRail.removeAttestor, (thief));
        vm.prank(people.owner);
        (bool success,) = address(escrow).call(call);
        success;
    }

    function issuerSwitches(uint256 what, uint256 basisPoints) external {
        vm.startPrank(people.issuer);
        if (what % 4 == 0) usdt.setParams(basisPoints % 20, 1);
        if (what % 4 == 1) usdt.setParams(0, 0);
        if (what % 4 == 2) usdc.blacklist(people.solver);
        if (what % 4 == 3) usdc.unBlacklist(people.solver);
        vm.stopPrank();
    }

    function donate(uint256 amount) external {
        vm.prank(people.issuer);
        usdc.mint(address(escrow), 1 + amount % 1e6);
        donated += 1 + amount % 1e6;
    }

    function wait(uint256 delay) external {
        vm.warp(block.timestamp + 1 + delay % 30 minutes);
    }

    function signAndRelease(bytes32 orderId, address receiver, uint256 lowKey, uint256 highKey)
        private
        returns (bool success)
    {
        bytes32 digest = escrow.proofDigest(orderId, receiver);
        bytes memory proof = signedWith(lowKey, digest);
        if (highKey != 0) proof = bytes.concat(proof, signedWith(highKey, digest));
        try escrow.release(orderId, receiver, proof) {
            success = true;
            timesClosed[orderId] += 1;
            if (lowKey != THIEF_KEY && timesFilled[orderId] == 0) releasedUnfilled += 1;
        } catch {}
    }

    function signedWith(uint256 key, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function termsOf(IPaymentRouter.RoutedOrder memory order)
        private
        view
        returns (IEscrowRail.EscrowTerms memory)
    {
        (uint256 fillDeadline, uint256 reclaimAfter) =
            abi.decode(order.railData, (uint256, uint256));
        return IEscrowRail.EscrowTerms({
            sourceChainId: HOME_CHAIN,
            sourceEscrow: address(escrow),
            sessionKey: order.sessionKey,
            payer: people.payer,
            merchant: order.merchant,
            token: order.token,
            amount: order.amount,
            settlementChainId: order.settlementChainId,
            settlementToken: order.settlementToken,
            merchantAmount: order.merchantAmount,
            fillDeadline: fillDeadline,
            reclaimAfter: reclaimAfter
        });
    }
}

/// @notice What holds whatever is done to an escrow.
contract EscrowInvariantsTest is EscrowTest {
    EscrowWorld private world;

    function setUp() public override {
        super.setUp();
        world = new EscrowWorld(
            router,
            escrow,
            remote,
            usdc,
            usdt,
            EscrowWorld.People({
                owner: owner,
                issuer: issuer,
                payer: payer,
                merchant: merchant,
                solver: solver,
                lowKey: lowKey,
                highKey: highKey
            })
        );
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    /// @dev Whatever was done, a fresh order can be escrowed, filled, and taken back.
    function afterInvariant() external {
        vm.startPrank(issuer);
        usdt.setParams(0, 0);
        usdc.unBlacklist(solver);
        vm.stopPrank();
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.deadline = block.timestamp;
        order.railData = abi.encode(block.timestamp, block.timestamp + 1);
        route(order);
        vm.chainId(OTHER_CHAIN);
        vm.prank(solver);
        remote.fill(termsOf(order));
        vm.chainId(HOME_CHAIN);
        vm.warp(block.timestamp + 1);
        escrow.reclaim(idOf(order));
    }

    function invariant_con_15_the_balance_is_what_open_orders_are_owed() external view {
        IEscrowRail.EscrowTerms[] memory orders = world.orders();
        uint256 usdcOpen;
        uint256 usdtOpen;
        for (uint256 index = 0; index < orders.length; index++) {
            bytes32 orderId = keccak256(abi.encode(orders[index]));
            IEscrowRail.Escrow memory found = escrow.escrows(orderId);
            vm.assertEq(uint256(found.amount), orders[index].amount, "amount");
            if (found.state != IEscrowRail.State.OPEN) continue;
            if (found.token == address(usdc)) usdcOpen += found.amount;
            else usdtOpen += found.amount;
        }
        vm.assertEq(escrow.owed(address(usdc)), usdcOpen, "owed usdc");
        vm.assertEq(escrow.owed(address(usdt)), usdtOpen, "owed usdt");
        vm.assertEq(usdc.balanceOf(address(escrow)), usdcOpen + world.donated(), "usdc");
        vm.assertEq(usdt.balanceOf(address(escrow)), usdtOpen, "usdt");
    }

    function invariant_an_order_is_closed_at_most_once() external view {
        IEscrowRail.EscrowTerms[] memory orders = world.orders();
        for (uint256 index = 0; index < orders.length; index++) {
            bytes32 orderId = keccak256(abi.encode(orders[index]));
            bool open = escrow.escrows(orderId).state == IEscrowRail.State.OPEN;
            vm.assertEq(world.timesClosed(orderId), open ? 0 : 1, "times closed");
        }
    }

    function invariant_an_order_is_filled_at_most_once() external view {
        IEscrowRail.EscrowTerms[] memory orders = world.orders();
        for (uint256 index = 0; index < orders.length; index++) {
            bytes32 orderId = keccak256(abi.encode(orders[index]));
            vm.assertLe(world.timesFilled(orderId), 1, "times filled");
            bool filled = remote.filledBy(orderId) != address(0);
            vm.assertEq(filled, world.timesFilled(orderId) == 1, "filledBy");
        }
        vm.assertEq(usdc.balanceOf(merchant), UNIT + world.filledInAll(), "merchant");
        vm.assertEq(usdc.balanceOf(address(remote)), 0, "fills rest here");
    }

    function invariant_con_04_nothing_happens_outside_its_time() external view {
        vm.assertEq(world.reclaimedTooEarly(), 0, "reclaimed too early");
        vm.assertEq(world.filledTooLate(), 0, "filled too late");
    }

    function invariant_con_16_a_stolen_owner_key_takes_nothing_that_waits() external view {
        vm.assertEq(world.thefts(), 0, "thefts");
        vm.assertEq(world.releasedUnfilled(), 0, "released without a fill");
        vm.assertEq(usdc.balanceOf(owner) + usdt.balanceOf(owner), 0, "owner");
        vm.assertEq(usdc.balanceOf(vm.addr(LOW_KEY)), 0, "attestor");
        vm.assertEq(usdc.balanceOf(address(router)), 0, "router");
    }

    function invariant_con_11_sum_of_usdt_is_conserved() external view {
        uint256 sum = usdt.balanceOf(issuer) + usdt.balanceOf(payer) + usdt.balanceOf(merchant)
            + usdt.balanceOf(solver) + usdt.balanceOf(address(escrow))
            + usdt.balanceOf(feeReceiver) + usdt.balanceOf(vm.addr(0x7777));
        vm.assertEq(sum, usdt.totalSupply(), "sum");
    }
}
