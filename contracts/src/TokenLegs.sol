// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IPaymentRouter} from "./interfaces/IPaymentRouter.sol";

/// @title The legs of a payment: out of an allowance that the payer gave to this contract
///        (pull), or out of what this contract received (push).
/// @dev Used by the router and by collectors, so that both refuse and forgo the same things.
library TokenLegs {
    using SafeERC20 for IERC20;

    /// @dev Reverts with `TransferFailed` when the token refuses, or says that nothing moved.
    function pull(address token, address payer, address receiver, uint256 amount) internal {
        require(
            IERC20(token).trySafeTransferFrom(payer, receiver, amount),
            IPaymentRouter.TransferFailed(token, payer, receiver, amount)
        );
    }

    /// @dev A fee that cannot be delivered is forgone, so that a blocked fee receiver never
    ///      blocks a merchant. A payer who did not fund it is refused, or nobody would pay it.
    /// @return feeReceived `feeAmount`, or 0 when the fee was forgone.
    function pullFee(address token, address payer, address feeReceiver, uint256 feeAmount)
        internal
        returns (uint256 feeReceived)
    {
        if (feeAmount == 0) return 0;
        if (IERC20(token).trySafeTransferFrom(payer, feeReceiver, feeAmount)) return feeAmount;
        requireFunded(token, payer, address(this), feeAmount);
    }

    /// @dev Reverts with `TransferFailed` when the token refuses, or says that nothing moved.
    /// @param payer Whose tokens these were, for the error.
    function push(address token, address payer, address receiver, uint256 amount) internal {
        require(
            tryPush(token, receiver, amount),
            IPaymentRouter.TransferFailed(token, payer, receiver, amount)
        );
    }

    /// @return Whether the token said that it moved the amount.
    function tryPush(address token, address receiver, uint256 amount) internal returns (bool) {
        return IERC20(token).trySafeTransfer(receiver, amount);
    }

    /// @dev Reverts with `FeeNotFunded` unless `spender` could still take the fee.
    function requireFunded(address token, address payer, address spender, uint256 feeAmount)
        internal
        view
    {
        uint256 balance = IERC20(token).balanceOf(payer);
        uint256 allowance = IERC20(token).allowance(payer, spender);
        uint256 available = balance < allowance ? balance : allowance;
        require(available >= feeAmount, IPaymentRouter.FeeNotFunded(available, feeAmount));
    }
}
