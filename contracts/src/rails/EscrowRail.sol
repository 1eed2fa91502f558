// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IEscrowRail} from "../interfaces/IEscrowRail.sol";
import {CustodyRail} from "./CustodyRail.sol";
import {Rail} from "./Rail.sol";

/// @title Keeps a payer's money until a solver is proven to have paid the merchant elsewhere.
/// @notice The money of an order has two ways out: to a solver that was listed when the money came,
///         with the signatures of attestors of that time, or back to the payer. So a stolen
///         owner's key moves nothing that is already here.
contract EscrowRail is IEscrowRail, CustodyRail, EIP712, Ownable2Step {
    using SafeERC20 for IERC20;

    /// @notice The EIP-712 type hash of what attestors sign.
    bytes32 public constant PROOF_TYPEHASH =
        keccak256("FillProof(bytes32 orderId,address solver)");

    /// @notice The longest that money may wait: no signer can lock it away for years.
    uint256 public constant MAX_RECLAIM_DELAY = 30 days;

    uint256 private constant SIGNATURE_LENGTH = 65;

    /// @inheritdoc IEscrowRail
    mapping(bytes32 orderId => address) public filledBy;

    /// @inheritdoc IEscrowRail
    mapping(address account => uint256) public solverSince;

    /// @inheritdoc IEscrowRail
    mapping(address account => uint256) public attestorSince;

    /// @inheritdoc IEscrowRail
    uint256 public attestors;

    /// @inheritdoc IEscrowRail
    uint256 public threshold;

    mapping(bytes32 orderId => Escrow) private _escrows;

    constructor(address router_, address owner_)
        Rail(router_)
        EIP712("GStable EscrowRail", "1")
        Ownable(owner_)
    {}

    function start(Delivery calldata delivery, bytes calldata railData)
        external
        onlyRouter
        nonReentrant
        returns (uint256 spent, uint256 delivered)
    {
        require(
            delivery.settlementChainId != block.chainid && delivery.settlementChainId != 0
                && delivery.merchantAmount != 0 && railData.length == 64,
            RouteUnsupported()
        );
        (uint256 fillDeadline, uint256 reclaimAfter) = abi.decode(railData, (uint256, uint256));
        require(
            block.timestamp <= fillDeadline && fillDeadline < reclaimAfter
                && reclaimAfter <= block.timestamp + MAX_RECLAIM_DELAY,
            BadTimes(fillDeadline, reclaimAfter)
        );
        _book(delivery.token, delivery.amount);
        bytes32 orderId = _orderId(delivery, fillDeadline, reclaimAfter);
        _open(orderId, delivery, reclaimAfter);
        emit Escrowed(
            orderId,
            delivery.sessionKey,
            delivery.payer,
            delivery.token,
            delivery.amount,
            fillDeadline,
            reclaimAfter
        );
        return (delivery.amount, 0);
    }

    /// @inheritdoc IEscrowRail
    function fill(EscrowTerms calldata terms) external nonReentrant {
        require(terms.settlementChainId == block.chainid, WrongChain(terms.settlementChainId));
        require(
            block.timestamp <= terms.fillDeadline, FillExpired(terms.fillDeadline, block.timestamp)
        );
        bytes32 orderId = orderIdOf(terms);
        address solver = filledBy[orderId];
        require(solver == address(0), AlreadyFilled(orderId, solver));
        filledBy[orderId] = msg.sender;
        _payMerchant(terms.settlementToken, terms.merchant, terms.merchantAmount);
        emit Filled(
            orderId,
            terms.sessionKey,
            msg.sender,
            terms.merchant,
            terms.settlementToken,
            terms.merchantAmount,
            terms.sourceChainId
        );
    }

    /// @inheritdoc IEscrowRail
    function release(bytes32 orderId, address solver, bytes calldata signatures)
        external
        nonReentrant
    {
        Escrow memory escrow = _requireOpen(orderId);
        require(_since(solverSince[solver], escrow.startedAt), SolverNotListed(solver));
        _requireProven(proofDigest(orderId, solver), signatures, escrow.startedAt);
        _escrows[orderId].state = State.RELEASED;
        _handOut(escrow.token, solver, escrow.amount);
        emit Released(orderId, escrow.sessionKey, solver, escrow.token, escrow.amount);
    }

    /// @inheritdoc IEscrowRail
    function reclaim(bytes32 orderId) external nonReentrant {
        Escrow memory escrow = _requireOpen(orderId);
        require(
            block.timestamp >= escrow.reclaimAfter,
            ReclaimTooEarly(escrow.reclaimAfter, block.timestamp)
        );
        _escrows[orderId].state = State.RECLAIMED;
        _handOut(escrow.token, escrow.payer, escrow.amount);
        emit Reclaimed(orderId, escrow.sessionKey, escrow.payer, escrow.token, escrow.amount);
    }

    /// @inheritdoc IEscrowRail
    function addSolver(address solver) external onlyOwner {
        _add(solverSince, solver);
        emit SolverAdded(solver);
    }

    /// @inheritdoc IEscrowRail
    function removeSolver(address solver) external onlyOwner {
        _remove(solverSince, solver);
        emit SolverRemoved(solver);
    }

    /// @inheritdoc IEscrowRail
    function addAttestor(address attestor) external onlyOwner {
        _add(attestorSince, attestor);
        attestors += 1;
        emit AttestorAdded(attestor);
    }

    /// @inheritdoc IEscrowRail
    function removeAttestor(address attestor) external onlyOwner {
        _remove(attestorSince, attestor);
        attestors -= 1;
        require(attestors >= threshold, BadThreshold(threshold, attestors));
        emit AttestorRemoved(attestor);
    }

    /// @inheritdoc IEscrowRail
    function setThreshold(uint256 threshold_) external onlyOwner {
        require(threshold_ != 0 && threshold_ <= attestors, BadThreshold(threshold_, attestors));
        threshold = threshold_;
        emit ThresholdSet(threshold_);
    }

    /// @inheritdoc IEscrowRail
    function escrows(bytes32 orderId) external view returns (Escrow memory) {
        return _escrows[orderId];
    }

    /// @notice Always refused, see `OwnershipNotRenounceable`.
    function renounceOwnership() public pure override {
        revert OwnershipNotRenounceable();
    }

    /// @inheritdoc IEscrowRail
    function orderIdOf(EscrowTerms calldata terms) public pure returns (bytes32) {
        return keccak256(abi.encode(terms));
    }

    /// @inheritdoc IEscrowRail
    function proofDigest(bytes32 orderId, address solver) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(PROOF_TYPEHASH, orderId, solver)));
    }

    function _orderId(Delivery calldata delivery, uint256 fillDeadline, uint256 reclaimAfter)
        private
        view
        returns (bytes32)
    {
        EscrowTerms memory terms = EscrowTerms({
            sourceChainId: block.chainid,
            sourceEscrow: address(this),
            sessionKey: delivery.sessionKey,
            payer: delivery.payer,
            merchant: delivery.merchant,
            token: delivery.token,
            amount: delivery.amount,
            settlementChainId: delivery.settlementChainId,
            settlementToken: delivery.settlementToken,
            merchantAmount: delivery.merchantAmount,
            fillDeadline: fillDeadline,
            reclaimAfter: reclaimAfter
        });
        return keccak256(abi.encode(terms));
    }

    function _open(bytes32 orderId, Delivery calldata delivery, uint256 reclaimAfter) private {
        require(_escrows[orderId].state == State.NONE, AlreadyEscrowed(orderId));
        require(delivery.amount <= type(uint96).max, AmountTooLarge(delivery.amount));
        _escrows[orderId] = Escrow({
            payer: delivery.payer,
            startedAt: uint40(block.timestamp),
            // Fits: bounded by MAX_RECLAIM_DELAY.
            reclaimAfter: uint40(reclaimAfter),
            state: State.OPEN,
            token: delivery.token,
            amount: uint96(delivery.amount),
            sessionKey: delivery.sessionKey
        });
    }

    /// @dev Measured, because the proof that a solver was good for the money is made of this.
    function _payMerchant(address token, address merchant, uint256 amount) private {
        uint256 before = IERC20(token).balanceOf(merchant);
        IERC20(token).safeTransferFrom(msg.sender, merchant, amount);
        uint256 afterwards = IERC20(token).balanceOf(merchant);
        require(
            afterwards > before && afterwards - before >= amount,
            MerchantNotPaid(token, merchant, amount)
        );
    }

    function _requireOpen(bytes32 orderId) private view returns (Escrow memory escrow) {
        escrow = _escrows[orderId];
        require(escrow.state == State.OPEN, NotOpen(orderId, escrow.state));
    }

    function _requireProven(bytes32 digest, bytes calldata signatures, uint256 startedAt)
        private
        view
    {
        uint256 needed = threshold;
        require(needed != 0, ThresholdUnset());
        uint256 expected = needed * SIGNATURE_LENGTH;
        require(signatures.length == expected, BadProofLength(signatures.length, expected));
        address previous = address(0);
        for (uint256 offset = 0; offset < expected; offset += SIGNATURE_LENGTH) {
            address attestor =
                ECDSA.recoverCalldata(digest, signatures[offset:offset + SIGNATURE_LENGTH]);
            require(attestor > previous, AttestorsNotAscending(previous, attestor));
            require(_since(attestorSince[attestor], startedAt), NotAnAttestor(attestor));
            previous = attestor;
        }
    }

    /// @dev Strictly before: a network may make several blocks in one second.
    function _since(uint256 added, uint256 startedAt) private pure returns (bool) {
        return added != 0 && added < startedAt;
    }

    function _add(mapping(address account => uint256) storage list, address account) private {
        require(account != address(0) && list[account] == 0, NotAddable(account));
        list[account] = block.timestamp;
    }

    function _remove(mapping(address account => uint256) storage list, address account) private {
        require(list[account] != 0, NotListed(account));
        delete list[account];
    }
}
