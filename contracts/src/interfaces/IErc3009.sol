// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The part of EIP-3009 that payments use, in the form that takes signatures of
///        contract wallets, too (Circle's FiatToken 2.2).
interface IErc3009 {
    /// @notice Move `value` from `from` to `to`, who must be the caller.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;
}
