// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ICustodyRail} from "../interfaces/ICustodyRail.sol";
import {Rail} from "./Rail.sol";

/// @title A rail that keeps money for a while, and knows at every moment how much it owes.
abstract contract CustodyRail is ICustodyRail, Rail {
    using SafeERC20 for IERC20;

    /// @inheritdoc ICustodyRail
    mapping(address token => uint256) public owed;

    /// @dev Books what the router has just sent. What is owed already does not count, so a token
    ///      that takes a fee on transfers cannot be paid for with the money of others.
    function _book(address token, uint256 amount) internal {
        uint256 total = owed[token] + amount;
        _received(token, total);
        owed[token] = total;
    }

    /// @dev Hands out what was booked, all of it or nothing.
    function _handOut(address token, address receiver, uint256 amount) internal {
        uint256 before = _unbook(token, amount);
        IERC20(token).safeTransfer(receiver, amount);
        _requireDebited(token, before, amount);
    }

    /// @return before The balance, for `_requireDebited`.
    function _unbook(address token, uint256 amount) internal returns (uint256 before) {
        owed[token] -= amount;
        return IERC20(token).balanceOf(address(this));
    }

    /// @dev A token that says yes and moves nothing, or debits more than it was told, is refused:
    ///      the first would lose a receiver's money, the second the money of others.
    function _requireDebited(address token, uint256 before, uint256 amount) internal view {
        uint256 left = IERC20(token).balanceOf(address(this));
        // Exactly: nobody but the token can change what left between the two measures, and one that
        // debits another amount than it was told is what this refuses.
        // slither-disable-next-line incorrect-equality
        require(left <= before && before - left == amount, DebitNotExact(token, amount));
    }
}
