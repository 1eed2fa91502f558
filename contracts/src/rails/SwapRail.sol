// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ISwapRail} from "../interfaces/ISwapRail.sol";
import {ISwapRouter} from "../interfaces/ISwapRouter.sol";
import {Rail} from "./Rail.sol";

/// @title Swaps the payment for the merchant's token, exactly what the merchant is owed.
/// @notice Holds nothing between transactions and leaves no allowance behind.
contract SwapRail is ISwapRail, Rail {
    using SafeERC20 for IERC20;

    /// @inheritdoc ISwapRail
    uint256 public constant MAX_COST_PPM = 20_000;

    uint256 private constant PPM = 1_000_000;

    /// @inheritdoc ISwapRail
    address public immutable swapRouter;

    constructor(address router_, address swapRouter_) Rail(router_) {
        swapRouter = swapRouter_;
    }

    function start(Delivery calldata delivery, bytes calldata railData)
        external
        onlyRouter
        nonReentrant
        returns (uint256 spent, uint256 delivered)
    {
        require(
            delivery.settlementChainId == block.chainid
                && delivery.token != delivery.settlementToken && delivery.merchant != address(this)
                && railData.length == 32,
            RouteUnsupported()
        );
        _requireFair(delivery);
        IERC20 token = IERC20(delivery.token);
        uint256 amount = delivery.amount;
        uint256 before = _received(address(token), amount);
        token.forceApprove(swapRouter, amount);
        delivered = _swap(delivery, abi.decode(railData, (uint24)));
        spent = before - token.balanceOf(address(this));
        if (spent != amount) {
            token.forceApprove(swapRouter, 0);
            token.safeTransfer(delivery.payer, amount - spent);
        }
    }

    /// @dev Who pays by a plain deposit sees no order. Without this bound a stolen signer's key
    ///      could sell deposits for next to nothing to a pool of the thief's own.
    function _requireFair(Delivery calldata delivery) private view {
        uint256 worth = delivery.merchantAmount * _unit(delivery.token) * (PPM + MAX_COST_PPM);
        require(
            delivery.amount * _unit(delivery.settlementToken) * PPM <= worth,
            PriceOutOfBounds(delivery.amount, delivery.merchantAmount)
        );
    }

    /// @return One whole token, in atomic units.
    function _unit(address token) private view returns (uint256) {
        return 10 ** IERC20Metadata(token).decimals();
    }

    /// @return delivered By how much the merchant's balance grew.
    function _swap(Delivery calldata delivery, uint24 poolFee)
        private
        returns (uint256 delivered)
    {
        IERC20 settlementToken = IERC20(delivery.settlementToken);
        uint256 before = settlementToken.balanceOf(delivery.merchant);
        // Two balances with a call in between are the measure itself; router and rail let no other
        // payment in meanwhile. What the swap says that it cost is measured too, not believed.
        // slither-disable-next-line reentrancy-balance,unused-return
        ISwapRouter(swapRouter)
            .exactOutputSingle(
                ISwapRouter.ExactOutputSingleParams({
                tokenIn: delivery.token,
                tokenOut: delivery.settlementToken,
                fee: poolFee,
                recipient: delivery.merchant,
                deadline: delivery.deadline,
                amountOut: delivery.merchantAmount,
                amountInMaximum: delivery.amount,
                sqrtPriceLimitX96: 0
            })
            );
        uint256 afterwards = settlementToken.balanceOf(delivery.merchant);
        require(
            afterwards >= before && afterwards - before >= delivery.merchantAmount,
            MerchantNotPaid(delivery.settlementToken, delivery.merchant, delivery.merchantAmount)
        );
        return afterwards - before;
    }
}
