// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";

/// @notice All of `PaymentRouter`: its own functions and the ones of Ownable2Step.
interface IRouter is IPaymentRouter {
    event OwnershipTransferStarted(address indexed previousOwner, address indexed newOwner);
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

    error OwnableUnauthorizedAccount(address account);
    error OwnableInvalidOwner(address owner);

    function permit2() external view returns (address);
    function owner() external view returns (address);
    function pendingOwner() external view returns (address);
    function transferOwnership(address newOwner) external;
    function acceptOwnership() external;
    function renounceOwnership() external;
    function ORDER_TYPEHASH() external view returns (bytes32);
    function ROUTED_ORDER_TYPEHASH() external view returns (bytes32);
    function MAX_FEE_PPM() external view returns (uint256);
}

/// @notice What the tests call on `TetherDouble`.
interface ITether {
    function transfer(address to, uint256 value) external;
    function transferFrom(address from, address to, uint256 value) external;
    function approve(address spender, uint256 value) external;
    function issue(uint256 amount) external;
    function redeem(uint256 amount) external;
    function setParams(uint256 basisPoints, uint256 maxFee) external;
    function addBlackList(address user) external;
    function removeBlackList(address user) external;
    function destroyBlackFunds(address user) external;
    function pause() external;
    function unpause() external;
    function transferOwnership(address newOwner) external;
    function owner() external view returns (address);
    function name() external view returns (string memory);
    function symbol() external view returns (string memory);
    function decimals() external view returns (uint256);
    function totalSupply() external view returns (uint256);
    function balanceOf(address account) external view returns (uint256);
    function allowance(address account, address spender) external view returns (uint256);
}
