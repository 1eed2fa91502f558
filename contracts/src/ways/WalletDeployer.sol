// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Deploys a payer's contract wallet on the payer's own instructions (ERC-6492).
/// @notice A contract of its own, because it calls whatever it is told to: nobody gives it an
///         allowance, and no contract listens to it.
contract WalletDeployer {
    /// @notice The instructions did not lead to a contract at the wallet's address.
    error WalletNotDeployed(address wallet, address factory);

    /// @notice Deploy `wallet` unless it exists already, say, because somebody was faster.
    function deploy(address wallet, address factory, bytes calldata factoryCalldata) external {
        if (wallet.code.length != 0) return;
        (bool success,) = factory.call(factoryCalldata);
        require(success && wallet.code.length != 0, WalletNotDeployed(wallet, factory));
    }
}
