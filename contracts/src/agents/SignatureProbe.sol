// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Asks a contract wallet whether it signed something, deployed or not (EIP-1271, ERC-6492).
/// @notice Never deployed: a server runs the creation code by `eth_call`, so that a wallet which is
///         not there yet can be deployed for the question alone. What would be the contract's code
///         is the answer: one byte, 1 for yes.
contract SignatureProbe {
    /// @dev What `isValidSignature(bytes32,bytes)` answers to a good signature.
    bytes4 private constant VALID = 0x1626ba7e;
    /// @dev What a signature ends with that brings the deployment of its wallet along.
    bytes32 private constant SUFFIX =
        0x6492649264926492649264926492649264926492649264926492649264926492;

    constructor(address wallet, bytes32 digest, bytes memory signature) {
        bool yes = _signed(wallet, digest, _unwrapped(wallet, signature));
        assembly ("memory-safe") {
            mstore(0, yes)
            return(31, 1)
        }
    }

    /// @dev Deploys the wallet if the signature says how; any other is returned as it is.
    function _unwrapped(address wallet, bytes memory signature) private returns (bytes memory) {
        uint256 length = signature.length;
        if (length < 32) return signature;
        bytes32 last;
        assembly ("memory-safe") {
            last := mload(add(signature, length))
        }
        if (last != SUFFIX) return signature;
        (address factory, bytes memory factoryCalldata, bytes memory inner) =
            abi.decode(signature, (address, bytes, bytes));
        if (wallet.code.length == 0) {
            (bool done,) = factory.call(factoryCalldata);
            if (!done) return "";
        }
        return inner;
    }

    function _signed(address wallet, bytes32 digest, bytes memory signature)
        private
        view
        returns (bool)
    {
        if (wallet.code.length == 0) return false;
        (bool done, bytes memory answer) =
            wallet.staticcall(abi.encodeWithSelector(VALID, digest, signature));
        return done && answer.length >= 32 && abi.decode(answer, (bytes32)) == VALID;
    }
}
