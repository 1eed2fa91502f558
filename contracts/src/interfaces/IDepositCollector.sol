// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITokenCollector} from "./ITokenCollector.sol";

/// @title Collects what was sent to an address that commits to one session.
/// @notice The address is the hash of the terms, so what arrives there can go to the session's
///         merchant and fee receiver, or back to `refundTo`, and nowhere else. The contract has
///         the same address on every network, and so has each deposit.
interface IDepositCollector is ITokenCollector {
    /// @notice What a deposit address commits to.
    /// @param sessionKey The session that the deposit pays.
    /// @param merchant The final receiver, as in the order.
    /// @param settlementChainId Where the merchant is paid (EIP-155).
    /// @param settlementToken What the merchant is paid in, on that chain.
    /// @param feeReceiver Who may get the fee.
    /// @param refundTo Gets whatever is left, on any network, once it may be recovered.
    /// @param refundableAfter The last second (Unix) at which nothing can be recovered.
    struct DepositTerms {
        bytes32 sessionKey;
        address merchant;
        uint256 settlementChainId;
        address settlementToken;
        address feeReceiver;
        address refundTo;
        uint256 refundableAfter;
    }

    /// @notice Everything of `token` at a deposit address went to its refund address.
    /// @param token The zero address for the chain's own coin.
    event Recovered(
        bytes32 indexed sessionKey, address indexed refundTo, address token, uint256 amount
    );

    /// @notice From now on and for ever, only `router` may collect.
    event RouterSet(address indexed router);

    /// @notice Only the owner may say which router collects.
    error NotTheOwner(address caller);

    /// @notice The router was set before, or is no contract.
    error RouterNotSettable(address router);

    /// @notice The payer is not the address of these terms.
    error NotTheDeposit(address payer, address deposit);

    /// @notice The order pays another session, merchant, token, chain or fee receiver than the
    ///         deposit address commits to.
    error OrderDiffers(bytes32 sessionKey);

    /// @notice Nothing can be recovered until `refundableAfter` has passed.
    error NotYetRecoverable(uint256 refundableAfter, uint256 currentTime);

    /// @notice There is nothing of this token, or no address to give it to.
    error NothingToRecover(address token, address refundTo);

    /// @notice Say which router collects. Owner only, once.
    function setRouter(address router) external;

    /// @notice Send everything of `token` at a deposit address to its refund address. Anybody may
    ///         call, after `refundableAfter`.
    /// @param token The zero address for the chain's own coin.
    /// @return amount What was sent, atomic units.
    function recover(DepositTerms calldata terms, address token) external returns (uint256 amount);

    /// @notice The deposit address of these terms, on every network.
    function addressOf(DepositTerms calldata terms) external view returns (address);

    /// @notice The contract whose clones deposit addresses are (EIP-1167).
    function walletImplementation() external view returns (address);

    /// @notice What each account has of each token, row by row: all tokens of the first account,
    ///         then of the second.
    /// @param tokens The zero address for the chain's own coin.
    function balances(address[] calldata accounts, address[] calldata tokens)
        external
        view
        returns (uint256[] memory);

    /// @notice Who may say which router collects.
    function owner() external view returns (address);

    /// @notice The router that collects; the zero address before it was set.
    function router() external view returns (address);
}
