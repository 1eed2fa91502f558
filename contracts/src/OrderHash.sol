// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "./interfaces/IPaymentRouter.sol";

/// @title The EIP-712 struct hashes of orders.
library OrderHash {
    bytes32 internal constant PAYMENT_TYPEHASH = keccak256(
        "PaymentOrder(bytes32 sessionKey,address merchant,address token,uint256 merchantAmount,"
        "uint256 feeAmount,address feeReceiver,uint256 deadline)"
    );

    bytes32 internal constant ROUTED_TYPEHASH = keccak256(
        "RoutedOrder(bytes32 sessionKey,address merchant,address token,uint256 amount,"
        "uint256 feeAmount,address feeReceiver,uint256 deadline,address rail,"
        "uint256 settlementChainId,address settlementToken,uint256 merchantAmount,"
        "bytes railData)"
    );

    /// @dev All seven members are static words, so the ABI encoding of the struct is EIP-712's
    ///      encodeData; it refuses addresses with dirty upper bytes.
    function hash(IPaymentRouter.PaymentOrder calldata order) internal pure returns (bytes32) {
        return keccak256(abi.encode(PAYMENT_TYPEHASH, order));
    }

    /// @dev EIP-712 puts the hash of a dynamic member where the ABI would put its offset.
    function hash(IPaymentRouter.RoutedOrder calldata order) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                ROUTED_TYPEHASH,
                order.sessionKey,
                order.merchant,
                order.token,
                order.amount,
                order.feeAmount,
                order.feeReceiver,
                order.deadline,
                order.rail,
                order.settlementChainId,
                order.settlementToken,
                order.merchantAmount,
                keccak256(order.railData)
            )
        );
    }
}
