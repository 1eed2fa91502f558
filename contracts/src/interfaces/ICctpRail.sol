// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISettlementRail} from "./ISettlementRail.sol";

/// @title USDC to another network through Circle's Cross-Chain Transfer Protocol, version 2.
/// @notice `railData` is `abi.encode(uint32 destinationDomain, uint256 maxFee, uint32
///         minFinalityThreshold)`. The message carries the session key as its 32 bytes of hook
///         data, and anybody may hand it in on the other network.
interface ICctpRail is ISettlementRail {
    /// @notice With the highest fee, less than the promise would arrive.
    error MerchantAmountNotCovered(uint256 amount, uint256 maxFee, uint256 merchantAmount);

    /// @notice Circle's contract that burns; `CctpRail` trusts it with what it sends.
    function tokenMessenger() external view returns (address);
}
