// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {IRouter} from "./support/Interfaces.sol";
import {RouterTest} from "./support/RouterTest.sol";

/// @notice Which collectors and rails a router has, and who decides.
contract PlugInsTest is RouterTest {
    function test_con_16_only_the_owner_lists_plug_ins() public {
        address[3] memory others = [stranger, vm.addr(SIGNER_KEY), payer];
        for (uint256 index = 0; index < others.length; index++) {
            refuses(others[index], abi.encodeCall(IPaymentRouter.addCollector, (address(usdc))));
            refuses(others[index], abi.encodeCall(IPaymentRouter.removeCollector, (address(usdc))));
            refuses(others[index], abi.encodeCall(IPaymentRouter.addRail, (address(usdc))));
            refuses(others[index], abi.encodeCall(IPaymentRouter.removeRail, (address(usdc))));
        }
    }

    function test_collectors_are_told_and_listed() public {
        vm.startPrank(owner);
        vm.expectEmit(address(router));
        emit IPaymentRouter.CollectorAdded(address(usdc));
        router.addCollector(address(usdc));
        vm.assertTrue(router.isCollector(address(usdc)), "added");
        vm.assertTrue(!router.isRail(address(usdc)), "a collector is no rail");
        vm.expectEmit(address(router));
        emit IPaymentRouter.CollectorRemoved(address(usdc));
        router.removeCollector(address(usdc));
        vm.assertTrue(!router.isCollector(address(usdc)), "removed");
        vm.stopPrank();
    }

    function test_rails_are_told_and_listed() public {
        vm.startPrank(owner);
        vm.expectEmit(address(router));
        emit IPaymentRouter.RailAdded(address(usdc));
        router.addRail(address(usdc));
        vm.assertTrue(router.isRail(address(usdc)), "added");
        vm.assertTrue(!router.isCollector(address(usdc)), "a rail is no collector");
        vm.expectEmit(address(router));
        emit IPaymentRouter.RailRemoved(address(usdc));
        router.removeRail(address(usdc));
        vm.assertTrue(!router.isRail(address(usdc)), "removed");
        vm.stopPrank();
    }

    function test_refuses_plug_ins_without_code_or_listed_before() public {
        vm.startPrank(owner);
        notAddable(address(0));
        notAddable(stranger);
        router.addRail(address(usdc));
        router.addCollector(address(usdt));
        notAddable(address(usdc));
        notAddable(address(usdt));
        vm.stopPrank();
    }

    function test_refuses_to_remove_what_is_not_listed() public {
        vm.startPrank(owner);
        router.addRail(address(usdc));
        router.addCollector(address(usdt));
        address[2] memory notCollectors = [stranger, address(usdc)];
        address[2] memory notRails = [stranger, address(usdt)];
        for (uint256 index = 0; index < 2; index++) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    IPaymentRouter.CollectorUnknown.selector, notCollectors[index]
                )
            );
            router.removeCollector(notCollectors[index]);
            vm.expectRevert(
                abi.encodeWithSelector(IPaymentRouter.RailUnknown.selector, notRails[index])
            );
            router.removeRail(notRails[index]);
        }
        vm.stopPrank();
    }

    function notAddable(address account) private {
        bytes memory reason =
            abi.encodeWithSelector(IPaymentRouter.PlugInNotAddable.selector, account);
        vm.expectRevert(reason);
        router.addCollector(account);
        vm.expectRevert(reason);
        router.addRail(account);
    }

    function refuses(address account, bytes memory call) private {
        vm.prank(account);
        (bool success, bytes memory answer) = address(router).call(call);
        vm.assertTrue(!success, "somebody else listed a plug-in");
        vm.assertEq(
            answer,
            abi.encodeWithSelector(IRouter.OwnableUnauthorizedAccount.selector, account),
            "refusal"
        );
    }
}
