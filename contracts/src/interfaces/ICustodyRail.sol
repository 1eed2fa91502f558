// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISettlementRail} from "./ISettlementRail.sol";

/// @title A rail that keeps money between two transactions.
interface ICustodyRail is ISettlementRail {
    /// @notice The amount does not fit 96 bits (more than 10^28 atomic units).
    error AmountTooLarge(uint256 amount);

    /// @notice Handing out `amount` changed this contract's balance by another number.
    error DebitNotExact(address token, uint256 amount);

    /// @notice What this contract must be able to hand out, atomic units of `token`. Its balance is
    ///         that, or more when somebody sent tokens by mistake; those stay here.
    function owed(address token) external view returns (uint256);
}
