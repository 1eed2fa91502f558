// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TokenLegs} from "../TokenLegs.sol";
import {IErc3009} from "../interfaces/IErc3009.sol";
import {CounterfactualWallets} from "./CounterfactualWallets.sol";
import {RouterServant} from "./RouterServant.sol";

/// @title Takes tokens on a signed EIP-3009 authorization, so that the payer needs no gas.
/// @notice The authorization's nonce is the digest of the order: it pays that order or nothing.
///         It names this contract as receiver, and the token lets only the receiver use it, so
///         a lifted signature moves nothing.
contract Erc3009Collector is RouterServant, CounterfactualWallets {
    constructor(address router_) RouterServant(router_) {}

    /// @notice Take the sum, and pass both parts on.
    /// @dev What arrives is not measured, as no known token has both EIP-3009 and a fee on
    ///      transfers: with one, the legs would fail for want of the fee.
    /// @param data abi.encode(uint256 validAfter, uint256 validBefore, bytes signature): the
    ///        payer's authorization of `amount + feeAmount` to this contract. The signature may
    ///        be one of a contract wallet (EIP-1271), deployed or not (ERC-6492).
    function collect(Collection calldata collection, bytes calldata data)
        external
        onlyRouter
        returns (uint256 feeReceived)
    {
        (address token, address payer) = (collection.token, collection.payer);
        uint256 feeAmount = collection.feeAmount;
        _receive(token, payer, collection.amount + feeAmount, collection.digest, data);
        TokenLegs.push(token, payer, collection.receiver, collection.amount);
        if (feeAmount == 0) return 0;
        if (TokenLegs.tryPush(token, collection.feeReceiver, feeAmount)) return feeAmount;
        TokenLegs.push(token, payer, payer, feeAmount);
    }

    function _receive(
        address token,
        address payer,
        uint256 total,
        bytes32 nonce,
        bytes calldata data
    ) private {
        (uint256 validAfter, uint256 validBefore, bytes memory signature) =
            abi.decode(data, (uint256, uint256, bytes));
        signature = _unwrapped(payer, signature);
        IErc3009(token)
            .receiveWithAuthorization(
                payer, address(this), total, validAfter, validBefore, nonce, signature
            );
    }
}
