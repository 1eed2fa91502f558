// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEscrowRail} from "../../src/interfaces/IEscrowRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {RailTest} from "./RailTest.sol";

/// @notice All of `EscrowRail`: its own functions and the ones of Ownable2Step.
interface IEscrow is IEscrowRail {
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

    error OwnableUnauthorizedAccount(address account);

    function owner() external view returns (address);
    function transferOwnership(address newOwner) external;
    function acceptOwnership() external;
    function renounceOwnership() external;
    function MAX_RECLAIM_DELAY() external view returns (uint256);
    function PROOF_TYPEHASH() external view returns (bytes32);
}

/// @notice An escrow on the payer's network, one on the merchant's, a funded solver and two
///         attestors, of whom both must sign.
abstract contract EscrowTest is RailTest {
    uint256 internal constant LOW_KEY = 0xA1;
    uint256 internal constant HIGH_KEY = 0xA2;
    uint256 internal constant PROMISED = 99_500_000;

    address internal solver = named("solver");
    IEscrow internal escrow;
    IEscrow internal remote;
    uint256 internal lowKey;
    uint256 internal highKey;

    function setUp() public virtual override {
        super.setUp();
        escrow = deployEscrow();
        remote = deployEscrow();
        allow(address(escrow));
        (lowKey, highKey) =
            vm.addr(LOW_KEY) < vm.addr(HIGH_KEY) ? (LOW_KEY, HIGH_KEY) : (HIGH_KEY, LOW_KEY);
        vm.startPrank(owner);
        escrow.addSolver(solver);
        escrow.addAttestor(vm.addr(lowKey));
        escrow.addAttestor(vm.addr(highKey));
        escrow.setThreshold(2);
        vm.stopPrank();
        fund(solver, FUNDS);
        vm.startPrank(solver);
        usdc.approve(address(remote), FUNDS);
        usdt.approve(address(remote), FUNDS);
        vm.stopPrank();
        vm.warp(NOW + 1);
    }

    function deployEscrow() internal returns (IEscrow) {
        return
            IEscrow(vm.deployCode("EscrowRail.sol:EscrowRail", abi.encode(address(router), owner)));
    }

    /// @dev 100.00 USDT here, 99.50 USDC on the other network within 10 minutes, back after 60.
    function crossing() internal view returns (IPaymentRouter.RoutedOrder memory) {
        return routedOrder(
            address(escrow),
            address(usdt),
            OTHER_CHAIN,
            address(usdc),
            PROMISED,
            abi.encode(NOW + 10 minutes, NOW + 60 minutes)
        );
    }

    function termsOf(IPaymentRouter.RoutedOrder memory order)
        internal
        view
        returns (IEscrowRail.EscrowTerms memory)
    {
        (uint256 fillDeadline, uint256 reclaimAfter) =
            abi.decode(order.railData, (uint256, uint256));
        return IEscrowRail.EscrowTerms({
            sourceChainId: HOME_CHAIN,
            sourceEscrow: address(escrow),
            sessionKey: order.sessionKey,
            payer: payer,
            merchant: order.merchant,
            token: order.token,
            amount: order.amount,
            settlementChainId: order.settlementChainId,
            settlementToken: order.settlementToken,
            merchantAmount: order.merchantAmount,
            fillDeadline: fillDeadline,
            reclaimAfter: reclaimAfter
        });
    }

    function idOf(IPaymentRouter.RoutedOrder memory order) internal view returns (bytes32) {
        return keccak256(abi.encode(termsOf(order)));
    }

    function escrowed() internal returns (bytes32 orderId) {
        IPaymentRouter.RoutedOrder memory order = crossing();
        route(order);
        return idOf(order);
    }

    function proofOf(bytes32 orderId, address receiver) internal view returns (bytes memory) {
        bytes32 digest = escrow.proofDigest(orderId, receiver);
        return bytes.concat(signedWith(lowKey, digest), signedWith(highKey, digest));
    }

    function notOpen(bytes32 orderId, IEscrowRail.State state)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IEscrowRail.NotOpen.selector, orderId, state);
    }
}
