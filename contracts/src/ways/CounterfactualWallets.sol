// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {WalletDeployer} from "./WalletDeployer.sol";

/// @title Lets contract wallets pay before they are deployed (ERC-6492).
abstract contract CounterfactualWallets {
    /// @dev What a signature ends with that brings the deployment of its wallet along.
    bytes32 private constant SUFFIX =
        0x6492649264926492649264926492649264926492649264926492649264926492;

    /// @dev Deploys wallets, and can do nothing else.
    WalletDeployer private immutable _walletDeployer = new WalletDeployer();

    /// @dev Any other signature is returned as it is.
    /// @return The signature that the wallet itself will be asked about.
    function _unwrapped(address wallet, bytes calldata signature) internal returns (bytes memory) {
        uint256 length = signature.length;
        if (length < 32 || bytes32(signature[length - 32:]) != SUFFIX) return signature;
        (address factory, bytes memory factoryCalldata, bytes memory inner) =
            abi.decode(signature[:length - 32], (address, bytes, bytes));
        _walletDeployer.deploy(wallet, factory, factoryCalldata);
        return inner;
    }
}
