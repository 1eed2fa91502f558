// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ITokenMessengerV2} from "../../interfaces/ITokenMessengerV2.sol";
import {IMessageHandlerV2, MessageTransmitterDouble} from "./MessageTransmitterDouble.sol";

/// @notice What a minter may do with Circle's FiatToken.
interface IMintableToken {
    function mint(address to, uint256 amount) external returns (bool);
    function burn(uint256 amount) external;
}

/// @title Behaves like Circle's TokenMessengerV2 with its TokenMinterV2, for tests and local chains
///        only.
/// @notice Written from the published message format, function signatures and events; refusals use
///         the words of the original. Burns and mints the real FiatToken, whose minter it must
///         be. A message body is
///
///             version 4 | burnToken 32 | mintRecipient 32 | amount 32 | messageSender 32 |
///             maxFee 32 | feeExecuted 32 | expirationBlock 32 | hookData
///
///         in bytes. It leaves the source with feeExecuted and expirationBlock 0; the attesters
///         fill in both. Left out: the upgrade path, burn limits, the deny list and the single
///         roles, of which the owner has all.
contract TokenMessengerDouble is ITokenMessengerV2, IMessageHandlerV2 {
    using SafeERC20 for IERC20;

    uint32 public constant messageBodyVersion = 1;

    uint256 private constant BODY_LENGTH = 228;
    uint32 private constant MIN_FINALITY_THRESHOLD = 500;

    address public immutable owner;
    MessageTransmitterDouble public immutable localMessageTransmitter;
    address public feeRecipient;
    mapping(uint32 domain => bytes32) public remoteTokenMessengers;
    mapping(uint32 domain => mapping(bytes32 remoteToken => address)) public localTokens;

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
    event RemoteTokenMessengerAdded(uint32 domain, bytes32 tokenMessenger);
    event TokenPairLinked(address localToken, uint32 remoteDomain, bytes32 remoteToken);
    event FeeRecipientSet(address feeRecipient);

    modifier onlyOwner() {
        require(msg.sender == owner, "Ownable: caller is not the owner");
        _;
    }

    /// @param localMessageTransmitter_ Sends and delivers the messages of this network.
    constructor(MessageTransmitterDouble localMessageTransmitter_, address owner_) {
        localMessageTransmitter = localMessageTransmitter_;
        owner = owner_;
        feeRecipient = owner_;
    }

    function depositForBurn(
        uint256 amount,
        uint32 destinationDomain,
        bytes32 mintRecipient,
        address burnToken,
        bytes32 destinationCaller,
        uint256 maxFee,
        uint32 minFinalityThreshold
    ) external {
        _depositForBurn(
            Burn(amount, destinationDomain, mintRecipient, burnToken, maxFee),
            destinationCaller,
            minFinalityThreshold,
            ""
        );
    }

    function depositForBurnWithHook(
        uint256 amount,
        uint32 destinationDomain,
        bytes32 mintRecipient,
        address burnToken,
        bytes32 destinationCaller,
        uint256 maxFee,
        uint32 minFinalityThreshold,
        bytes calldata hookData
    ) external {
        require(hookData.length > 0, "Hook data is empty");
        _depositForBurn(
            Burn(amount, destinationDomain, mintRecipient, burnToken, maxFee),
            destinationCaller,
            minFinalityThreshold,
            hookData
        );
    }

    function handleReceiveFinalizedMessage(
        uint32 sourceDomain,
        bytes32 sender,
        uint32,
        bytes calldata messageBody
    ) external returns (bool) {
        return _receive(sourceDomain, sender, messageBody);
    }

    function handleReceiveUnfinalizedMessage(
        uint32 sourceDomain,
        bytes32 sender,
        uint32 finalityThresholdExecuted,
        bytes calldata messageBody
    ) external returns (bool) {
        require(
            finalityThresholdExecuted >= MIN_FINALITY_THRESHOLD, "Unsupported finality threshold"
        );
        return _receive(sourceDomain, sender, messageBody);
    }

    function addRemoteTokenMessenger(uint32 domain, bytes32 tokenMessenger) external onlyOwner {
        require(tokenMessenger != bytes32(0), "bytes32(0) not allowed");
        require(remoteTokenMessengers[domain] == bytes32(0), "TokenMessenger already set");
        remoteTokenMessengers[domain] = tokenMessenger;
        emit RemoteTokenMessengerAdded(domain, tokenMessenger);
    }

    /// @notice What is burnt there as `remoteToken` is minted here as `localToken`.
    function linkTokenPair(address localToken, uint32 remoteDomain, bytes32 remoteToken)
        external
        onlyOwner
    {
        require(
            localTokens[remoteDomain][remoteToken] == address(0),
            "Unable to link token pair, already linked"
        );
        localTokens[remoteDomain][remoteToken] = localToken;
        emit TokenPairLinked(localToken, remoteDomain, remoteToken);
    }

    function setFeeRecipient(address feeRecipient_) external onlyOwner {
        require(feeRecipient_ != address(0), "Zero address not allowed");
        feeRecipient = feeRecipient_;
        emit FeeRecipientSet(feeRecipient_);
    }

    struct Burn {
        uint256 amount;
        uint32 destinationDomain;
        bytes32 mintRecipient;
        address burnToken;
        uint256 maxFee;
    }

    function _depositForBurn(
        Burn memory burn,
        bytes32 destinationCaller,
        uint32 minFinalityThreshold,
        bytes memory hookData
    ) private {
        require(burn.amount > 0, "Amount must be nonzero");
        require(burn.mintRecipient != bytes32(0), "Mint recipient must be nonzero");
        require(burn.maxFee < burn.amount, "Max fee must be less than amount");
        bytes32 destination = remoteTokenMessengers[burn.destinationDomain];
        require(destination != bytes32(0), "No TokenMessenger for domain");
        IERC20(burn.burnToken).safeTransferFrom(msg.sender, address(this), burn.amount);
        IMintableToken(burn.burnToken).burn(burn.amount);
        localMessageTransmitter.sendMessage(
            burn.destinationDomain,
            destination,
            destinationCaller,
            minFinalityThreshold,
            _body(burn, hookData)
        );
        emit DepositForBurn(
            burn.burnToken,
            burn.amount,
            msg.sender,
            burn.mintRecipient,
            burn.destinationDomain,
            destination,
            destinationCaller,
            burn.maxFee,
            minFinalityThreshold,
            hookData
        );
    }

    function _body(Burn memory burn, bytes memory hookData) private view returns (bytes memory) {
        bytes memory fixedPart = abi.encodePacked(
            messageBodyVersion,
            bytes32(uint256(uint160(burn.burnToken))),
            burn.mintRecipient,
            burn.amount,
            bytes32(uint256(uint160(msg.sender))),
            burn.maxFee,
            uint256(0),
            uint256(0)
        );
        return bytes.concat(fixedPart, hookData);
    }

    function _receive(uint32 sourceDomain, bytes32 sender, bytes calldata body)
        private
        returns (bool)
    {
        require(msg.sender == address(localMessageTransmitter), "Invalid message transmitter");
        require(
            sender != bytes32(0) && remoteTokenMessengers[sourceDomain] == sender,
            "Remote TokenMessenger unsupported"
        );
        require(body.length >= BODY_LENGTH, "Invalid burn message: too short");
        require(uint32(bytes4(body[0:4])) == messageBodyVersion, "Invalid message body version");
        uint256 expirationBlock = uint256(bytes32(body[196:228]));
        require(
            expirationBlock == 0 || expirationBlock > block.number,
            "Message expired and must be re-signed"
        );
        _mint(localTokens[sourceDomain][bytes32(body[4:36])], body);
        return true;
    }

    function _mint(address token, bytes calldata body) private {
        require(token != address(0), "Mint token not supported");
        uint256 amount = uint256(bytes32(body[68:100]));
        uint256 fee = uint256(bytes32(body[164:196]));
        require(fee == 0 || fee < amount, "Fee equals or exceeds amount");
        require(fee <= uint256(bytes32(body[132:164])), "Fee exceeds max fee");
        address mintRecipient = address(uint160(uint256(bytes32(body[36:68]))));
        require(IMintableToken(token).mint(mintRecipient, amount - fee), "Mint failed");
        if (fee > 0) require(IMintableToken(token).mint(feeRecipient, fee), "Mint failed");
        emit MintAndWithdraw(mintRecipient, amount - fee, token, fee);
    }
}
