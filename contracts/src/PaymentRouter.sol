// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {
    ReentrancyGuardTransient
} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {OrderHash} from "./OrderHash.sol";
import {RouterAccess} from "./RouterAccess.sol";
import {TokenLegs} from "./TokenLegs.sol";
import {IPaymentRouter} from "./interfaces/IPaymentRouter.sol";
import {ISettlementRail} from "./interfaces/ISettlementRail.sol";
import {ITokenCollector} from "./interfaces/ITokenCollector.sol";
import {Erc3009Way} from "./ways/Erc3009Way.sol";
import {Permit2Way} from "./ways/Permit2Way.sol";

/// @title Pays merchants directly from payers, on terms signed by the platform.
/// @notice Never holds a token: each leg goes from the payer to its receiver, or to the rail that
///         carries it on. This contract knows when money may move; collectors know how it is
///         taken from a payer, and rails how it reaches a merchant elsewhere. The owner chooses
///         signers and plug-ins and may pause; neither owner nor signers can move tokens of
///         anybody who did not consent to that very order.
contract PaymentRouter is
    IPaymentRouter,
    RouterAccess,
    EIP712,
    ReentrancyGuardTransient,
    Erc3009Way,
    Permit2Way
{
    /// @notice The EIP-712 type hash of a payment order.
    bytes32 public constant ORDER_TYPEHASH = OrderHash.PAYMENT_TYPEHASH;

    /// @notice The EIP-712 type hash of a routed order.
    bytes32 public constant ROUTED_ORDER_TYPEHASH = OrderHash.ROUTED_TYPEHASH;

    /// @notice The largest fee, in parts per million of what the payer pays in total: 1 %.
    /// @dev A constant, so that no owner and no signer can take more, and the code shows it.
    uint256 public constant MAX_FEE_PPM = 10_000;

    /// @inheritdoc IPaymentRouter
    mapping(bytes32 sessionKey => bool) public paid;

    /// @param owner_ Manages signers, plug-ins and the pause; a multisig in production.
    /// @param signer The first signer of orders.
    /// @param permit2_ Where Permit2 is on this chain; the zero address if nowhere.
    constructor(address owner_, address signer, address permit2_)
        EIP712("GStable PaymentRouter", "1")
        Ownable(owner_)
        Permit2Way(permit2_)
    {
        _addSigner(signer);
    }

    /// @inheritdoc IPaymentRouter
    function pay(PaymentOrder calldata order, bytes calldata signature) external nonReentrant {
        _admit(order, signature);
        (address token, address merchant) = (order.token, order.merchant);
        address feeReceiver = order.feeReceiver;
        uint256 before = _balance(token, merchant);
        TokenLegs.pull(token, msg.sender, merchant, order.merchantAmount);
        uint256 received = _grown(token, merchant, before);
        require(received != 0, MerchantNotPaid(token, merchant));
        uint256 fee = TokenLegs.pullFee(token, msg.sender, feeReceiver, order.feeAmount);
        _tellSkipped(order.sessionKey, feeReceiver, token, order.feeAmount, fee);
        emit Paid(order.sessionKey, msg.sender, merchant, token, received, fee, feeReceiver);
    }

    /// @inheritdoc IPaymentRouter
    function payWith(
        PaymentOrder calldata order,
        bytes calldata signature,
        address payer,
        address collector,
        bytes calldata collectorData
    ) external nonReentrant {
        bytes32 digest = _admit(order, signature);
        (address token, address merchant) = (order.token, order.merchant);
        require(merchant != collector, BadMerchant(merchant));
        uint256 before = _balance(token, merchant);
        uint256 fee = _collect(
            collector,
            ITokenCollector.Collection({
                sessionKey: order.sessionKey,
                digest: digest,
                caller: msg.sender,
                payer: payer,
                token: token,
                merchant: merchant,
                receiver: merchant,
                amount: order.merchantAmount,
                feeReceiver: order.feeReceiver,
                feeAmount: order.feeAmount,
                settlementChainId: block.chainid,
                settlementToken: token
            }),
            order.deadline,
            collectorData
        );
        uint256 received = _grown(token, merchant, before);
        // Both legs are in this measure: a fee to the merchant's own address is told as the fee.
        if (merchant == order.feeReceiver) received -= fee;
        require(received != 0, MerchantNotPaid(token, merchant));
        emit Paid(order.sessionKey, payer, merchant, token, received, fee, order.feeReceiver);
    }

    /// @inheritdoc IPaymentRouter
    function route(RoutedOrder calldata order, bytes calldata signature) external nonReentrant {
        _admit(order, signature);
        (address token, address rail) = (order.token, order.rail);
        uint256 before = _balance(token, rail);
        TokenLegs.pull(token, msg.sender, rail, order.amount);
        uint256 fee = TokenLegs.pullFee(token, msg.sender, order.feeReceiver, order.feeAmount);
        _tellSkipped(order.sessionKey, order.feeReceiver, token, order.feeAmount, fee);
        _start(order, msg.sender, before, fee);
    }

    /// @inheritdoc IPaymentRouter
    function routeWith(
        RoutedOrder calldata order,
        bytes calldata signature,
        address payer,
        address collector,
        bytes calldata collectorData
    ) external nonReentrant {
        bytes32 digest = _admit(order, signature);
        uint256 before = _balance(order.token, order.rail);
        uint256 fee = _collect(
            collector,
            ITokenCollector.Collection({
                sessionKey: order.sessionKey,
                digest: digest,
                caller: msg.sender,
                payer: payer,
                token: order.token,
                merchant: order.merchant,
                receiver: order.rail,
                amount: order.amount,
                feeReceiver: order.feeReceiver,
                feeAmount: order.feeAmount,
                settlementChainId: order.settlementChainId,
                settlementToken: order.settlementToken
            }),
            order.deadline,
            collectorData
        );
        _start(order, payer, before, fee);
    }

    /// @inheritdoc IPaymentRouter
    function digestOf(PaymentOrder calldata order) external view returns (bytes32) {
        return _hashTypedDataV4(OrderHash.hash(order));
    }

    /// @inheritdoc IPaymentRouter
    function digestOfRouted(RoutedOrder calldata order) external view returns (bytes32) {
        return _hashTypedDataV4(OrderHash.hash(order));
    }

    /// @dev Everything that can be refused before money moves; then the session counts as paid.
    function _admit(PaymentOrder calldata order, bytes calldata signature)
        private
        returns (bytes32 digest)
    {
        address newestSigner = _enter(order.sessionKey, order.deadline);
        _requireMerchant(order.merchant);
        _requireAmounts(order.merchantAmount, order.feeAmount);
        _requireFeeReceiver(order.feeAmount, order.feeReceiver);
        digest = _hashTypedDataV4(OrderHash.hash(order));
        _requireSigned(digest, signature, newestSigner);
    }

    /// @dev The same for a routed order.
    function _admit(RoutedOrder calldata order, bytes calldata signature)
        private
        returns (bytes32 digest)
    {
        address newestSigner = _enter(order.sessionKey, order.deadline);
        _requireMerchant(order.merchant);
        require(isRail(order.rail), RailUnknown(order.rail));
        _requireAmounts(order.amount, order.feeAmount);
        _requireAmount(order.merchantAmount);
        _requireFeeReceiver(order.feeAmount, order.feeReceiver);
        // A rail is no place to keep a fee: it would mistake it for money that it carries.
        require(order.feeReceiver != order.rail, BadFeeReceiver(order.feeReceiver));
        digest = _hashTypedDataV4(OrderHash.hash(order));
        _requireSigned(digest, signature, newestSigner);
    }

    /// @dev Marks the session as paid; whatever is refused later undoes that.
    function _enter(bytes32 sessionKey, uint256 deadline) private returns (address newestSigner) {
        Gate memory gate = _gate;
        require(!gate.paused, RouterPaused());
        require(block.timestamp <= deadline, OrderExpired(deadline, block.timestamp));
        require(!paid[sessionKey], AlreadyPaid(sessionKey));
        paid[sessionKey] = true;
        return gate.newestSigner;
    }

    /// @dev Takes both legs in one of the built-in ways, or lets a plug-in take them and believes
    ///      it only about whether the fee was taken.
    function _collect(
        address collector,
        ITokenCollector.Collection memory collection,
        uint256 deadline,
        bytes calldata collectorData
    ) private returns (uint256 feeReceived) {
        require(collection.feeReceiver != collector, BadFeeReceiver(collector));
        if (collector == address(this)) {
            feeReceived = _collectByErc3009(collection, deadline + 1, collectorData);
        } else if (collector == permit2 && collector != address(0)) {
            feeReceived = _collectByPermit2(collection, deadline, collectorData);
        } else {
            require(isCollector(collector), CollectorUnknown(collector));
            feeReceived = ITokenCollector(collector).collect(collection, collectorData);
            if (feeReceived != collection.feeAmount) feeReceived = 0;
        }
        _tellSkipped(
            collection.sessionKey,
            collection.feeReceiver,
            collection.token,
            collection.feeAmount,
            feeReceived
        );
    }

    /// @dev Hands the rail's money over to it, having checked that it is there: a rail may hold
    ///      the money of others, and must never spend that for this order.
    function _start(RoutedOrder calldata order, address payer, uint256 before, uint256 fee)
        private
    {
        uint256 received = _grown(order.token, order.rail, before);
        require(
            received >= order.amount,
            RailNotFunded(order.token, order.rail, received, order.amount)
        );
        (uint256 spent, uint256 delivered) = ISettlementRail(order.rail)
            .start(
                ISettlementRail.Delivery({
                sessionKey: order.sessionKey,
                payer: payer,
                merchant: order.merchant,
                token: order.token,
                amount: order.amount,
                settlementChainId: order.settlementChainId,
                settlementToken: order.settlementToken,
                merchantAmount: order.merchantAmount,
                deadline: order.deadline
            }),
                order.railData
            );
        require(
            spent <= order.amount && (delivered == 0 || delivered >= order.merchantAmount),
            RailFailed(order.rail, spent, delivered)
        );
        _tellRouted(order, payer, fee, spent, delivered);
    }

    function _tellRouted(
        RoutedOrder calldata order,
        address payer,
        uint256 fee,
        uint256 spent,
        uint256 delivered
    ) private {
        emit Routed(
            order.sessionKey,
            payer,
            order.rail,
            order.merchant,
            order.token,
            spent,
            fee,
            order.feeReceiver,
            order.settlementChainId,
            order.settlementToken,
            order.merchantAmount,
            delivered,
            order.railData
        );
    }

    function _tellSkipped(
        bytes32 sessionKey,
        address feeReceiver,
        address token,
        uint256 feeAmount,
        uint256 feeReceived
    ) private {
        if (feeReceived != feeAmount) {
            emit FeeSkipped(sessionKey, feeReceiver, token, feeAmount);
        }
    }

    /// @dev By how much a balance grew. Measured, because only the balance says what a token with
    ///      transfer fees delivered.
    function _grown(address token, address account, uint256 before)
        private
        view
        returns (uint256)
    {
        uint256 afterwards = _balance(token, account);
        return afterwards > before ? afterwards - before : 0;
    }

    /// @dev `balanceOf`, called by hand because every payment needs it twice. No answer means that
    ///      there is no token. Reverts with the token's own reason when it has one.
    function _balance(address token, address account) private view returns (uint256 amount) {
        bytes4 selector = IERC20.balanceOf.selector;
        bool answered;
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, account)
            if iszero(staticcall(gas(), token, 0x00, 0x24, 0x00, 0x20)) {
                let reason := mload(0x40)
                returndatacopy(reason, 0x00, returndatasize())
                revert(reason, returndatasize())
            }
            answered := gt(returndatasize(), 0x1f)
            amount := mload(0x00)
        }
        require(answered, TokenWithoutCode(token));
    }

    function _requireMerchant(address merchant) private view {
        require(merchant != address(0) && merchant != address(this), BadMerchant(merchant));
    }

    /// @dev 128 bits are more than any token's supply and keep the cap's arithmetic exact.
    function _requireAmounts(uint256 amount, uint256 feeAmount) private pure {
        _requireAmount(amount);
        require(feeAmount <= type(uint128).max, AmountTooLarge(feeAmount));
        unchecked {
            // Rounded up, because the platform rounds fees up: on a total of a few atomic units
            // a fee of 1 is more than the percentage and still lawful.
            uint256 cap = ((amount + feeAmount) * MAX_FEE_PPM + 999_999) / 1_000_000;
            require(feeAmount <= cap, FeeAboveCap(feeAmount, cap));
        }
    }

    function _requireAmount(uint256 amount) private pure {
        require(amount != 0, AmountZero());
        require(amount <= type(uint128).max, AmountTooLarge(amount));
    }

    function _requireFeeReceiver(uint256 feeAmount, address feeReceiver) private view {
        require(
            feeAmount == 0 || (feeReceiver != address(0) && feeReceiver != address(this)),
            BadFeeReceiver(feeReceiver)
        );
    }

    function _requireSigned(bytes32 digest, bytes calldata signature, address newestSigner)
        private
        view
    {
        address recovered = ECDSA.recoverCalldata(digest, signature);
        require(_isSigner(recovered, newestSigner), BadSigner(recovered));
    }
}
