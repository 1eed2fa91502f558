// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICustodyRail} from "../../src/interfaces/ICustodyRail.sol";
import {IEscrowRail} from "../../src/interfaces/IEscrowRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {EscrowTest, IEscrow} from "../support/EscrowTest.sol";
import {ITransferHook, OddToken} from "../support/OddToken.sol";

/// @notice A solver that asks for more from inside the release it gets, and looks around there.
contract ReentrantSolver is ITransferHook {
    IEscrow private immutable escrow;
    bytes32 private orderId;
    bytes private signatures;
    bytes4 public refusal;
    bytes4 public reclaimRefusal;
    uint256 public owedSeen;

    constructor(IEscrow escrow_) {
        escrow = escrow_;
    }

    function prepare(bytes32 orderId_, bytes calldata signatures_) external {
        orderId = orderId_;
        signatures = signatures_;
    }

    function beforeTransfer() external {
        try escrow.release(orderId, address(this), signatures) {}
        catch (bytes memory reason) {
            refusal = bytes4(reason);
        }
        try escrow.reclaim(orderId) {}
        catch (bytes memory reason) {
            reclaimRefusal = bytes4(reason);
        }
        owedSeen = escrow.owed(msg.sender);
    }
}

/// @notice `EscrowRail.release`: once, to a listed solver, on the word of enough attestors.
contract EscrowReleaseTest is EscrowTest {
    uint256 private constant CURVE_ORDER =
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    function test_hands_the_money_to_the_solver_once() public {
        bytes32 orderId = escrowed();
        bytes memory proof = proofOf(orderId, solver);
        vm.expectEmit(address(escrow));
        emit IEscrowRail.Released(orderId, keccak256("session"), solver, address(usdt), 100 * UNIT);
        vm.prank(stranger);
        escrow.release(orderId, solver, proof);
        vm.assertEq(usdt.balanceOf(solver), FUNDS + 100 * UNIT, "solver");
        vm.assertEq(usdt.balanceOf(address(escrow)), 0, "escrow");
        vm.assertEq(escrow.owed(address(usdt)), 0, "owed");
        refuses(orderId, proof, notOpen(orderId, IEscrowRail.State.RELEASED));
        vm.warp(NOW + 1 days);
        vm.expectRevert(notOpen(orderId, IEscrowRail.State.RELEASED));
        escrow.reclaim(orderId);
    }

    function test_works_after_the_time_to_reclaim_too() public {
        bytes32 orderId = escrowed();
        vm.warp(NOW + 2 hours);
        escrow.release(orderId, solver, proofOf(orderId, solver));
        vm.assertEq(usdt.balanceOf(solver), FUNDS + 100 * UNIT, "solver");
    }

    function test_refuses_what_never_came() public {
        refuses(
            bytes32(uint256(1)),
            proofOf(bytes32(uint256(1)), solver),
            notOpen(bytes32(uint256(1)), IEscrowRail.State.NONE)
        );
    }

    function test_con_16_pays_nobody_but_listed_solvers() public {
        bytes32 orderId = escrowed();
        address[4] memory others = [stranger, payer, owner, vm.addr(LOW_KEY)];
        for (uint256 index = 0; index < others.length; index++) {
            bytes memory proof = proofOf(orderId, others[index]);
            vm.expectRevert(notListed(others[index]));
            escrow.release(orderId, others[index], proof);
        }
    }

    function test_con_16_a_solver_removed_since_is_not_paid() public {
        bytes32 orderId = escrowed();
        vm.prank(owner);
        escrow.removeSolver(solver);
        refuses(orderId, proofOf(orderId, solver), notListed(solver));
        vm.prank(owner);
        escrow.addSolver(solver);
        refuses(orderId, proofOf(orderId, solver), notListed(solver));
    }

    /// @dev The thief has the owner's key, and with it makes itself solver and attestor.
    function test_con_16_a_stolen_owner_key_moves_nothing_that_waits() public {
        bytes32 orderId = escrowed();
        uint256 thiefKey = 0x7777;
        address thief = vm.addr(thiefKey);
        vm.startPrank(owner);
        escrow.addSolver(thief);
        escrow.addAttestor(thief);
        escrow.setThreshold(1);
        vm.stopPrank();
        bytes memory proof = signedWith(thiefKey, escrow.proofDigest(orderId, thief));
        vm.expectRevert(notListed(thief));
        escrow.release(orderId, thief, proof);
        proof = signedWith(thiefKey, escrow.proofDigest(orderId, solver));
        refuses(orderId, proof, notAttestor(thief));
        vm.warp(NOW + 1 days);
        escrow.reclaim(orderId);
        vm.assertEq(usdt.balanceOf(payer), FUNDS - 300_000, "payer");
    }

    function test_con_16_lists_count_from_the_next_second_on() public {
        vm.startPrank(owner);
        escrow.addSolver(stranger);
        vm.stopPrank();
        bytes32 orderId = escrowed();
        bytes memory proof = proofOf(orderId, stranger);
        vm.expectRevert(notListed(stranger));
        escrow.release(orderId, stranger, proof);
        vm.warp(NOW + 2);
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.sessionKey = keccak256("second");
        route(order);
        escrow.release(idOf(order), stranger, proofOf(idOf(order), stranger));
        vm.assertEq(usdt.balanceOf(stranger), 100 * UNIT, "listed one second before");
    }

    function test_con_05_needs_exactly_the_threshold() public {
        bytes32 orderId = escrowed();
        bytes memory proof = proofOf(orderId, solver);
        bytes memory one = signedWith(lowKey, escrow.proofDigest(orderId, solver));
        refusesLength(orderId, one, 65);
        refusesLength(orderId, "", 0);
        refusesLength(orderId, bytes.concat(proof, one), 195);
        refusesLength(orderId, bytes.concat(one, one, bytes1(0)), 131);
        vm.prank(owner);
        escrow.setThreshold(1);
        escrow.release(orderId, solver, one);
    }

    function test_con_05_refuses_another_order_of_attestors() public {
        bytes32 orderId = escrowed();
        bytes32 digest = escrow.proofDigest(orderId, solver);
        bytes memory low = signedWith(lowKey, digest);
        bytes memory high = signedWith(highKey, digest);
        refuses(orderId, bytes.concat(high, low), notAscending(vm.addr(highKey), vm.addr(lowKey)));
        refuses(orderId, bytes.concat(low, low), notAscending(vm.addr(lowKey), vm.addr(lowKey)));
    }

    function test_con_05_refuses_the_mirrored_signature() public {
        bytes32 orderId = escrowed();
        bytes32 digest = escrow.proofDigest(orderId, solver);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(lowKey, digest);
        bytes32 mirrored = bytes32(CURVE_ORDER - uint256(s));
        bytes memory proof = bytes.concat(
            abi.encodePacked(r, mirrored, v == 27 ? 28 : 27), signedWith(highKey, digest)
        );
        refuses(
            orderId, proof, abi.encodeWithSignature("ECDSAInvalidSignatureS(bytes32)", mirrored)
        );
        proof = bytes.concat(abi.encodePacked(r, s, v - 27), signedWith(highKey, digest));
        refuses(orderId, proof, abi.encodeWithSignature("ECDSAInvalidSignature()"));
        refuses(orderId, new bytes(130), abi.encodeWithSignature("ECDSAInvalidSignature()"));
    }

    function test_con_04_a_proof_is_for_one_order_and_one_solver() public {
        bytes32 orderId = escrowed();
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.sessionKey = keccak256("second");
        route(order);
        wrongProof(orderId, escrow.proofDigest(idOf(order), solver));
        wrongProof(orderId, escrow.proofDigest(orderId, stranger));
    }

    function test_con_04_a_proof_is_for_one_escrow() public {
        bytes32 orderId = escrowed();
        wrongProof(orderId, remote.proofDigest(orderId, solver));
    }

    function test_con_04_a_proof_is_for_one_network() public {
        bytes32 orderId = escrowed();
        vm.chainId(OTHER_CHAIN);
        bytes32 digest = escrow.proofDigest(orderId, solver);
        vm.chainId(HOME_CHAIN);
        wrongProof(orderId, digest);
    }

    function test_con_17_after_a_fork_old_proofs_are_refused() public {
        bytes32 orderId = escrowed();
        bytes32 digest = escrow.proofDigest(orderId, solver);
        vm.chainId(HOME_CHAIN + 1);
        wrongProof(orderId, digest);
    }

    function test_the_digest_is_that_of_eip_712() public {
        bytes32 orderId = escrowed();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,"
                    "address verifyingContract)"
                ),
                keccak256("GStable EscrowRail"),
                keccak256("1"),
                HOME_CHAIN,
                address(escrow)
            )
        );
        bytes32 proof = keccak256(
            abi.encode(keccak256("FillProof(bytes32 orderId,address solver)"), orderId, solver)
        );
        vm.assertEq(
            escrow.proofDigest(orderId, solver),
            keccak256(abi.encodePacked(hex"1901", domain, proof)),
            "digest"
        );
        vm.assertEq(
            escrow.PROOF_TYPEHASH(),
            keccak256("FillProof(bytes32 orderId,address solver)"),
            "type hash"
        );
    }

    function test_con_16_refuses_attestors_removed_or_unknown() public {
        bytes32 orderId = escrowed();
        vm.startPrank(owner);
        escrow.addAttestor(stranger);
        escrow.removeAttestor(vm.addr(lowKey));
        vm.stopPrank();
        refuses(orderId, proofOf(orderId, solver), notAttestor(vm.addr(lowKey)));
    }

    function test_refuses_while_no_threshold_is_set() public {
        IEscrow fresh = deployEscrow();
        allow(address(fresh));
        vm.prank(owner);
        fresh.addSolver(solver);
        vm.warp(NOW + 2);
        escrow = fresh;
        bytes32 orderId = escrowed();
        refuses(orderId, "", abi.encodeWithSelector(IEscrowRail.ThresholdUnset.selector));
    }

    function test_con_01_a_solver_that_cannot_be_paid_can_be_paid_later() public {
        bytes32 orderId = escrowedIn(address(usdc));
        vm.prank(issuer);
        usdc.blacklist(solver);
        refuses(
            orderId,
            proofOf(orderId, solver),
            abi.encodeWithSignature("Error(string)", "Blacklistable: account is blacklisted")
        );
        vm.prank(issuer);
        usdc.unBlacklist(solver);
        escrow.release(orderId, solver, proofOf(orderId, solver));
        vm.assertEq(usdc.balanceOf(solver), FUNDS + 100 * UNIT, "solver");
    }

    function test_con_01_odd_tokens_release_all_or_nothing() public {
        OddToken odd = funded();
        bytes32 orderId = escrowedIn(address(odd));
        bytes memory inexact =
            abi.encodeWithSelector(ICustodyRail.DebitNotExact.selector, address(odd), 100 * UNIT);
        bytes memory failed =
            abi.encodeWithSignature("SafeERC20FailedOperation(address)", address(odd));
        refusesOdd(odd, OddToken.Oddity.OnlyPretends, orderId, inexact);
        odd.mint(address(escrow), 1);
        refusesOdd(odd, OddToken.Oddity.DebitsOneMore, orderId, inexact);
        refusesOdd(odd, OddToken.Oddity.ReturnsFalse, orderId, failed);
        refusesOdd(odd, OddToken.Oddity.ReturnsTwo, orderId, failed);
        refusesOdd(odd, OddToken.Oddity.BurnsAllGas, orderId, "");
        refusesOdd(
            odd, OddToken.Oddity.Reverts, orderId, abi.encodeWithSignature("Error(string)", "odd")
        );
        odd.misbehave(OddToken.Oddity.ReturnsNothing, solver);
        escrow.release(orderId, solver, proofOf(orderId, solver));
        vm.assertEq(odd.balanceOf(solver), 100 * UNIT, "solver");
    }

    function test_con_02_a_release_inside_a_release_is_refused() public {
        OddToken odd = funded();
        ReentrantSolver thief = new ReentrantSolver(escrow);
        vm.prank(owner);
        escrow.addSolver(address(thief));
        vm.warp(NOW + 2);
        bytes32 orderId = escrowedIn(address(odd));
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.token = address(odd);
        order.sessionKey = keccak256("second");
        route(order);
        thief.prepare(idOf(order), proofOf(idOf(order), address(thief)));
        odd.misbehave(OddToken.Oddity.TellsReceiverFirst, address(thief));
        vm.warp(NOW + 1 days);
        escrow.release(orderId, address(thief), proofOf(orderId, address(thief)));
        vm.assertEq(bytes32(thief.refusal()), bytes32(bytes4(reentered())), "release");
        vm.assertEq(bytes32(thief.reclaimRefusal()), bytes32(bytes4(reentered())), "reclaim");
        vm.assertEq(thief.owedSeen(), 100 * UNIT, "what is read inside is true already");
        vm.assertEq(odd.balanceOf(address(thief)), 100 * UNIT, "thief");
        vm.assertTrue(escrow.escrows(idOf(order)).state == IEscrowRail.State.OPEN, "second");
    }

    function test_fuzz_con_05_no_other_bytes_are_a_proof(bytes memory proof, uint256 flipped)
        public
    {
        bytes32 orderId = escrowed();
        vm.expectRevert();
        escrow.release(orderId, solver, proof);
        bytes memory changed = proofOf(orderId, solver);
        changed[flipped % 130] ^= bytes1(uint8(1 + (flipped >> 128) % 255));
        vm.expectRevert();
        escrow.release(orderId, solver, changed);
        vm.assertEq(usdt.balanceOf(address(escrow)), 100 * UNIT, "escrow");
    }

    function funded() private returns (OddToken odd) {
        odd = new OddToken();
        odd.mint(payer, FUNDS);
        vm.prank(payer);
        odd.approve(address(router), FUNDS);
    }

    function escrowedIn(address token) private returns (bytes32) {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.token = token;
        route(order);
        return idOf(order);
    }

    function refuses(bytes32 orderId, bytes memory proof, bytes memory reason) private {
        vm.expectRevert(reason);
        escrow.release(orderId, solver, proof);
    }

    function refusesOdd(OddToken odd, OddToken.Oddity oddity, bytes32 orderId, bytes memory reason)
        private
    {
        odd.misbehave(oddity, solver);
        refuses(orderId, proofOf(orderId, solver), reason);
        vm.assertTrue(escrow.escrows(orderId).state == IEscrowRail.State.OPEN, "state");
        vm.assertEq(escrow.owed(address(odd)), 100 * UNIT, "owed");
    }

    function refusesLength(bytes32 orderId, bytes memory proof, uint256 length) private {
        refuses(
            orderId,
            proof,
            abi.encodeWithSelector(IEscrowRail.BadProofLength.selector, length, 130)
        );
    }

    /// @dev Signatures of something else recover to accounts that are no attestors.
    function wrongProof(bytes32 orderId, bytes32 digest) private {
        bytes memory proof = bytes.concat(signedWith(lowKey, digest), signedWith(highKey, digest));
        vm.expectRevert();
        escrow.release(orderId, solver, proof);
        vm.assertTrue(escrow.escrows(orderId).state == IEscrowRail.State.OPEN, "state");
    }

    function notListed(address account) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IEscrowRail.SolverNotListed.selector, account);
    }

    function notAttestor(address account) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IEscrowRail.NotAnAttestor.selector, account);
    }

    function notAscending(address previous, address next) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IEscrowRail.AttestorsNotAscending.selector, previous, next);
    }
}
