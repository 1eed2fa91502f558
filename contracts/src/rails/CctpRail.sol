// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ICctpRail} from "../interfaces/ICctpRail.sol";
import {ITokenMessengerV2} from "../interfaces/ITokenMessengerV2.sol";
import {Rail} from "./Rail.sol";

/// @title Burns the payment here and has it minted to the merchant on another network.
/// @notice Holds nothing between transactions. Nobody can redirect the money: the merchant is the
///         mint recipient in the message.
contract CctpRail is ICctpRail, Rail {
    using SafeERC20 for IERC20;

    /// @dev destinationCaller: anybody may hand in the message, so no relayer can withhold it.
    bytes32 private constant ANYBODY = 0;

    /// @inheritdoc ICctpRail
    address public immutable tokenMessenger;

    constructor(address router_, address tokenMessenger_) Rail(router_) {
        tokenMessenger = tokenMessenger_;
    }

    function start(Delivery calldata delivery, bytes calldata railData)
        external
        onlyRouter
        nonReentrant
        returns (uint256 spent, uint256 delivered)
    {
        require(
            delivery.settlementChainId != block.chainid && railData.length == 96,
            RouteUnsupported()
        );
        (uint32 destinationDomain, uint256 maxFee, uint32 minFinalityThreshold) =
            abi.decode(railData, (uint32, uint256, uint32));
        uint256 amount = delivery.amount;
        require(
            maxFee <= amount && amount - maxFee >= delivery.merchantAmount,
            MerchantAmountNotCovered(amount, maxFee, delivery.merchantAmount)
        );
        _received(delivery.token, amount);
        IERC20(delivery.token).forceApprove(tokenMessenger, amount);
        ITokenMessengerV2(tokenMessenger)
            .depositForBurnWithHook(
                amount,
                destinationDomain,
                bytes32(uint256(uint160(delivery.merchant))),
                delivery.token,
                ANYBODY,
                maxFee,
                minFinalityThreshold,
                abi.encode(delivery.sessionKey)
            );
        return (amount, 0);
    }
}
