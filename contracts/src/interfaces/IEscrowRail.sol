// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICustodyRail} from "./ICustodyRail.sol";

/// @title Any token to any other network: the payer's money waits here while a solver pays the
///        merchant there with its own.
/// @notice `railData` is `abi.encode(uint256 fillDeadline, uint256 reclaimAfter)`. One contract
///         plays both parts: on the payer's network `start`, `release` and `reclaim`, on the
///         merchant's `fill`. Times are Unix seconds, amounts atomic units.
interface IEscrowRail is ICustodyRail {
    /// @notice All of an order; its id is `keccak256(abi.encode(terms))`, so that no id can stand
    ///         for other terms, another network or another contract.
    /// @param payer Gets `amount` back when nobody was paid for it.
    /// @param fillDeadline The last second at which the merchant can be paid through `fill`.
    /// @param reclaimAfter From this second on the payer can take the money back.
    struct EscrowTerms {
        uint256 sourceChainId;
        address sourceEscrow;
        bytes32 sessionKey;
        address payer;
        address merchant;
        address token;
        uint256 amount;
        uint256 settlementChainId;
        address settlementToken;
        uint256 merchantAmount;
        uint256 fillDeadline;
        uint256 reclaimAfter;
    }

    /// @notice NONE → OPEN → RELEASED or RECLAIMED, once.
    enum State {
        NONE,
        OPEN,
        RELEASED,
        RECLAIMED
    }

    /// @param startedAt When the money came; solvers and attestors added since have no say.
    struct Escrow {
        address payer;
        uint40 startedAt;
        uint40 reclaimAfter;
        State state;
        address token;
        uint96 amount;
        bytes32 sessionKey;
    }

    /// @notice The payer's money waits for a solver.
    event Escrowed(
        bytes32 indexed orderId,
        bytes32 indexed sessionKey,
        address indexed payer,
        address token,
        uint256 amount,
        uint256 fillDeadline,
        uint256 reclaimAfter
    );

    /// @notice A solver has paid the merchant. Who credits this compares `orderId`: a session key
    ///         alone can be anybody's invention.
    event Filled(
        bytes32 indexed orderId,
        bytes32 indexed sessionKey,
        address indexed solver,
        address merchant,
        address token,
        uint256 amount,
        uint256 sourceChainId
    );

    /// @notice The money went to the solver that had paid the merchant.
    event Released(
        bytes32 indexed orderId,
        bytes32 indexed sessionKey,
        address indexed receiver,
        address token,
        uint256 amount
    );

    /// @notice The money went back to the payer.
    event Reclaimed(
        bytes32 indexed orderId,
        bytes32 indexed sessionKey,
        address indexed receiver,
        address token,
        uint256 amount
    );

    event SolverAdded(address indexed solver);
    event SolverRemoved(address indexed solver);
    event AttestorAdded(address indexed attestor);
    event AttestorRemoved(address indexed attestor);
    event ThresholdSet(uint256 threshold);

    /// @notice Not now ≤ `fillDeadline` < `reclaimAfter` ≤ now + `MAX_RECLAIM_DELAY`.
    error BadTimes(uint256 fillDeadline, uint256 reclaimAfter);

    /// @notice The same order was escrowed before.
    error AlreadyEscrowed(bytes32 orderId);

    /// @notice Nothing waits under this id: never came, released or reclaimed.
    error NotOpen(bytes32 orderId, State state);

    /// @notice The merchant is to be paid on another network.
    error WrongChain(uint256 settlementChainId);

    /// @notice The merchant could have been paid until `fillDeadline`.
    error FillExpired(uint256 fillDeadline, uint256 currentTime);

    /// @notice This order's merchant has been paid, by `solver`.
    error AlreadyFilled(bytes32 orderId, address solver);

    /// @notice The merchant's balance did not grow by the promise.
    error MerchantNotPaid(address settlementToken, address merchant, uint256 merchantAmount);

    /// @notice The payer can take the money back from `reclaimAfter` on.
    error ReclaimTooEarly(uint256 reclaimAfter, uint256 currentTime);

    /// @notice The account was no solver when the order was escrowed.
    error SolverNotListed(address solver);

    /// @notice The owner has not yet said how many attestors must sign.
    error ThresholdUnset();

    /// @notice The proof is not exactly `threshold` signatures of 65 bytes.
    error BadProofLength(uint256 length, uint256 expected);

    /// @notice The signatures are not in ascending order of their signers, or one appears twice.
    error AttestorsNotAscending(address previous, address next);

    /// @notice The account was no attestor when the order was escrowed.
    error NotAnAttestor(address recovered);

    /// @notice The address cannot be added: zero, or there already.
    error NotAddable(address account);

    /// @notice The address is not on the list it should be removed from.
    error NotListed(address account);

    /// @notice Between 1 and the number of attestors.
    error BadThreshold(uint256 threshold, uint256 attestors);

    /// @notice Ownership can be handed over, never dropped.
    error OwnershipNotRenounceable();

    /// @notice Pay the merchant of an order with the caller's tokens, `merchantAmount` by
    ///         `transferFrom`, on the merchant's network. Anybody may; only a listed solver gets
    ///         the escrowed money for it.
    function fill(EscrowTerms calldata terms) external;

    /// @notice Hand the escrowed money to the solver that the attestors saw filling the order.
    ///         Anybody may call.
    /// @param signatures `threshold` signatures (r, s, v) of `FillProof(bytes32 orderId,address
    ///        solver)`, ascending by signer.
    function release(bytes32 orderId, address solver, bytes calldata signatures) external;

    /// @notice Hand the escrowed money back to the payer. Anybody may call, from `reclaimAfter` on.
    function reclaim(bytes32 orderId) external;

    /// @notice Let orders escrowed from now on be released to `solver`. Owner only.
    function addSolver(address solver) external;

    /// @notice Never again release to `solver`. Owner only.
    function removeSolver(address solver) external;

    /// @notice Accept the signature of `attestor` on orders escrowed from now on. Owner only.
    function addAttestor(address attestor) external;

    /// @notice Refuse the signature of `attestor`. Owner only.
    function removeAttestor(address attestor) external;

    /// @notice How many attestors must sign. Owner only.
    function setThreshold(uint256 threshold) external;

    /// @notice The order that waits, waited, or (state NONE) never came.
    function escrows(bytes32 orderId) external view returns (Escrow memory);

    /// @notice Who paid the merchant of an order here; 0: nobody.
    function filledBy(bytes32 orderId) external view returns (address);

    /// @notice The id of these terms.
    function orderIdOf(EscrowTerms calldata terms) external pure returns (bytes32);

    /// @notice The EIP-712 digest that attestors sign, on this chain and contract.
    function proofDigest(bytes32 orderId, address solver) external view returns (bytes32);

    /// @notice Since when the account is a solver, Unix seconds; 0: it is none.
    function solverSince(address account) external view returns (uint256);

    /// @notice Since when the account is an attestor, Unix seconds; 0: it is none.
    function attestorSince(address account) external view returns (uint256);

    /// @notice How many attestors there are.
    function attestors() external view returns (uint256);

    /// @notice How many attestors must sign; 0: not yet set, nothing can be released.
    function threshold() external view returns (uint256);
}
