// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What a payer, a merchant, an indexer and the platform may rely on.
/// @notice Amounts are atomic units of `token`; times are Unix seconds.
interface IPaymentRouter {
    /// @notice The terms of one payment in the merchant's own token, signed by the platform as
    ///         EIP-712 typed data.
    /// @dev The payer is not a term: whoever consents to the order pays it. Chain and contract
    ///      are bound by the EIP-712 domain.
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

    /// @notice The terms of one payment that reaches the merchant through a rail: in another
    ///         token, on another chain, or later. Signed by the platform as EIP-712 typed data.
    /// @param sessionKey The session this money is for; it can be paid once, by either order.
    /// @param merchant The final receiver, on the chain `settlementChainId`.
    /// @param token The ERC-20 token that is paid, on this chain.
    /// @param amount What the rail is given, atomic units of `token`.
    /// @param feeAmount What the platform is owed on top, atomic units of `token`; may be 0.
    /// @param feeReceiver Receives `feeAmount` straight from the payer; ignored when that is 0.
    /// @param deadline The last second at which the order may be paid.
    /// @param rail The plug-in that carries `amount` to the merchant.
    /// @param settlementChainId Where the merchant is paid (EIP-155).
    /// @param settlementToken What the merchant is paid in, on that chain.
    /// @param merchantAmount What the merchant must get, atomic units of `settlementToken`.
    /// @param railData The rail's own terms.
    struct RoutedOrder {
        bytes32 sessionKey;
        address merchant;
        address token;
        uint256 amount;
        uint256 feeAmount;
        address feeReceiver;
        uint256 deadline;
        address rail;
        uint256 settlementChainId;
        address settlementToken;
        uint256 merchantAmount;
        bytes railData;
    }

    /// @notice A session was paid to its merchant. May be credited.
    /// @param payer The account whose tokens moved: the caller of `pay`, or whose consent the
    ///        collector of `payWith` proved.
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

    /// @notice A session was paid into a rail. May be credited as paid; that the merchant got the
    ///         money is told by `delivered`, or later by the rail.
    /// @param payer As in `Paid`.
    /// @param spent What of the order's amount the rail used; the rest went back to the payer.
    /// @param feeReceived As in `Paid`.
    /// @param delivered By how much the merchant's balance grew in this transaction, measured by
    ///        the rail, at least `merchantAmount`; 0 when the merchant gets the money later.
    event Routed(
        bytes32 indexed sessionKey,
        address indexed payer,
        address indexed rail,
        address merchant,
        address token,
        uint256 spent,
        uint256 feeReceived,
        address feeReceiver,
        uint256 settlementChainId,
        address settlementToken,
        uint256 merchantAmount,
        uint256 delivered,
        bytes railData
    );

    /// @notice The fee could not be delivered to `feeReceiver`; it stays with the payer, and the
    ///         rest was paid. Always followed by `Paid` or `Routed` of the same session.
    event FeeSkipped(
        bytes32 indexed sessionKey, address indexed feeReceiver, address token, uint256 feeAmount
    );

    /// @notice From now on, orders signed by `signer` are accepted.
    event SignerAdded(address indexed signer);

    /// @notice From now on, orders signed by `signer` are refused, older ones included.
    event SignerRemoved(address indexed signer);

    /// @notice From now on, orders may be paid through `collector`.
    event CollectorAdded(address indexed collector);

    /// @notice From now on, no order can be paid through `collector`.
    event CollectorRemoved(address indexed collector);

    /// @notice From now on, orders that name `rail` are accepted.
    event RailAdded(address indexed rail);

    /// @notice From now on, orders that name `rail` are refused, older ones included.
    event RailRemoved(address indexed rail);

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

    /// @notice What is paid, or what the merchant must get, is 0.
    error AmountZero();

    /// @notice An amount does not fit 128 bits.
    error AmountTooLarge(uint256 amount);

    /// @notice The fee is above `MAX_FEE_PPM` of the total.
    error FeeAboveCap(uint256 feeAmount, uint256 cap);

    /// @notice The merchant is the zero address, this contract or the collector.
    error BadMerchant(address merchant);

    /// @notice A fee is due, and its receiver is the zero address or this contract; or the
    ///         receiver is the collector or the rail.
    error BadFeeReceiver(address feeReceiver);

    /// @notice There is no token at the token's address: nothing answers `balanceOf` there.
    error TokenWithoutCode(address token);

    /// @notice The order is not signed by a signer of this router.
    error BadSigner(address recovered);

    /// @notice The token refused to move the amount besides the fee to its receiver (the
    ///         merchant or the rail), or said that nothing moved.
    error TransferFailed(address token, address payer, address receiver, uint256 amount);

    /// @notice The token reported success but the merchant's balance did not grow. Also the
    ///         answer to a merchant who pays their own order.
    error MerchantNotPaid(address token, address merchant);

    /// @notice The rail got less than the order's amount: the token takes a fee on transfers, or
    ///         only pretends to move.
    error RailNotFunded(address token, address rail, uint256 received, uint256 amount);

    /// @notice The rail claims to have used more than it was given, or delivered less than the
    ///         merchant must get.
    error RailFailed(address rail, uint256 spent, uint256 delivered);

    /// @notice The payer did not provide for the fee: `available` is the smaller of what the
    ///         payer has and what may be taken, after the other leg.
    error FeeNotFunded(uint256 available, uint256 feeAmount);

    /// @notice The address cannot become a signer: zero, or a signer already.
    error SignerNotAddable(address signer);

    /// @notice The address is not a signer.
    error SignerUnknown(address signer);

    /// @notice The address cannot become a plug-in: it has no code, or is one already.
    error PlugInNotAddable(address account);

    /// @notice The address is not a collector of this router.
    error CollectorUnknown(address account);

    /// @notice The address is not a rail of this router.
    error RailUnknown(address account);

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

    /// @notice Pay an order with tokens that a collector takes from `payer`. Anybody may call:
    ///         the payer's consent to this order is in `collectorData`, or is being the caller,
    ///         as the collector demands.
    /// @dev Reverts like `pay`, and with the errors of the collector.
    /// @param payer Whose tokens move.
    /// @param collector A plug-in of this router.
    /// @param collectorData What that collector needs.
    function payWith(
        PaymentOrder calldata order,
        bytes calldata signature,
        address payer,
        address collector,
        bytes calldata collectorData
    ) external;

    /// @notice Pay a routed order with the caller's tokens: `amount` to the rail and `feeAmount`
    ///         to the fee receiver, both by `transferFrom`; then the rail begins.
    /// @dev The caller must have approved this contract for the sum. Reverts like `pay`, and with
    ///      the errors of the rail.
    function route(RoutedOrder calldata order, bytes calldata signature) external;

    /// @notice Pay a routed order with tokens that a collector takes from `payer`, as `payWith`.
    function routeWith(
        RoutedOrder calldata order,
        bytes calldata signature,
        address payer,
        address collector,
        bytes calldata collectorData
    ) external;

    /// @notice Accept orders signed by `signer`. Owner only.
    function addSigner(address signer) external;

    /// @notice Refuse orders signed by `signer`, already signed ones included. Owner only.
    function removeSigner(address signer) external;

    /// @notice Let orders be paid through `collector`. Owner only.
    function addCollector(address collector) external;

    /// @notice Let no order be paid through `collector`. Owner only.
    function removeCollector(address collector) external;

    /// @notice Accept orders that name `rail`. Owner only.
    function addRail(address rail) external;

    /// @notice Refuse orders that name `rail`, already signed ones included; what the rail
    ///         carries already is not touched. Owner only.
    function removeRail(address rail) external;

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

    /// @notice Whether orders can be paid through `account`.
    function isCollector(address account) external view returns (bool);

    /// @notice Whether orders that name `account` as their rail are accepted.
    function isRail(address account) external view returns (bool);

    /// @notice The EIP-712 digest that a signer signs for `order` on this chain and contract.
    function digestOf(PaymentOrder calldata order) external view returns (bytes32);

    /// @notice The EIP-712 digest that a signer signs for a routed `order`.
    function digestOfRouted(RoutedOrder calldata order) external view returns (bytes32);
}
