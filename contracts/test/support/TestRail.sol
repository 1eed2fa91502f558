// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ISettlementRail} from "../../src/interfaces/ISettlementRail.sol";

/// @notice The simplest rail: it delivers `merchantAmount` of the paid token at once, and returns
///         the rest. It can be told to claim anything else.
contract TestRail is ISettlementRail {
    using SafeERC20 for IERC20;

    Delivery private _last;
    bytes public lastData;
    bool private _lies;
    uint256 private _spent;
    uint256 private _delivered;

    function claim(uint256 spent, uint256 delivered) external {
        (_lies, _spent, _delivered) = (true, spent, delivered);
    }

    function last() external view returns (Delivery memory) {
        return _last;
    }

    function start(Delivery calldata delivery, bytes calldata railData)
        external
        returns (uint256 spent, uint256 delivered)
    {
        (_last, lastData) = (delivery, railData);
        if (_lies) return (_spent, _delivered);
        IERC20 token = IERC20(delivery.token);
        uint256 before = token.balanceOf(delivery.merchant);
        token.safeTransfer(delivery.merchant, delivery.merchantAmount);
        uint256 rest = delivery.amount - delivery.merchantAmount;
        if (rest != 0) token.safeTransfer(delivery.payer, rest);
        delivered = token.balanceOf(delivery.merchant) - before;
        // To the router, 0 would mean that the money comes later.
        require(delivered != 0, "rail: nothing delivered");
        return (delivery.merchantAmount, delivered);
    }
}
