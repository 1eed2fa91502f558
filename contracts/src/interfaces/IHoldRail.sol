// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICustodyRail} from "./ICustodyRail.sol";

/// @title Authorise now, capture later: the payer's money waits for the merchant's decision.
/// @notice `railData` is `abi.encode(uint256 captureBefore, uint256 feePpm, address feeReceiver,
///         address operator)`. Same network, same token. `merchantAmount` may be at most what a
///         capture of everything at once pays the merchant. Amounts are atomic units of the held
///         token, times Unix seconds.
interface IHoldRail is ICustodyRail {
    /// @param captureBefore From this second on nothing can be captured, and anybody can send the
    ///        rest back to the payer.
    /// @param feePpm The platform's part of each capture, parts per million, rounded up.
    /// @param open Whether anything waits; false with `authorized` 0: never came.
    /// @param remaining What waits.
    /// @param authorized What came.
    /// @param operator May capture and void for the merchant; 0: nobody.
    struct Hold {
        address payer;
        uint40 captureBefore;
        uint16 feePpm;
        bool open;
        address merchant;
        uint96 remaining;
        address token;
        uint96 authorized;
        address feeReceiver;
        address operator;
    }

    /// @notice The payer's money waits.
    event Authorized(
        bytes32 indexed sessionKey,
        address indexed payer,
        address indexed merchant,
        address token,
        uint256 amount,
        uint256 captureBefore
    );

    /// @notice `amount` left the hold. `merchantReceived` is measured: by how much the merchant's
    ///         balance grew; `feeReceived` is what was debited for the fee receiver.
    event Captured(
        bytes32 indexed sessionKey,
        address indexed merchant,
        address token,
        uint256 amount,
        uint256 merchantReceived,
        uint256 feeReceived,
        uint256 remaining
    );

    /// @notice The merchant's side let the rest go; it went back to the payer.
    event Voided(bytes32 indexed sessionKey, address indexed payer, address token, uint256 amount);

    /// @notice The time was over; the rest went back to the payer.
    event Reclaimed(
        bytes32 indexed sessionKey, address indexed payer, address token, uint256 amount
    );

    /// @notice Not now < `captureBefore` ≤ now + `MAX_HOLD`.
    error BadCaptureBefore(uint256 captureBefore);

    /// @notice The fee is above `MAX_FEE_PPM`.
    error FeeAboveCap(uint256 feePpm, uint256 cap);

    /// @notice A fee is asked for, and its receiver is the zero address or this contract.
    error BadFeeReceiver(address feeReceiver);

    /// @notice Less than the promise would remain after the fee.
    error MerchantAmountNotCovered(uint256 amount, uint256 fee, uint256 merchantAmount);

    /// @notice The session has a hold, or had one.
    error AlreadyHeld(bytes32 sessionKey);

    /// @notice Nothing waits for this session: never came, or all captured, voided or reclaimed.
    error NothingHeld(bytes32 sessionKey);

    /// @notice Only the merchant or the operator of a hold may do this.
    error NotMerchantOrOperator(address caller);

    /// @notice Nothing would reach the merchant: the amount is 0, or its fee is all of it.
    error CaptureTooSmall(uint256 amount);

    /// @notice More than what waits.
    error CaptureAboveRemaining(uint256 amount, uint256 remaining);

    /// @notice Captures end before `captureBefore`.
    error CaptureTooLate(uint256 captureBefore, uint256 currentTime);

    /// @notice The rest can be sent back from `captureBefore` on.
    error ReclaimTooEarly(uint256 captureBefore, uint256 currentTime);

    /// @notice Pay `amount` of the hold to the merchant, less the platform's fee. Merchant or
    ///         operator, before `captureBefore`, as often as something remains.
    /// @dev A fee that its receiver cannot take goes to the merchant.
    function capture(bytes32 sessionKey, uint256 amount) external;

    /// @notice Send the rest back to the payer. Merchant or operator, at any time.
    function void(bytes32 sessionKey) external;

    /// @notice Send the rest back to the payer. Anybody, from `captureBefore` on.
    function reclaim(bytes32 sessionKey) external;

    /// @notice The hold of a session, also when nothing waits any more.
    function holds(bytes32 sessionKey) external view returns (Hold memory);
}
