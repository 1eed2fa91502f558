// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A way of taking tokens from a payer: a plug-in of the router.
/// @notice A collector moves `amount` to `receiver` and `feeAmount` to `feeReceiver`, from
///         `payer`, and nothing else. It obeys only its router, and proves the payer's consent to
///         exactly this order: by a signature over the order's digest, by the payer being the
///         caller, or by an address that commits to the session. It holds nothing afterwards.
interface ITokenCollector {
    /// @notice What is taken, and for what.
    /// @dev `digest` is the EIP-712 digest of the signed order, so a consent to it is a consent to
    ///      every term. Amounts are atomic units of `token`.
    /// @param caller Who called the router.
    /// @param merchant The final receiver that the order names.
    /// @param receiver Who gets `amount` now: the merchant, or the rail that goes on from here.
    /// @param settlementChainId The chain where the merchant is paid (EIP-155).
    /// @param settlementToken The token that the merchant is paid in, on that chain.
    struct Collection {
        bytes32 sessionKey;
        bytes32 digest;
        address caller;
        address payer;
        address token;
        address merchant;
        address receiver;
        uint256 amount;
        address feeReceiver;
        uint256 feeAmount;
        uint256 settlementChainId;
        address settlementToken;
    }

    /// @notice Only the router that a collector serves may call it.
    error NotTheRouter(address caller);

    /// @notice Take the tokens.
    /// @dev A fee that its receiver cannot take is left with, or returned to, the payer; a fee that
    ///      the payer did not fund reverts.
    /// @param data What this way of collecting needs: a signature, the terms of a deposit.
    /// @return feeReceived What was debited for the fee receiver: `feeAmount`, or 0.
    function collect(Collection calldata collection, bytes calldata data)
        external
        returns (uint256 feeReceived);
}
