// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {
    ReentrancyGuardTransient
} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ISettlementRail} from "../interfaces/ISettlementRail.sol";

/// @title What every rail has in common: one router that may start it, and no reentrancy.
abstract contract Rail is ISettlementRail, ReentrancyGuardTransient {
    /// @notice The only account that may call `start`.
    address public immutable router;

    modifier onlyRouter() {
        require(msg.sender == router, NotTheRouter(msg.sender));
        _;
    }

    constructor(address router_) {
        router = router_;
    }

    /// @dev Everything of `token` that this contract has. At least `expected`, or the token
    ///      delivered less than the router sent, and the rest would be somebody else's money.
    function _received(address token, uint256 expected) internal view returns (uint256 found) {
        found = IERC20(token).balanceOf(address(this));
        require(found >= expected, AmountNotReceived(token, expected, found));
    }
}
