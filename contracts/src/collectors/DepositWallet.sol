// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title What lies at a deposit address: it does what the deposit collector says.
/// @notice Deployed once; each deposit address is a clone of it (EIP-1167).
contract DepositWallet {
    using SafeERC20 for IERC20;

    address private immutable _collector = msg.sender;

    /// @notice Only the deposit collector moves what is here.
    error NotTheCollector(address caller);

    /// @notice Coins that arrive by mistake can be recovered.
    receive() external payable {}

    /// @notice Send something that is here.
    /// @param token The zero address for the chain's own coin.
    /// @return Whether it was sent; a token's refusal is no error here.
    function send(address token, address to, uint256 amount) external returns (bool) {
        require(msg.sender == _collector, NotTheCollector(msg.sender));
        if (token != address(0)) return IERC20(token).trySafeTransfer(to, amount);
        (bool success,) = to.call{value: amount}("");
        return success;
    }
}
