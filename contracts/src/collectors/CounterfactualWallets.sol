// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {WalletDeployer} from "./WalletDeployer.sol";

/// @title Lets contract wallets pay before they are deployed (ERC-6492).
abstract contract CounterfactualWallets {
    /// @dev What a signature ends with that brings the deployment of its wallet along.
    bytes32 private constant SUFFIX =
        0x6492649264926492649264926492649264926492649264926492649264926492;

    /// @notice Deploys wallets, and can do nothing else.
    WalletDeployer public immutable walletDeployer = new WalletDeployer();

    /// @dev Any other signature is returned as it is. Spoils `signature`.
    /// @return The signature that the wallet itself will be asked about.
    function _unwrapped(address wallet, bytes memory signature) internal returns (bytes memory) {
        if (signature.length < 32 || _lastWord(signature) != SUFFIX) return signature;
        assembly ("memory-safe") {
            mstore(signature, sub(mload(signature), 32))
        }
        (address factory, bytes memory factoryCalldata, bytes memory inner) =
            abi.decode(signature, (address, bytes, bytes));
        walletDeployer.deploy(wallet, factory, factoryCalldata);
        return inner;
    }

    function _lastWord(bytes memory text) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(text, mload(text)))
        }
    }
}
