// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {
    ReentrancyGuardTransient
} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IPaymentRouter} from "./interfaces/IPaymentRouter.sol";

/// @title Pays merchants directly from payers, on terms signed by the platform.
/// @notice Never holds a token: each leg is one `transferFrom` from the payer to its receiver.
///         The owner chooses signers and may pause; neither owner nor signers can move tokens
///         of anybody who does not call `pay` themselves.
contract PaymentRouter is IPaymentRouter, EIP712, Ownable2Step, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice The EIP-712 type hash of a payment order.
    bytes32 public constant ORDER_TYPEHASH = keccak256(
        "PaymentOrder(bytes32 sessionKey,address merchant,address token,uint256 merchantAmount,"
        "uint256 feeAmount,address feeReceiver,uint256 deadline)"
    );

    /// @notice The largest fee, in parts per million of what the payer pays in total: 1 %.
    /// @dev A constant, so that no owner and no signer can take more, and the code shows it.
    uint256 public constant MAX_FEE_PPM = 10_000;

    /// @inheritdoc IPaymentRouter
    mapping(bytes32 sessionKey => bool) public paid;

    /// @inheritdoc IPaymentRouter
    /// @dev Lies in one storage slot with the newest signer, so that an order of that signer is
    ///      paid with one cold read (2,100 gas) less.
    bool public paused;
    address private _newestSigner;
    mapping(address account => bool) private _isOlderSigner;

    /// @param owner_ Manages signers and the pause; a multisig in production.
    /// @param signer The first signer of orders.
    constructor(address owner_, address signer)
        EIP712("GStable PaymentRouter", "1")
        Ownable(owner_)
    {
        _addSigner(signer);
    }

    /// @inheritdoc IPaymentRouter
    function pay(PaymentOrder calldata order, bytes calldata signature) external nonReentrant {
        _validate(order, signature);
        paid[order.sessionKey] = true;
        _settle(order, msg.sender);
    }

    /// @inheritdoc IPaymentRouter
    function addSigner(address signer) external onlyOwner {
        _addSigner(signer);
    }

    /// @inheritdoc IPaymentRouter
    function removeSigner(address signer) external onlyOwner {
        require(isSigner(signer), SignerUnknown(signer));
        if (signer == _newestSigner) _newestSigner = address(0);
        else _isOlderSigner[signer] = false;
        emit SignerRemoved(signer);
    }

    /// @inheritdoc IPaymentRouter
    function pause() external onlyOwner {
        paused = true;
        emit Paused(msg.sender);
    }

    /// @inheritdoc IPaymentRouter
    function unpause() external onlyOwner {
        paused = false;
        emit Unpaused(msg.sender);
    }

    /// @inheritdoc IPaymentRouter
    function digestOf(PaymentOrder calldata order) external view returns (bytes32) {
        return _digest(order);
    }

    /// @notice Always refused, see `OwnershipNotRenounceable`.
    function renounceOwnership() public pure override {
        revert OwnershipNotRenounceable();
    }

    /// @inheritdoc IPaymentRouter
    function isSigner(address account) public view returns (bool) {
        return account != address(0) && (account == _newestSigner || _isOlderSigner[account]);
    }

    function _addSigner(address signer) private {
        require(signer != address(0) && !isSigner(signer), SignerNotAddable(signer));
        if (_newestSigner != address(0)) _isOlderSigner[_newestSigner] = true;
        _newestSigner = signer;
        emit SignerAdded(signer);
    }

    /// @dev Everything that can be refused before money moves.
    function _validate(PaymentOrder calldata order, bytes calldata signature) private view {
        require(!paused, RouterPaused());
        require(block.timestamp <= order.deadline, OrderExpired(order.deadline, block.timestamp));
        require(!paid[order.sessionKey], AlreadyPaid(order.sessionKey));
        address merchant = order.merchant;
        require(merchant != address(0) && merchant != address(this), BadMerchant(merchant));
        _validateAmounts(order.merchantAmount, order.feeAmount);
        require(
            order.feeAmount == 0
                || (order.feeReceiver != address(0) && order.feeReceiver != address(this)),
            BadFeeReceiver(order.feeReceiver)
        );
        require(order.token.code.length != 0, TokenWithoutCode(order.token));
        address recovered = ECDSA.recoverCalldata(_digest(order), signature);
        require(isSigner(recovered), BadSigner(recovered));
    }

    /// @dev 128 bits are more than any token's supply and keep the cap's arithmetic exact.
    function _validateAmounts(uint256 merchantAmount, uint256 feeAmount) private pure {
        require(merchantAmount != 0, AmountZero());
        require(merchantAmount <= type(uint128).max, AmountTooLarge(merchantAmount));
        require(feeAmount <= type(uint128).max, AmountTooLarge(feeAmount));
        unchecked {
            // Rounded up, because the platform rounds fees up: on a total of a few atomic units
            // a fee of 1 is more than the percentage and still lawful.
            uint256 cap = ((merchantAmount + feeAmount) * MAX_FEE_PPM + 999_999) / 1_000_000;
            require(feeAmount <= cap, FeeAboveCap(feeAmount, cap));
        }
    }

    /// @dev All seven members are static words, so the ABI encoding of the struct is EIP-712's
    ///      encodeData; it refuses addresses with dirty upper bytes.
    function _digest(PaymentOrder calldata order) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(ORDER_TYPEHASH, order)));
    }

    /// @dev Moves the money of a validated order and tells what moved.
    function _settle(PaymentOrder calldata order, address payer) private {
        address token = order.token;
        address merchant = order.merchant;
        address feeReceiver = order.feeReceiver;
        uint256 merchantReceived = _payMerchant(token, payer, merchant, order.merchantAmount);
        uint256 feeReceived = order.feeAmount == 0 ? 0 : _payFee(order, payer);
        emit Paid(
            order.sessionKey, payer, merchant, token, merchantReceived, feeReceived, feeReceiver
        );
    }

    /// @dev Measured, because only the balance says what a token with transfer fees delivered.
    function _payMerchant(address token, address payer, address merchant, uint256 amount)
        private
        returns (uint256)
    {
        uint256 before = IERC20(token).balanceOf(merchant);
        require(
            _pull(token, payer, merchant, amount),
            MerchantTransferFailed(token, payer, merchant, amount)
        );
        uint256 afterwards = IERC20(token).balanceOf(merchant);
        require(afterwards > before, MerchantNotPaid(token, merchant));
        unchecked {
            return afterwards - before;
        }
    }

    /// @dev A fee that cannot be delivered is forgone, so that a blocked fee receiver never
    ///      blocks a merchant. A payer who did not fund it is refused, or nobody would pay it.
    function _payFee(PaymentOrder calldata order, address payer) private returns (uint256) {
        address token = order.token;
        uint256 feeAmount = order.feeAmount;
        if (_pull(token, payer, order.feeReceiver, feeAmount)) return feeAmount;

        uint256 balance = IERC20(token).balanceOf(payer);
        uint256 allowance = IERC20(token).allowance(payer, address(this));
        uint256 available = balance < allowance ? balance : allowance;
        require(available >= feeAmount, FeeNotFunded(available, feeAmount));
        emit FeeSkipped(order.sessionKey, order.feeReceiver, token, feeAmount);
        return 0;
    }

    /// @dev The one place that knows how tokens are taken from a payer.
    function _pull(address token, address payer, address receiver, uint256 amount)
        private
        returns (bool)
    {
        return IERC20(token).trySafeTransferFrom(payer, receiver, amount);
    }
}
