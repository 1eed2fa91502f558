// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {IRouter} from "./support/Interfaces.sol";
import {RouterTest} from "./support/RouterTest.sol";

/// @notice What the owner may do, that nobody else may, and that stolen keys move no money.
contract OwnershipTest is RouterTest {
    uint256 private constant THIEF_KEY = 0x7777;

    function test_con_16_nobody_else_may_manage() public {
        address[3] memory others = [stranger, vm.addr(SIGNER_KEY), payer];
        for (uint256 index = 0; index < others.length; index++) {
            refusesManager(others[index], abi.encodeCall(IPaymentRouter.pause, ()));
            refusesManager(others[index], abi.encodeCall(IPaymentRouter.unpause, ()));
            refusesManager(
                others[index], abi.encodeCall(IPaymentRouter.addSigner, (others[index]))
            );
            refusesManager(
                others[index], abi.encodeCall(IPaymentRouter.removeSigner, (vm.addr(SIGNER_KEY)))
            );
            refusesManager(
                others[index], abi.encodeCall(IRouter.transferOwnership, (others[index]))
            );
        }
    }

    function test_con_16_ownership_takes_two_steps() public {
        vm.expectEmit(address(router));
        emit IRouter.OwnershipTransferStarted(owner, stranger);
        vm.prank(owner);
        router.transferOwnership(stranger);
        vm.assertEq(router.owner(), owner, "owner before acceptance");
        refusesManager(payer, abi.encodeCall(IRouter.acceptOwnership, ()));
        vm.expectEmit(address(router));
        emit IRouter.OwnershipTransferred(owner, stranger);
        vm.prank(stranger);
        router.acceptOwnership();
        vm.assertEq(router.owner(), stranger, "owner after acceptance");
        refusesManager(owner, abi.encodeCall(IPaymentRouter.pause, ()));
    }

    function test_con_16_ownership_cannot_be_dropped() public {
        vm.expectRevert(IPaymentRouter.OwnershipNotRenounceable.selector);
        vm.prank(owner);
        router.renounceOwnership();
        vm.assertEq(router.owner(), owner, "owner");
    }

    function test_con_16_stolen_owner_and_signer_move_no_money() public {
        address thief = vm.addr(THIEF_KEY);
        vm.prank(owner);
        router.addSigner(thief);
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        order.merchant = stranger;
        bytes memory signature = signedWith(THIEF_KEY, router.digestOf(order));
        // The thief can only pay with tokens of the thief, and has none.
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentRouter.TransferFailed.selector,
                address(usdc),
                thief,
                stranger,
                order.merchantAmount
            )
        );
        vm.prank(thief);
        router.pay(order, signature);
        vm.assertEq(balance(address(usdc), payer), FUNDS, "payer who approved the router");
    }

    function test_pause_is_told_and_repeatable() public {
        vm.startPrank(owner);
        vm.expectEmit(address(router));
        emit IPaymentRouter.Paused(owner);
        router.pause();
        vm.assertTrue(router.paused(), "paused");
        vm.expectEmit(address(router));
        emit IPaymentRouter.Unpaused(owner);
        router.unpause();
        vm.assertTrue(!router.paused(), "unpaused");
        vm.stopPrank();
    }

    function test_pausing_keeps_the_signers() public {
        vm.startPrank(owner);
        router.pause();
        router.addSigner(stranger);
        router.removeSigner(vm.addr(SIGNER_KEY));
        vm.assertTrue(router.paused(), "still paused");
        router.unpause();
        vm.stopPrank();
        vm.assertTrue(router.isSigner(stranger), "added");
        vm.assertTrue(!router.isSigner(vm.addr(SIGNER_KEY)), "removed");
    }

    function test_signers_are_told_and_refused_twice() public {
        vm.startPrank(owner);
        vm.expectEmit(address(router));
        emit IPaymentRouter.SignerAdded(stranger);
        router.addSigner(stranger);
        refusesSigner(IPaymentRouter.SignerNotAddable.selector, stranger);
        refusesSigner(IPaymentRouter.SignerNotAddable.selector, vm.addr(SIGNER_KEY));
        refusesSigner(IPaymentRouter.SignerNotAddable.selector, address(0));
        vm.expectEmit(address(router));
        emit IPaymentRouter.SignerRemoved(stranger);
        router.removeSigner(stranger);
        vm.expectRevert(abi.encodeWithSelector(IPaymentRouter.SignerUnknown.selector, stranger));
        router.removeSigner(stranger);
        vm.expectRevert(abi.encodeWithSelector(IPaymentRouter.SignerUnknown.selector, address(0)));
        router.removeSigner(address(0));
        vm.stopPrank();
    }

    /// @dev Against a plain model of the set: each byte adds or removes one of eight accounts.
    function test_fuzz_signers_are_a_set(bytes memory steps) public {
        bool[8] memory model;
        vm.startPrank(owner);
        router.removeSigner(vm.addr(SIGNER_KEY));
        for (uint256 index = 0; index < steps.length && index < 24; index++) {
            uint256 who = uint8(steps[index]) % 8;
            address account = address(uint160(0x5000 + who));
            if (model[who]) router.removeSigner(account);
            else router.addSigner(account);
            model[who] = !model[who];
        }
        vm.stopPrank();
        for (uint256 who = 0; who < 8; who++) {
            address account = address(uint160(0x5000 + who));
            vm.assertEq(router.isSigner(account), model[who], "isSigner");
        }
        vm.assertTrue(!router.isSigner(address(0)), "the zero address is a signer");
    }

    function test_deployment_refuses_zero_owner_and_signer() public {
        vm.expectRevert(abi.encodeWithSelector(IRouter.OwnableInvalidOwner.selector, address(0)));
        this.deploy(address(0), stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IPaymentRouter.SignerNotAddable.selector, address(0))
        );
        this.deploy(owner, address(0));
    }

    function deploy(address owner_, address signer) external {
        bytes memory code = bytes.concat(
            vm.getCode("PaymentRouter.sol:PaymentRouter"), abi.encode(owner_, signer, PERMIT2)
        );
        assembly ("memory-safe") {
            if iszero(create(0, add(code, 0x20), mload(code))) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    function refusesManager(address account, bytes memory call) private {
        vm.prank(account);
        (bool success, bytes memory answer) = address(router).call(call);
        vm.assertTrue(!success, "somebody else managed the router");
        vm.assertEq(
            answer,
            abi.encodeWithSelector(IRouter.OwnableUnauthorizedAccount.selector, account),
            "refusal"
        );
    }

    function refusesSigner(bytes4 selector, address signer) private {
        vm.expectRevert(abi.encodeWithSelector(selector, signer));
        router.addSigner(signer);
    }
}
