// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What is called on Circle's TokenMessengerV2 (CCTP version 2).
interface ITokenMessengerV2 {
    /// @notice Take `amount` of `burnToken` from the caller by `transferFrom`, burn it, and send a
    ///         message that mints it in the domain `destinationDomain`.
    /// @param amount Atomic units of `burnToken`, burnt here; minted there less the fee.
    /// @param destinationDomain Circle's number of the other network; not its chain id.
    /// @param mintRecipient The account that is minted to, an address in the low 20 bytes.
    /// @param destinationCaller Who alone may hand in the message; 0: anybody.
    /// @param maxFee The most that may be withheld from the minted amount, same units.
    /// @param minFinalityThreshold 2000: attest when finalised; 1000: when confirmed.
    /// @param hookData Carried along unread; must not be empty.
    function depositForBurnWithHook(
        uint256 amount,
        uint32 destinationDomain,
        bytes32 mintRecipient,
        address burnToken,
        bytes32 destinationCaller,
        uint256 maxFee,
        uint32 minFinalityThreshold,
        bytes calldata hookData
    ) external;
}
