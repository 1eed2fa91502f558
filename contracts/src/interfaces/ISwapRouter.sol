// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What is called on Uniswap's SwapRouter for version 3 pools.
interface ISwapRouter {
    /// @param fee Names the pool of the two tokens: hundredths of a basis point, 100 is 0.01 %.
    /// @param deadline The last Unix second at which the swap may happen.
    /// @param amountOut What `recipient` gets, exactly, atomic units of `tokenOut`.
    /// @param amountInMaximum The most that is taken, atomic units of `tokenIn`.
    /// @param sqrtPriceLimitX96 0: no limit besides `amountInMaximum`.
    struct ExactOutputSingleParams {
        address tokenIn;
        address tokenOut;
        uint24 fee;
        address recipient;
        uint256 deadline;
        uint256 amountOut;
        uint256 amountInMaximum;
        uint160 sqrtPriceLimitX96;
    }

    /// @notice Swap for an exact output; the input is taken from the caller by `transferFrom`.
    /// @return amountIn What was taken.
    function exactOutputSingle(ExactOutputSingleParams calldata params)
        external
        payable
        returns (uint256 amountIn);
}
