// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IHoldRail} from "../interfaces/IHoldRail.sol";
import {CustodyRail} from "./CustodyRail.sol";
import {Rail} from "./Rail.sol";

/// @title Keeps a payer's money until the merchant captures it, lets it go, or time is over.
/// @notice There is no owner. The money of a hold goes to its merchant and fee receiver, or back to
///         its payer; whoever calls can only choose among these.
contract HoldRail is IHoldRail, CustodyRail {
    using SafeERC20 for IERC20;

    /// @notice The largest fee of a capture, parts per million: 1 %, as in the router.
    uint256 public constant MAX_FEE_PPM = 10_000;

    /// @notice The longest that money may wait: no signer can lock it away for years.
    uint256 public constant MAX_HOLD = 90 days;

    mapping(bytes32 sessionKey => Hold) private _holds;

    constructor(address router_) Rail(router_) {}

    function start(Delivery calldata delivery, bytes calldata railData)
        external
        onlyRouter
        nonReentrant
        returns (uint256 spent, uint256 delivered)
    {
        require(
            delivery.settlementChainId == block.chainid
                && delivery.token == delivery.settlementToken && delivery.merchant != address(this)
                && railData.length == 128,
            RouteUnsupported()
        );
        _book(delivery.token, delivery.amount);
        uint256 captureBefore = _open(delivery, railData);
        emit Authorized(
            delivery.sessionKey,
            delivery.payer,
            delivery.merchant,
            delivery.token,
            delivery.amount,
            captureBefore
        );
        return (delivery.amount, 0);
    }

    /// @inheritdoc IHoldRail
    function capture(bytes32 sessionKey, uint256 amount) external nonReentrant {
        Hold memory hold = _requireOpen(sessionKey);
        _requireMerchantSide(hold);
        require(
            block.timestamp < hold.captureBefore,
            CaptureTooLate(hold.captureBefore, block.timestamp)
        );
        require(amount <= hold.remaining, CaptureAboveRemaining(amount, hold.remaining));
        uint256 fee = _feeOf(amount, hold.feePpm);
        require(fee < amount, CaptureTooSmall(amount));
        uint256 remaining = hold.remaining - amount;
        _shrink(sessionKey, remaining);
        (uint256 merchantReceived, uint256 feeReceived) = _payOut(hold, amount, fee);
        emit Captured(
            sessionKey, hold.merchant, hold.token, amount, merchantReceived, feeReceived, remaining
        );
    }

    /// @inheritdoc IHoldRail
    function void(bytes32 sessionKey) external nonReentrant {
        Hold memory hold = _requireOpen(sessionKey);
        _requireMerchantSide(hold);
        _giveBack(sessionKey, hold);
        emit Voided(sessionKey, hold.payer, hold.token, hold.remaining);
    }

    /// @inheritdoc IHoldRail
    function reclaim(bytes32 sessionKey) external nonReentrant {
        Hold memory hold = _requireOpen(sessionKey);
        require(
            block.timestamp >= hold.captureBefore,
            ReclaimTooEarly(hold.captureBefore, block.timestamp)
        );
        _giveBack(sessionKey, hold);
        emit Reclaimed(sessionKey, hold.payer, hold.token, hold.remaining);
    }

    /// @inheritdoc IHoldRail
    function holds(bytes32 sessionKey) external view returns (Hold memory) {
        return _holds[sessionKey];
    }

    function _open(Delivery calldata delivery, bytes calldata railData)
        private
        returns (uint256 captureBefore)
    {
        uint256 feePpm;
        address feeReceiver;
        address operator;
        (captureBefore, feePpm, feeReceiver, operator) =
            abi.decode(railData, (uint256, uint256, address, address));
        require(
            block.timestamp < captureBefore && captureBefore <= block.timestamp + MAX_HOLD,
            BadCaptureBefore(captureBefore)
        );
        _validateMoney(delivery.amount, delivery.merchantAmount, feePpm, feeReceiver);
        require(_holds[delivery.sessionKey].authorized == 0, AlreadyHeld(delivery.sessionKey));
        _holds[delivery.sessionKey] = Hold({
            payer: delivery.payer,
            // These four fit: bounded above and in _validateMoney.
            captureBefore: uint40(captureBefore),
            feePpm: uint16(feePpm),
            open: true,
            merchant: delivery.merchant,
            remaining: uint96(delivery.amount),
            token: delivery.token,
            authorized: uint96(delivery.amount),
            feeReceiver: feeReceiver,
            operator: operator
        });
    }

    function _validateMoney(
        uint256 amount,
        uint256 merchantAmount,
        uint256 feePpm,
        address feeReceiver
    ) private view {
        require(amount <= type(uint96).max, AmountTooLarge(amount));
        require(feePpm <= MAX_FEE_PPM, FeeAboveCap(feePpm, MAX_FEE_PPM));
        require(
            feePpm == 0 || (feeReceiver != address(0) && feeReceiver != address(this)),
            BadFeeReceiver(feeReceiver)
        );
        uint256 fee = _feeOf(amount, feePpm);
        require(
            fee < amount && amount - fee >= merchantAmount,
            MerchantAmountNotCovered(amount, fee, merchantAmount)
        );
    }

    function _requireOpen(bytes32 sessionKey) private view returns (Hold memory hold) {
        hold = _holds[sessionKey];
        require(hold.open, NothingHeld(sessionKey));
    }

    function _requireMerchantSide(Hold memory hold) private view {
        require(
            msg.sender == hold.merchant || msg.sender == hold.operator,
            NotMerchantOrOperator(msg.sender)
        );
    }

    function _shrink(bytes32 sessionKey, uint256 remaining) private {
        _holds[sessionKey].remaining = uint96(remaining);
        if (remaining == 0) _holds[sessionKey].open = false;
    }

    function _giveBack(bytes32 sessionKey, Hold memory hold) private {
        _shrink(sessionKey, 0);
        _handOut(hold.token, hold.payer, hold.remaining);
    }

    /// @dev The fee goes first, so that what a fee receiver cannot take is in the merchant's one
    ///      transfer. A caller cannot make it fail by giving little gas: the 1/64 that a failing
    ///      transfer leaves does not pay for the merchant's.
    function _payOut(Hold memory hold, uint256 amount, uint256 fee)
        private
        returns (uint256 merchantReceived, uint256 feeReceived)
    {
        IERC20 token = IERC20(hold.token);
        uint256 before = _unbook(hold.token, amount);
        if (fee != 0 && token.trySafeTransfer(hold.feeReceiver, fee)) feeReceived = fee;
        uint256 merchantBefore = token.balanceOf(hold.merchant);
        token.safeTransfer(hold.merchant, amount - feeReceived);
        merchantReceived = token.balanceOf(hold.merchant) - merchantBefore;
        _requireDebited(hold.token, before, amount);
    }

    /// @dev Rounded up, as everywhere on the platform.
    function _feeOf(uint256 amount, uint256 feePpm) private pure returns (uint256) {
        return (amount * feePpm + 999_999) / 1_000_000;
    }
}
