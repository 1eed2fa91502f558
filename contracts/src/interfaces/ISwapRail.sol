// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISettlementRail} from "./ISettlementRail.sol";

/// @title Another token on the same network, through one Uniswap version 3 pool.
/// @notice `railData` is `abi.encode(uint24 poolFee)`, hundredths of a basis point. The merchant
///         gets `merchantAmount`, measured, or the whole payment reverts; `amount` bounds what the
///         swap may cost, and what it did not cost goes back to the payer.
interface ISwapRail is ISettlementRail {
    /// @notice The merchant's balance grew by less than the promise.
    error MerchantNotPaid(address settlementToken, address merchant, uint256 merchantAmount);

    /// @notice The order lets the swap cost more than `MAX_COST_PPM` above what the merchant gets,
    ///         both tokens being worth the same.
    error PriceOutOfBounds(uint256 amount, uint256 merchantAmount);

    /// @notice The most that a swap may cost on top, parts per million of what the merchant gets.
    ///         Both tokens stand for the same currency, whole token for whole token.
    function MAX_COST_PPM() external view returns (uint256);

    /// @notice The Uniswap SwapRouter that swaps.
    function swapRouter() external view returns (address);
}
