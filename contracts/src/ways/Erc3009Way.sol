// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TokenLegs} from "../TokenLegs.sol";
import {IErc3009} from "../interfaces/IErc3009.sol";
import {ITokenCollector} from "../interfaces/ITokenCollector.sol";
import {CounterfactualWallets} from "./CounterfactualWallets.sol";

/// @title Takes tokens on a signed EIP-3009 authorization, so that the payer needs no gas.
/// @notice The authorization's nonce is the digest of the order: it pays that order or nothing.
///         It names this contract as receiver, and the token lets only the receiver use it, so
///         a lifted signature moves nothing.
abstract contract Erc3009Way is CounterfactualWallets {
    /// @dev Takes the sum, and passes both parts on. What arrives is not measured, as no known
    ///      token has both EIP-3009 and a fee on transfers: with one, the legs would fail for
    ///      want of the fee.
    /// @param validBefore The first second at which the authorization is too late (EIP-3009);
    ///        it holds from the beginning of time.
    /// @param signature The payer's, of `amount + feeAmount` to this contract; it may be one of
    ///        a contract wallet (EIP-1271), deployed or not (ERC-6492).
    function _collectByErc3009(
        ITokenCollector.Collection memory collection,
        uint256 validBefore,
        bytes calldata signature
    ) internal returns (uint256 feeReceived) {
        (address token, address payer) = (collection.token, collection.payer);
        (uint256 amount, uint256 feeAmount) = (collection.amount, collection.feeAmount);
        IErc3009(token)
            .receiveWithAuthorization(
                payer,
                address(this),
                amount + feeAmount,
                0,
                validBefore,
                collection.digest,
                _unwrapped(payer, signature)
            );
        TokenLegs.push(token, payer, collection.receiver, amount);
        if (feeAmount == 0) return 0;
        if (TokenLegs.tryPush(token, collection.feeReceiver, feeAmount)) return feeAmount;
        TokenLegs.push(token, payer, payer, feeAmount);
    }
}
