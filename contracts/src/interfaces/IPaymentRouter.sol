// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What a payer, a merchant, an indexer and the platform may rely on.
/// @notice Amounts are atomic units of `token`; times are Unix seconds.
interface IPaymentRouter {
    /// @notice The terms of one payment, signed by the platform as EIP-712 typed data.
    /// @dev The payer is not a term: whoever calls `pay` pays. Chain and contract are bound by
    ///      the EIP-712 domain.
    /// @param sessionKey The session this money is for; it can be paid once.
    /// @param merchant Receives `merchantAmount` straight from the payer.
    /// @param token The ERC-20 token that is paid.
    /// @param merchantAmount What the merchant is owed.
    /// @param feeAmount What the platform is owed on top; may be 0.
    /// @param feeReceiver Receives `feeAmount` straight from the payer; ignored when that is 0.
    /// @param deadline The last second at which the order may be paid.
    struct PaymentOrder {
        bytes32 sessionKey;
        address merchant;
        address token;
        uint256 merchantAmount;
        uint256 feeAmount;
        address feeReceiver;
        uint256 deadline;
    }

    /// @notice A session was paid. The only event that may be credited.
    /// @param payer The account whose tokens moved (the caller of `pay`).
    /// @param merchantReceived By how much the merchant's balance grew, measured; less than the
    ///        ordered amount when the token takes a fee on transfers.
    /// @param feeReceived What was debited from the payer for `feeReceiver`: the ordered fee, or
    ///        0 when there was none or it was skipped. Not measured: a token that takes a fee on
    ///        transfers delivers less.
    event Paid(
        bytes32 indexed sessionKey,
        address indexed payer,
        address indexed merchant,
        address token,
        uint256 merchantReceived,
        uint256 feeReceived,
        address feeReceiver
    );

    /// @notice The fee could not be delivered to `feeReceiver`; it stays with the payer, and the
    ///         merchant was paid. Always followed by `Paid` of the same session.
    event FeeSkipped(
        bytes32 indexed sessionKey, address indexed feeReceiver, address token, uint256 feeAmount
    );

    /// @notice From now on, orders signed by `signer` are accepted.
    event SignerAdded(address indexed signer);

    /// @notice From now on, orders signed by `signer` are refused, older ones included.
    event SignerRemoved(address indexed signer);

    /// @notice No order can be paid until `Unpaused`.
    event Paused(address account);

    /// @notice Orders can be paid again.
    event Unpaused(address account);

    /// @notice The owner has stopped all payments.
    error RouterPaused();

    /// @notice The order's deadline has passed.
    error OrderExpired(uint256 deadline, uint256 currentTime);

    /// @notice This session has been paid already.
    error AlreadyPaid(bytes32 sessionKey);

    /// @notice The merchant's amount is 0.
    error AmountZero();

    /// @notice An amount does not fit 128 bits.
    error AmountTooLarge(uint256 amount);

    /// @notice The fee is above `MAX_FEE_PPM` of the total.
    error FeeAboveCap(uint256 feeAmount, uint256 cap);

    /// @notice The merchant is the zero address or this contract.
    error BadMerchant(address merchant);

    /// @notice A fee is due, and its receiver is the zero address or this contract.
    error BadFeeReceiver(address feeReceiver);

    /// @notice There is no contract at the token's address.
    error TokenWithoutCode(address token);

    /// @notice The order is not signed by a signer of this router.
    error BadSigner(address recovered);

    /// @notice The token refused to move the merchant's amount, or said nothing moved.
    error MerchantTransferFailed(address token, address payer, address merchant, uint256 amount);

    /// @notice The token reported success but the merchant's balance did not grow. Also the
    ///         answer to a merchant who pays their own order.
    error MerchantNotPaid(address token, address merchant);

    /// @notice The payer did not provide for the fee: `available` is the smaller of what the
    ///         payer has and what this contract may take, after the merchant's leg.
    error FeeNotFunded(uint256 available, uint256 feeAmount);

    /// @notice The address cannot become a signer: zero, or a signer already.
    error SignerNotAddable(address signer);

    /// @notice The address is not a signer.
    error SignerUnknown(address signer);

    /// @notice Ownership can be handed over, never dropped: a paused router without an owner
    ///         would stay paused.
    error OwnershipNotRenounceable();

    /// @notice Pay an order with the caller's tokens: `merchantAmount` to the merchant and
    ///         `feeAmount` to the fee receiver, both by `transferFrom`.
    /// @dev The caller must have approved this contract for the sum. Reverts with one of the
    ///      errors above, and with OpenZeppelin's `ECDSAInvalidSignature…` for a signature that
    ///      is not 65 bytes, has a high `s` or a `v` other than 27 or 28.
    /// @param order The terms.
    /// @param signature The platform's signature of them: r, s, v.
    function pay(PaymentOrder calldata order, bytes calldata signature) external;

    /// @notice Accept orders signed by `signer`. Owner only.
    function addSigner(address signer) external;

    /// @notice Refuse orders signed by `signer`, already signed ones included. Owner only.
    function removeSigner(address signer) external;

    /// @notice Refuse every payment until `unpause`. Owner only.
    function pause() external;

    /// @notice Accept payments again. Owner only.
    function unpause() external;

    /// @notice Whether a session has been paid.
    function paid(bytes32 sessionKey) external view returns (bool);

    /// @notice Whether the owner has stopped all payments.
    function paused() external view returns (bool);

    /// @notice Whether orders signed by `account` are accepted.
    function isSigner(address account) external view returns (bool);

    /// @notice The EIP-712 digest that a signer signs for `order` on this chain and contract.
    function digestOf(PaymentOrder calldata order) external view returns (bytes32);
}
