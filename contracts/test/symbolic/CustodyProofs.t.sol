// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICustodyRail} from "../../src/interfaces/ICustodyRail.sol";
import {IEscrowRail} from "../../src/interfaces/IEscrowRail.sol";
import {IHoldRail} from "../../src/interfaces/IHoldRail.sol";
import {ISettlementRail} from "../../src/interfaces/ISettlementRail.sol";
import {SymbolicTest} from "./SymbolicTest.sol";

/// @notice For every amount and time: what waits in an escrow or in a hold leaves it once, and
///         exactly. This contract is the router of both.
contract CustodyProofs is SymbolicTest {
    uint256 private constant ATTESTOR_KEY = 0xA1;
    uint256 private constant FEE_PPM = 3000;
    uint256 private constant NOW = 1_800_000_000;
    uint256 private constant LATER = NOW + 1 days;
    uint256 private constant ELSEWHERE = 1_338_453;
    bytes32 private constant SESSION = "session";
    address private constant SOLVER = address(0xa6);

    IEscrowRail private escrow;
    IHoldRail private holds;

    function setUp() public {
        deployToken();
        vm.warp(NOW - 1);
        bytes memory arguments = abi.encode(address(this), address(this));
        escrow = IEscrowRail(deploy("EscrowRail", arguments));
        holds = IHoldRail(deploy("HoldRail", abi.encode(address(this))));
        escrow.addSolver(SOLVER);
        escrow.addAttestor(vm.addr(ATTESTOR_KEY));
        escrow.setThreshold(1);
        vm.warp(NOW);
    }

    function check_con_11_captures_split_exactly(uint96 amount, uint96 first, uint96 second)
        public
    {
        if (!holding(amount)) return;
        uint256 captured;
        if (captures(first)) captured += first;
        if (captures(second)) captured += second;
        assert(captured <= amount);
        uint256 fee = token.balanceOf(FEE_RECEIVER);
        assert(token.balanceOf(MERCHANT) + fee == captured);
        assert(token.balanceOf(address(holds)) == amount - captured);
        assert(ICustodyRail(address(holds)).owed(address(token)) == amount - captured);
    }

    function check_con_11_the_fee_of_a_capture_is_the_agreed_part(uint96 amount, uint96 captured)
        public
    {
        if (!holding(amount) || !captures(captured)) return;
        uint256 fee = (uint256(captured) * FEE_PPM + 999_999) / 1_000_000;
        assert(token.balanceOf(FEE_RECEIVER) == fee);
        assert(token.balanceOf(MERCHANT) == captured - fee);
    }

    function check_what_is_left_of_a_hold_goes_back_once(
        uint96 amount,
        uint256 captured,
        uint256 time
    ) public {
        if (!holding(amount)) return;
        if (!captures(captured)) captured = 0;
        vm.warp(time);
        if (!called(STRANGER, address(holds), abi.encodeCall(IHoldRail.reclaim, (SESSION)))) {
            return;
        }
        assert(time >= LATER);
        assert(token.balanceOf(PAYER) == FUNDS - captured);
        assert(token.balanceOf(address(holds)) == 0);
        holdIsOver();
    }

    function check_a_void_gives_everything_back_once(uint96 amount, uint256 captured) public {
        if (!holding(amount)) return;
        if (!captures(captured)) captured = 0;
        if (!called(MERCHANT, address(holds), abi.encodeCall(IHoldRail.void, (SESSION)))) return;
        assert(token.balanceOf(PAYER) == FUNDS - captured);
        assert(token.balanceOf(address(holds)) == 0);
        holdIsOver();
    }

    /// @dev Whatever waits: a caller who is neither merchant nor operator takes nothing.
    function check_con_16_nobody_else_captures_or_voids(
        uint96 amount,
        uint256 captured,
        address caller
    ) public {
        if (!holding(amount)) return;
        vm.assume(caller != MERCHANT && caller != STRANGER);
        address target = address(holds);
        assert(!called(caller, target, abi.encodeCall(IHoldRail.capture, (SESSION, captured))));
        assert(!called(caller, target, abi.encodeCall(IHoldRail.void, (SESSION))));
    }

    function check_a_session_is_held_once(uint96 amount, uint96 again) public {
        if (!holding(amount)) return;
        assert(!holding(again));
    }

    function check_an_escrow_is_released_once_and_whole(uint96 amount, uint256 time) public {
        bytes32 orderId = escrowed(amount);
        vm.warp(time);
        if (!releases(orderId)) return;
        assert(token.balanceOf(SOLVER) == amount);
        assert(token.balanceOf(address(escrow)) == 0);
        assert(!releases(orderId) && !reclaims(orderId));
    }

    function check_an_escrow_is_reclaimed_once_and_whole(uint96 amount, uint256 time) public {
        bytes32 orderId = escrowed(amount);
        vm.warp(time);
        if (!reclaims(orderId)) return;
        assert(time >= LATER);
        assert(token.balanceOf(PAYER) == FUNDS);
        assert(token.balanceOf(address(escrow)) == 0);
        assert(!releases(orderId) && !reclaims(orderId));
    }

    function check_an_order_is_filled_once(uint128 funds, IEscrowRail.EscrowTerms memory terms)
        public
    {
        token.mint(SOLVER, funds);
        (terms.merchant, terms.settlementToken) = (MERCHANT, address(token));
        vm.prank(SOLVER);
        token.approve(address(escrow), type(uint256).max);
        bytes memory call = abi.encodeCall(IEscrowRail.fill, (terms));
        if (!called(SOLVER, address(escrow), call)) return;
        assert(token.balanceOf(MERCHANT) == terms.merchantAmount);
        assert(token.balanceOf(SOLVER) == funds - terms.merchantAmount);
        assert(terms.settlementChainId == block.chainid && NOW <= terms.fillDeadline);
        assert(!called(SOLVER, address(escrow), call));
    }

    /// @dev Money for one order never pays for another.
    function check_two_orders_share_nothing(uint96 amount, uint96 others) public {
        bytes32 orderId = escrowed(amount);
        deliver(address(escrow), "other session", others, ELSEWHERE, timesOfEscrow());
        vm.warp(LATER);
        assert(reclaims(orderId));
        assert(token.balanceOf(PAYER) == FUNDS - others);
        assert(token.balanceOf(address(escrow)) == others);
    }

    function holdIsOver() private {
        address target = address(holds);
        assert(!captures(1));
        assert(!called(MERCHANT, target, abi.encodeCall(IHoldRail.void, (SESSION))));
        assert(!called(STRANGER, target, abi.encodeCall(IHoldRail.reclaim, (SESSION))));
    }

    function holding(uint256 amount) private returns (bool) {
        bytes memory terms = abi.encode(LATER, FEE_PPM, FEE_RECEIVER, STRANGER);
        return deliver(address(holds), SESSION, amount, block.chainid, terms);
    }

    function escrowed(uint256 amount) private returns (bytes32 orderId) {
        deliver(address(escrow), SESSION, amount, ELSEWHERE, timesOfEscrow());
        return keccak256(
            abi.encode(
                block.chainid,
                address(escrow),
                SESSION,
                PAYER,
                MERCHANT,
                address(token),
                amount,
                ELSEWHERE,
                address(token),
                uint256(1),
                NOW,
                LATER
            )
        );
    }

    function timesOfEscrow() private pure returns (bytes memory) {
        return abi.encode(NOW, LATER);
    }

    /// @dev As the router does: the money first, then `start`; both or neither.
    function deliver(
        address rail,
        bytes32 sessionKey,
        uint256 amount,
        uint256 settlementChainId,
        bytes memory railData
    ) private returns (bool success) {
        ISettlementRail.Delivery memory delivery =
            ISettlementRail.Delivery({
                sessionKey: sessionKey,
                payer: PAYER,
                merchant: MERCHANT,
                token: address(token),
                amount: amount,
                settlementChainId: settlementChainId,
                settlementToken: address(token),
                merchantAmount: 1,
                deadline: NOW
            });
        vm.prank(PAYER);
        token.transfer(rail, amount);
        (success,) = rail.call(abi.encodeCall(ISettlementRail.start, (delivery, railData)));
        if (success) return true;
        vm.prank(rail);
        token.transfer(PAYER, amount);
    }

    function captures(uint256 amount) private returns (bool) {
        bytes memory call = abi.encodeCall(IHoldRail.capture, (SESSION, amount));
        return called(MERCHANT, address(holds), call);
    }

    function releases(bytes32 orderId) private returns (bool) {
        bytes memory proof = signed(ATTESTOR_KEY, escrow.proofDigest(orderId, SOLVER));
        bytes memory call = abi.encodeCall(IEscrowRail.release, (orderId, SOLVER, proof));
        return called(STRANGER, address(escrow), call);
    }

    function reclaims(bytes32 orderId) private returns (bool) {
        return called(STRANGER, address(escrow), abi.encodeCall(IEscrowRail.reclaim, (orderId)));
    }

    function called(address caller, address target, bytes memory call)
        private
        returns (bool success)
    {
        vm.prank(caller);
        (success,) = target.call(call);
    }
}
