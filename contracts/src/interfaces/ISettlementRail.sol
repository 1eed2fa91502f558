// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What brings a payment to its merchant when a plain transfer cannot: a plug-in of the
///        router.
/// @notice The router has moved `amount` of `token` to the rail before it calls `start`.
interface ISettlementRail {
    /// @notice The terms that the platform signed, as far as a rail needs them.
    /// @param amount What the rail was given, atomic units of `token`.
    /// @param merchantAmount What the merchant must get, atomic units of `settlementToken`.
    /// @param deadline The order's deadline, Unix seconds.
    struct Delivery {
        bytes32 sessionKey;
        address payer;
        address merchant;
        address token;
        uint256 amount;
        uint256 settlementChainId;
        address settlementToken;
        uint256 merchantAmount;
        uint256 deadline;
    }

    /// @notice Only the router that a rail serves may start it.
    error NotTheRouter(address caller);

    /// @notice The order asks for something that this rail does not do.
    error RouteUnsupported();

    /// @notice The rail has `found` of what the router should have sent: the token withholds a part
    ///         of transfers.
    error AmountNotReceived(address token, uint256 expected, uint256 found);

    /// @notice Begin, and where the rail delivers at once, complete the delivery.
    /// @param railData This rail's own terms, covered by the platform's signature.
    /// @return spent How much of `amount` was used; the rail returned the rest to the payer.
    /// @return delivered By how much the merchant's balance grew, measured; 0 when that comes
    ///         later.
    function start(Delivery calldata delivery, bytes calldata railData)
        external
        returns (uint256 spent, uint256 delivered);
}
