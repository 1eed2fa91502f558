// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A contract wallet (EIP-1271) of one key. It checks the bare hash, as simple wallets
///         do, so two wallets of one key take the same signatures. It can be told to misbehave.
contract ContractWallet {
    enum Answer {
        Honest,
        Magic,
        Wrong,
        Reverts,
        Bytes31,
        Bytes33,
        Megabyte,
        BurnsGas,
        Zero
    }

    bytes4 private constant MAGIC = 0x1626ba7e;

    address public immutable holder;
    Answer private _answer;

    constructor(address holder_) {
        holder = holder_;
    }

    function answer(Answer answer_) external {
        _answer = answer_;
    }

    /// @dev Does what its holder wants, as any wallet.
    function execute(address target, bytes calldata call) external {
        (bool success,) = target.call(call);
        require(success, "wallet: call failed");
    }

    function isValidSignature(bytes32 hash, bytes calldata signature)
        external
        view
        returns (bytes4)
    {
        if (_answer == Answer.Honest) return _honest(hash, signature);
        if (_answer == Answer.Wrong) return 0xffffffff;
        if (_answer == Answer.Zero) return 0;
        if (_answer == Answer.Reverts) revert("wallet: no");
        if (_answer == Answer.BurnsGas) while (true) {}
        if (_answer == Answer.Bytes31) _reply(31);
        if (_answer == Answer.Bytes33) _reply(33);
        if (_answer == Answer.Megabyte) _reply(1_000_000);
        return MAGIC;
    }

    function _honest(bytes32 hash, bytes calldata signature) private view returns (bytes4) {
        return ECDSA.recover(hash, signature) == holder ? MAGIC : bytes4(0xffffffff);
    }

    function _reply(uint256 size) private pure {
        bytes32 word = MAGIC;
        assembly ("memory-safe") {
            let start := mload(0x40)
            mstore(start, word)
            return(start, size)
        }
    }
}

/// @notice Deploys contract wallets at addresses that are known before (CREATE2).
contract WalletFactory {
    function deploy(address holder) external returns (address) {
        return address(new ContractWallet{salt: 0}(holder));
    }

    /// @dev Succeeds and deploys nothing.
    function pretend() external pure {}

    function addressOf(address holder) external view returns (address) {
        bytes32 code =
            keccak256(abi.encodePacked(type(ContractWallet).creationCode, abi.encode(holder)));
        return address(
            uint160(
                uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), bytes32(0), code)))
            )
        );
    }
}
