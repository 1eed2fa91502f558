// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITokenMessengerV2} from "../../src/interfaces/ITokenMessengerV2.sol";
import {IFiatToken} from "./Usdc.sol";
import {Vm} from "./Vm.sol";

/// @notice What the tests call on `MessageTransmitterDouble`.
interface ITransmitter {
    event MessageSent(bytes message);
    event MessageReceived(
        address indexed caller,
        uint32 sourceDomain,
        bytes32 indexed nonce,
        bytes32 sender,
        uint32 indexed finalityThresholdExecuted,
        bytes messageBody
    );

    function sendMessage(
        uint32 destinationDomain,
        bytes32 recipient,
        bytes32 destinationCaller,
        uint32 minFinalityThreshold,
        bytes calldata messageBody
    ) external;
    function receiveMessage(bytes calldata message, bytes calldata attestation)
        external
        returns (bool);
    function enableAttester(address attester) external;
    function disableAttester(address attester) external;
    function setSignatureThreshold(uint256 newSignatureThreshold) external;
    function usedNonces(bytes32 nonce) external view returns (uint256);
    function localDomain() external view returns (uint32);
    function version() external view returns (uint32);
    function isEnabledAttester(address attester) external view returns (bool);
}

/// @notice What the tests call on `TokenMessengerDouble`.
interface IMessenger is ITokenMessengerV2 {
    event DepositForBurn(
        address indexed burnToken,
        uint256 amount,
        address indexed depositor,
        bytes32 mintRecipient,
        uint32 destinationDomain,
        bytes32 destinationTokenMessenger,
        bytes32 destinationCaller,
        uint256 maxFee,
        uint32 indexed minFinalityThreshold,
        bytes hookData
    );
    event MintAndWithdraw(
        address indexed mintRecipient,
        uint256 amount,
        address indexed mintToken,
        uint256 feeCollected
    );

    function depositForBurn(
        uint256 amount,
        uint32 destinationDomain,
        bytes32 mintRecipient,
        address burnToken,
        bytes32 destinationCaller,
        uint256 maxFee,
        uint32 minFinalityThreshold
    ) external;
    function handleReceiveFinalizedMessage(
        uint32 sourceDomain,
        bytes32 sender,
        uint32 finalityThresholdExecuted,
        bytes calldata messageBody
    ) external returns (bool);
    function addRemoteTokenMessenger(uint32 domain, bytes32 tokenMessenger) external;
    function linkTokenPair(address localToken, uint32 remoteDomain, bytes32 remoteToken) external;
    function setFeeRecipient(address feeRecipient) external;
}

/// @notice CCTP on two networks at once, and what the attesters do between them.
library Cctp {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @notice One network's contracts.
    struct Side {
        uint32 domain;
        ITransmitter transmitter;
        IMessenger messenger;
        IFiatToken usdc;
    }

    function deploy(
        uint32 domain,
        IFiatToken usdc,
        address issuer,
        address operator,
        address attester
    ) internal returns (Side memory side) {
        side.domain = domain;
        side.usdc = usdc;
        side.transmitter = ITransmitter(
            vm.deployCode(
                "MessageTransmitterDouble.sol:MessageTransmitterDouble",
                abi.encode(domain, operator, attester)
            )
        );
        side.messenger = IMessenger(
            vm.deployCode(
                "TokenMessengerDouble.sol:TokenMessengerDouble",
                abi.encode(side.transmitter, operator)
            )
        );
        vm.prank(issuer);
        usdc.configureMinter(address(side.messenger), type(uint256).max);
    }

    /// @notice Let `here` take what was burnt `there`.
    function link(Side memory here, Side memory there, address operator) internal {
        vm.startPrank(operator);
        here.messenger.addRemoteTokenMessenger(there.domain, word(address(there.messenger)));
        here.messenger.linkTokenPair(address(here.usdc), there.domain, word(address(there.usdc)));
        vm.stopPrank();
    }

    function word(address account) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }

    /// @notice The one message that `transmitter` sent since `vm.recordLogs`.
    function sent(ITransmitter transmitter) internal returns (bytes memory message) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 count;
        for (uint256 index = 0; index < logs.length; index++) {
            if (logs[index].emitter != address(transmitter)) continue;
            if (logs[index].topics[0] != ITransmitter.MessageSent.selector) continue;
            message = abi.decode(logs[index].data, (bytes));
            count += 1;
        }
        vm.assertEq(count, 1, "messages sent");
    }

    /// @notice `message` with `value` written over `length` bytes from `offset` on.
    function write(bytes memory message, uint256 offset, uint256 length, uint256 value)
        internal
        pure
        returns (bytes memory)
    {
        for (uint256 index = 0; index < length; index++) {
            message[offset + index] = bytes1(uint8(value >> (8 * (length - 1 - index))));
        }
        return message;
    }

    /// @notice What attesters fill in before they sign.
    function complete(bytes memory message, bytes32 nonce, uint32 finality, uint256 fee)
        internal
        pure
        returns (bytes memory)
    {
        message = write(message, 12, 32, uint256(nonce));
        message = write(message, 144, 4, finality);
        return write(message, 148 + 164, 32, fee);
    }

    function attest(uint256 key, bytes memory message) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(message));
        return abi.encodePacked(r, s, v);
    }
}
