// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev The one function of Permit2 that is used (SignatureTransfer).
interface IPermit2WitnessTransfer {
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    struct SignatureTransferDetails {
        address to;
        uint256 requestedAmount;
    }

    function permitWitnessTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes32 witness,
        string calldata witnessTypeString,
        bytes calldata signature
    ) external;
}

/// @title Answers like the proxy through which x402 moves tokens by Permit2, for local chains only.
/// @notice The payer signs for this contract as Permit2's spender, with the receiver as the
///         witness: whoever sends the signature can move exactly that amount to exactly that
///         receiver. On public networks the proxy of the x402 project is used instead.
/// @dev Has no storage and no constructor, so that its runtime code can be put at the address
///      that x402 clients sign for.
contract ExactPermit2ProxyDouble {
    struct Witness {
        address to;
        uint256 validAfter;
    }

    IPermit2WitnessTransfer public constant PERMIT2 =
        IPermit2WitnessTransfer(0x000000000022D473030F116dDEE9F6B43aC78BA3);

    /// @dev How EIP-712 spells the witness behind Permit2's own members.
    string private constant WITNESS_TYPE = "Witness witness)"
        "TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)";
    bytes32 private constant WITNESS_TYPEHASH =
        keccak256("Witness(address to,uint256 validAfter)");

    event Settled();

    error InvalidDestination();
    error PaymentTooEarly();

    /// @notice Moves all of what was permitted from `owner` to the witness's receiver.
    function settle(
        IPermit2WitnessTransfer.PermitTransferFrom calldata permit,
        address owner,
        Witness calldata witness,
        bytes calldata signature
    ) external {
        require(witness.to != address(0), InvalidDestination());
        require(block.timestamp >= witness.validAfter, PaymentTooEarly());
        PERMIT2.permitWitnessTransferFrom(
            permit,
            IPermit2WitnessTransfer.SignatureTransferDetails(witness.to, permit.permitted.amount),
            owner,
            keccak256(abi.encode(WITNESS_TYPEHASH, witness.to, witness.validAfter)),
            WITNESS_TYPE,
            signature
        );
        emit Settled();
    }
}
