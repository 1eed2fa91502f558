// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {TokenLegs} from "../TokenLegs.sol";
import {RouterServant} from "./RouterServant.sol";

/// @title Takes tokens on a signed allowance (EIP-2612), so that the payer needs one transaction.
/// @notice A permit does not say what it is for, so only the payer's own call makes use of it.
contract PermitCollector is RouterServant {
    /// @notice The payer has to call the router.
    error PayerNotCaller(address payer, address caller);

    constructor(address router_) RouterServant(router_) {}

    /// @notice Use the permit, and take both legs out of the allowance.
    /// @param data abi.encode(uint256 deadline, uint8 v, bytes32 r, bytes32 s): the payer's permit
    ///        of `amount + feeAmount` to this contract.
    function collect(Collection calldata collection, bytes calldata data)
        external
        onlyRouter
        returns (uint256 feeReceived)
    {
        (address token, address payer) = (collection.token, collection.payer);
        require(payer == collection.caller, PayerNotCaller(payer, collection.caller));
        (uint256 deadline, uint8 v, bytes32 r, bytes32 s) =
            abi.decode(data, (uint256, uint8, bytes32, bytes32));
        uint256 total = collection.amount + collection.feeAmount;
        // Anybody can hand the permit to the token before us; then it is used up, and the
        // allowance is there all the same.
        try IERC20Permit(token).permit(payer, address(this), total, deadline, v, r, s) {} catch {}
        TokenLegs.pull(token, payer, collection.receiver, collection.amount);
        return TokenLegs.pullFee(token, payer, collection.feeReceiver, collection.feeAmount);
    }
}
