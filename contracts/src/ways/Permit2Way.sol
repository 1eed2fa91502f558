// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TokenLegs} from "../TokenLegs.sol";
import {IPermit2} from "../interfaces/IPermit2.sol";
import {ITokenCollector} from "../interfaces/ITokenCollector.sol";
import {CounterfactualWallets} from "./CounterfactualWallets.sol";

/// @title Takes tokens on a signed Permit2 transfer, so that the payer needs no gas.
/// @notice The witness of the transfer is the digest of the order and the payer: it pays that
///         order from that account or nothing. Both legs go straight to their receivers.
abstract contract Permit2Way is CounterfactualWallets {
    /// @dev The payer is in it because a Permit2 signature does not name the account that pays,
    ///      and two wallets of one owner may take the same signature.
    bytes32 private constant WITNESS_TYPEHASH =
        keccak256("PaymentWitness(bytes32 digest,address payer)");

    string private constant WITNESS_TYPE_STRING = "PaymentWitness witness)"
        "PaymentWitness(bytes32 digest,address payer)"
        "TokenPermissions(address token,uint256 amount)";

    /// @notice Uniswap's Permit2, or the zero address where a chain has none.
    address public immutable permit2;

    constructor(address permit2_) {
        permit2 = permit2_;
    }

    /// @dev Takes both legs. Reverts with Permit2's own errors.
    /// @param deadline The last second at which the transfer is in time.
    /// @param data Permit2's nonce (32 bytes), and then the payer's signature of a
    ///        PermitBatchWitnessTransferFrom of `amount` and, unless it is 0, `feeAmount` with
    ///        this contract as spender. It may be one of a contract wallet (EIP-1271), deployed
    ///        or not (ERC-6492).
    function _collectByPermit2(
        ITokenCollector.Collection memory collection,
        uint256 deadline,
        bytes calldata data
    ) internal returns (uint256 feeReceived) {
        bytes memory signature = _unwrapped(collection.payer, data[32:]);
        IPermit2.PermitBatchTransferFrom memory permit =
            _permit(collection, uint256(bytes32(data[:32])), deadline);
        IPermit2.SignatureTransferDetails[] memory legs = _legs(collection);
        if (legs.length == 1) {
            _transfer(permit, legs, collection, signature);
            return 0;
        }
        if (_tryTransfer(permit, legs, collection, signature)) return collection.feeAmount;
        // One leg that fails undoes the whole batch. Without the fee, the other leg decides.
        legs[1].requestedAmount = 0;
        _transfer(permit, legs, collection, signature);
        TokenLegs.requireFunded(collection.token, collection.payer, permit2, collection.feeAmount);
    }

    function _tryTransfer(
        IPermit2.PermitBatchTransferFrom memory permit,
        IPermit2.SignatureTransferDetails[] memory legs,
        ITokenCollector.Collection memory collection,
        bytes memory signature
    ) private returns (bool) {
        try IPermit2(permit2)
            .permitWitnessTransferFrom(
                permit,
                legs,
                collection.payer,
                _witness(collection.digest, collection.payer),
                WITNESS_TYPE_STRING,
                signature
            ) {
            return true;
        } catch {
            return false;
        }
    }

    function _transfer(
        IPermit2.PermitBatchTransferFrom memory permit,
        IPermit2.SignatureTransferDetails[] memory legs,
        ITokenCollector.Collection memory collection,
        bytes memory signature
    ) private {
        IPermit2(permit2)
            .permitWitnessTransferFrom(
                permit,
                legs,
                collection.payer,
                _witness(collection.digest, collection.payer),
                WITNESS_TYPE_STRING,
                signature
            );
    }

    function _permit(ITokenCollector.Collection memory collection, uint256 nonce, uint256 deadline)
        private
        pure
        returns (IPermit2.PermitBatchTransferFrom memory permit)
    {
        address token = collection.token;
        uint256 feeAmount = collection.feeAmount;
        permit.permitted = new IPermit2.TokenPermissions[](feeAmount == 0 ? 1 : 2);
        permit.permitted[0] = IPermit2.TokenPermissions(token, collection.amount);
        if (feeAmount != 0) permit.permitted[1] = IPermit2.TokenPermissions(token, feeAmount);
        permit.nonce = nonce;
        permit.deadline = deadline;
    }

    function _legs(ITokenCollector.Collection memory collection)
        private
        pure
        returns (IPermit2.SignatureTransferDetails[] memory legs)
    {
        uint256 feeAmount = collection.feeAmount;
        legs = new IPermit2.SignatureTransferDetails[](feeAmount == 0 ? 1 : 2);
        legs[0] = IPermit2.SignatureTransferDetails(collection.receiver, collection.amount);
        if (feeAmount != 0) {
            legs[1] = IPermit2.SignatureTransferDetails(collection.feeReceiver, feeAmount);
        }
    }

    function _witness(bytes32 digest, address payer) private pure returns (bytes32) {
        return keccak256(abi.encode(WITNESS_TYPEHASH, digest, payer));
    }
}
