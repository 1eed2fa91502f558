// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEscrowRail} from "../../src/interfaces/IEscrowRail.sol";
import {IHoldRail} from "../../src/interfaces/IHoldRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {EscrowTest} from "../support/EscrowTest.sol";
import {OddToken} from "../support/OddToken.sol";
import {IUniswapFactory, LiquidityProvider, Uniswap} from "../support/Uniswap.sol";

/// @notice Every entry point of the rails against every oddity of a token, towards each receiver in
///         turn and towards all of them. Whatever happens, what others left with a rail is there
///         and can be taken back; a refusal changes nothing; a merchant told as paid was paid.
contract OddTokensOnRailsTest is EscrowTest {
    enum Entry {
        EscrowStart,
        Fill,
        Release,
        EscrowReclaim,
        HoldStart,
        Capture,
        Void,
        HoldReclaim,
        SwapFrom,
        SwapTo
    }

    uint256 private constant GAS = 5_000_000;
    uint256 private constant RECLAIM_AFTER = NOW + 60 minutes;
    bytes32 private constant SESSION = keccak256("session");
    bytes32 private constant OTHERS = keccak256("what others left in the escrow");
    bytes32 private constant OTHERS_HELD = keccak256("what others left in a hold");

    OddToken private odd;
    IHoldRail private holds;
    address private swapRail;
    address private swapRouter;

    function setUp() public override {
        super.setUp();
        odd = new OddToken();
        odd.mint(payer, FUNDS);
        odd.mint(solver, FUNDS);
        odd.mint(merchant, UNIT);
        vm.prank(payer);
        odd.approve(address(router), FUNDS);
        vm.prank(solver);
        odd.approve(address(remote), FUNDS);
        holds = IHoldRail(vm.deployCode("HoldRail.sol:HoldRail", abi.encode(address(router))));
        allow(address(holds));
        deploySwap();
        park(escrowOrder(), OTHERS);
        park(holdOrder(), OTHERS_HELD);
    }

    function test_con_01_escrow_start() public {
        survives(Entry.EscrowStart);
    }

    function test_con_01_escrow_fill() public {
        survives(Entry.Fill);
    }

    function test_con_01_escrow_release() public {
        route(escrowOrder());
        survives(Entry.Release);
    }

    function test_con_01_escrow_reclaim() public {
        route(escrowOrder());
        vm.warp(RECLAIM_AFTER);
        survives(Entry.EscrowReclaim);
    }

    function test_con_01_hold_start() public {
        survives(Entry.HoldStart);
    }

    function test_con_01_hold_capture() public {
        route(holdOrder());
        survives(Entry.Capture);
    }

    function test_con_01_hold_void() public {
        route(holdOrder());
        survives(Entry.Void);
    }

    function test_con_01_hold_reclaim() public {
        route(holdOrder());
        vm.warp(RECLAIM_AFTER);
        survives(Entry.HoldReclaim);
    }

    function test_con_01_swap_from_an_odd_token() public {
        survives(Entry.SwapFrom);
    }

    function test_con_01_swap_to_an_odd_token() public {
        survives(Entry.SwapTo);
    }

    function survives(Entry entry) private {
        address[7] memory victims =
            [address(0), payer, merchant, feeReceiver, solver, address(escrow), address(holds)];
        uint256 last = uint256(type(OddToken.Oddity).max);
        vm.assertTrue(last >= 20, "too few oddities");
        (address caller, address target, bytes memory call) = prepared(entry);
        // Counted in memory, as the storage is put back each time.
        uint256 succeeded;
        for (uint256 oddity = 0; oddity <= last; oddity++) {
            for (uint256 index = 0; index < victims.length; index++) {
                uint256 snapshot = vm.snapshotState();
                odd.misbehave(OddToken.Oddity(oddity), victims[index]);
                if (survives(entry, caller, target, call)) succeeded += 1;
                vm.revertToState(snapshot);
            }
        }
        uint256 all = (last + 1) * victims.length;
        vm.assertTrue(succeeded > 20 && all - succeeded > 20, "all succeeded, or all refused");
    }

    function survives(Entry entry, address caller, address target, bytes memory call)
        private
        returns (bool success)
    {
        uint256[6] memory before = trueMoney();
        if (entry == Entry.Fill) vm.chainId(OTHER_CHAIN);
        vm.prank(caller);
        (success,) = target.call{gas: GAS}(call);
        if (entry == Entry.Fill) vm.chainId(HOME_CHAIN);
        odd.misbehave(OddToken.Oddity.None, address(0));
        uint256[6] memory afterwards = trueMoney();
        if (!success) {
            for (uint256 index = 0; index < before.length; index++) {
                vm.assertEq(afterwards[index], before[index], "a refusal changed something");
            }
        } else if (entry == Entry.Fill) {
            vm.assertLe(before[1] + PROMISED, afterwards[1], "filled, and the merchant not paid");
        } else if (entry == Entry.SwapTo) {
            vm.assertLe(before[1] + 99_900_000, afterwards[1], "swapped, and not paid");
        }
        vm.assertEq(odd.allowance(swapRail, swapRouter), 0, "allowance");
        othersAreServed();
    }

    /// @dev The books hold, and what others left goes back to them.
    function othersAreServed() private {
        vm.assertLe(escrow.owed(address(odd)), odd.balanceOf(address(escrow)), "escrow's books");
        vm.assertLe(holds.owed(address(odd)), odd.balanceOf(address(holds)), "holds' books");
        vm.warp(RECLAIM_AFTER);
        uint256 before = odd.balanceOf(payer);
        IPaymentRouter.RoutedOrder memory order = escrowOrder();
        order.sessionKey = OTHERS;
        escrow.reclaim(idOf(order));
        holds.reclaim(OTHERS_HELD);
        vm.assertEq(odd.balanceOf(payer), before + 200 * UNIT, "others");
    }

    /// @dev What payer, merchant and solver have, what both custodians owe, and the payer's USDT.
    function trueMoney() private view returns (uint256[6] memory) {
        return [
            odd.trueBalanceOf(payer),
            odd.trueBalanceOf(merchant),
            odd.trueBalanceOf(solver),
            escrow.owed(address(odd)),
            holds.owed(address(odd)),
            usdt.balanceOf(payer)
        ];
    }

    function prepared(Entry entry)
        private
        view
        returns (address caller, address target, bytes memory call)
    {
        bytes32 orderId = idOf(escrowOrder());
        if (entry == Entry.EscrowStart) return routed(escrowOrder());
        if (entry == Entry.HoldStart) return routed(holdOrder());
        if (entry == Entry.SwapFrom) return routed(swapOrder(address(odd), address(usdt)));
        if (entry == Entry.SwapTo) return routed(swapOrder(address(usdt), address(odd)));
        if (entry == Entry.Fill) {
            IEscrowRail.EscrowTerms memory terms = termsOf(escrowOrder());
            return (solver, address(remote), abi.encodeCall(IEscrowRail.fill, (terms)));
        }
        if (entry == Entry.Release) {
            bytes memory proof = proofOf(orderId, solver);
            call = abi.encodeCall(IEscrowRail.release, (orderId, solver, proof));
            return (stranger, address(escrow), call);
        }
        if (entry == Entry.EscrowReclaim) {
            return (stranger, address(escrow), abi.encodeCall(IEscrowRail.reclaim, (orderId)));
        }
        (caller, target) = (merchant, address(holds));
        call = abi.encodeCall(IHoldRail.capture, (SESSION, 40 * UNIT));
        if (entry == Entry.Void) call = abi.encodeCall(IHoldRail.void, (SESSION));
        if (entry == Entry.HoldReclaim) call = abi.encodeCall(IHoldRail.reclaim, (SESSION));
    }

    function routed(IPaymentRouter.RoutedOrder memory order)
        private
        view
        returns (address, address, bytes memory)
    {
        bytes memory signature = signedWith(SIGNER_KEY, router.digestOfRouted(order));
        return (payer, address(router), abi.encodeCall(IPaymentRouter.route, (order, signature)));
    }

    function park(IPaymentRouter.RoutedOrder memory order, bytes32 sessionKey) private {
        order.sessionKey = sessionKey;
        route(order);
    }

    function escrowOrder() private view returns (IPaymentRouter.RoutedOrder memory order) {
        order = crossing();
        (order.token, order.settlementToken) = (address(odd), address(odd));
    }

    function holdOrder() private view returns (IPaymentRouter.RoutedOrder memory) {
        return routedOrder(
            address(holds),
            address(odd),
            HOME_CHAIN,
            address(odd),
            99_700_000,
            abi.encode(RECLAIM_AFTER, uint256(3000), feeReceiver, address(0))
        );
    }

    function swapOrder(address token, address settlementToken)
        private
        view
        returns (IPaymentRouter.RoutedOrder memory)
    {
        return routedOrder(
            swapRail, token, HOME_CHAIN, settlementToken, 99_900_000, abi.encode(Uniswap.POOL_FEE)
        );
    }

    function deploySwap() private {
        IUniswapFactory factory;
        (factory, swapRouter) = Uniswap.deploy();
        LiquidityProvider provider = new LiquidityProvider();
        fund(address(provider), FUNDS);
        odd.mint(address(provider), FUNDS);
        provider.provide(Uniswap.openPool(factory, address(odd), address(usdt)), 1e13);
        swapRail = vm.deployCode("SwapRail.sol:SwapRail", abi.encode(address(router), swapRouter));
        allow(swapRail);
    }
}
