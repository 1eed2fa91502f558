// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice What a contract that is sent messages has to have.
interface IMessageHandlerV2 {
    function handleReceiveFinalizedMessage(
        uint32 sourceDomain,
        bytes32 sender,
        uint32 finalityThresholdExecuted,
        bytes calldata messageBody
    ) external returns (bool);

    function handleReceiveUnfinalizedMessage(
        uint32 sourceDomain,
        bytes32 sender,
        uint32 finalityThresholdExecuted,
        bytes calldata messageBody
    ) external returns (bool);
}

/// @title Behaves like Circle's MessageTransmitterV2, for tests and local chains only.
/// @notice Written from the published message format, function signatures and events; refusals use
///         the words of the original. A message is
///
///             version 4 | sourceDomain 4 | destinationDomain 4 | nonce 32 | sender 32 |
///             recipient 32 | destinationCaller 32 | minFinalityThreshold 4 |
///             finalityThresholdExecuted 4 | messageBody
///
///         in bytes. It leaves the source with nonce and finalityThresholdExecuted 0; the attesters
///         fill in both and sign. Left out: the upgrade path, the pause and the single roles, of
///         which the owner has all.
contract MessageTransmitterDouble {
    uint32 public constant version = 1;
    uint256 public constant NONCE_USED = 1;

    uint32 private constant FINALITY_THRESHOLD_FINALIZED = 2000;
    uint256 private constant HEADER_LENGTH = 148;
    uint256 private constant SIGNATURE_LENGTH = 65;

    uint32 public immutable localDomain;
    address public immutable owner;
    uint256 public signatureThreshold = 1;
    uint256 public getNumEnabledAttesters;
    mapping(address attester => bool) public isEnabledAttester;
    mapping(bytes32 nonce => uint256) public usedNonces;

    event MessageSent(bytes message);
    event MessageReceived(
        address indexed caller,
        uint32 sourceDomain,
        bytes32 indexed nonce,
        bytes32 sender,
        uint32 indexed finalityThresholdExecuted,
        bytes messageBody
    );
    event AttesterEnabled(address indexed attester);
    event AttesterDisabled(address indexed attester);
    event SignatureThresholdUpdated(uint256 oldSignatureThreshold, uint256 newSignatureThreshold);

    modifier onlyOwner() {
        require(msg.sender == owner, "Ownable: caller is not the owner");
        _;
    }

    /// @param localDomain_ Circle's number of this network.
    /// @param attester The first attester; the threshold is 1.
    constructor(uint32 localDomain_, address owner_, address attester) {
        localDomain = localDomain_;
        owner = owner_;
        // A message as it leaves its source can never be received.
        usedNonces[bytes32(0)] = NONCE_USED;
        _enable(attester);
    }

    function sendMessage(
        uint32 destinationDomain,
        bytes32 recipient,
        bytes32 destinationCaller,
        uint32 minFinalityThreshold,
        bytes calldata messageBody
    ) external {
        require(destinationDomain != localDomain, "Domain is local domain");
        require(recipient != bytes32(0), "Recipient must be nonzero");
        bytes memory header = abi.encodePacked(
            version,
            localDomain,
            destinationDomain,
            bytes32(0),
            bytes32(uint256(uint160(msg.sender))),
            recipient,
            destinationCaller,
            minFinalityThreshold,
            uint32(0)
        );
        emit MessageSent(bytes.concat(header, messageBody));
    }

    function receiveMessage(bytes calldata message, bytes calldata attestation)
        external
        returns (bool success)
    {
        _verifyAttestation(message, attestation);
        _validate(message);
        bytes32 nonce = bytes32(message[12:44]);
        require(usedNonces[nonce] == 0, "Nonce already used");
        usedNonces[nonce] = NONCE_USED;
        _deliver(message);
        emit MessageReceived(
            msg.sender,
            uint32(bytes4(message[4:8])),
            nonce,
            bytes32(message[44:76]),
            uint32(bytes4(message[144:148])),
            message[HEADER_LENGTH:]
        );
        return true;
    }

    function enableAttester(address attester) external onlyOwner {
        _enable(attester);
    }

    function disableAttester(address attester) external onlyOwner {
        require(getNumEnabledAttesters > 1, "Too few enabled attesters");
        require(getNumEnabledAttesters > signatureThreshold, "Signature threshold is too low");
        require(isEnabledAttester[attester], "Attester already disabled");
        isEnabledAttester[attester] = false;
        getNumEnabledAttesters -= 1;
        emit AttesterDisabled(attester);
    }

    function setSignatureThreshold(uint256 newSignatureThreshold) external onlyOwner {
        require(newSignatureThreshold != 0, "Invalid signature threshold");
        require(
            newSignatureThreshold <= getNumEnabledAttesters, "New signature threshold too high"
        );
        emit SignatureThresholdUpdated(signatureThreshold, newSignatureThreshold);
        signatureThreshold = newSignatureThreshold;
    }

    function _enable(address attester) private {
        require(attester != address(0), "New attester must be nonzero");
        require(!isEnabledAttester[attester], "Attester already enabled");
        isEnabledAttester[attester] = true;
        getNumEnabledAttesters += 1;
        emit AttesterEnabled(attester);
    }

    function _verifyAttestation(bytes calldata message, bytes calldata attestation) private view {
        require(
            attestation.length == SIGNATURE_LENGTH * signatureThreshold,
            "Invalid attestation length"
        );
        bytes32 digest = keccak256(message);
        address previous = address(0);
        for (uint256 offset = 0; offset < attestation.length; offset += SIGNATURE_LENGTH) {
            address attester =
                ECDSA.recoverCalldata(digest, attestation[offset:offset + SIGNATURE_LENGTH]);
            require(attester > previous, "Invalid signature order or dupe");
            require(isEnabledAttester[attester], "Invalid signature: not attester");
            previous = attester;
        }
    }

    function _validate(bytes calldata message) private view {
        require(message.length >= HEADER_LENGTH, "Invalid message: too short");
        require(uint32(bytes4(message[8:12])) == localDomain, "Invalid destination domain");
        bytes32 destinationCaller = bytes32(message[108:140]);
        require(
            destinationCaller == bytes32(0)
                || destinationCaller == bytes32(uint256(uint160(msg.sender))),
            "Invalid caller for message"
        );
        require(uint32(bytes4(message[0:4])) == version, "Invalid message version");
    }

    function _deliver(bytes calldata message) private {
        IMessageHandlerV2 recipient =
            IMessageHandlerV2(address(uint160(uint256(bytes32(message[76:108])))));
        uint32 sourceDomain = uint32(bytes4(message[4:8]));
        bytes32 sender = bytes32(message[44:76]);
        uint32 finality = uint32(bytes4(message[144:148]));
        bytes calldata body = message[HEADER_LENGTH:];
        if (finality < FINALITY_THRESHOLD_FINALIZED) {
            require(
                recipient.handleReceiveUnfinalizedMessage(sourceDomain, sender, finality, body),
                "handleReceiveUnfinalizedMessage() failed"
            );
        } else {
            require(
                recipient.handleReceiveFinalizedMessage(sourceDomain, sender, finality, body),
                "handleReceiveFinalizedMessage() failed"
            );
        }
    }
}
