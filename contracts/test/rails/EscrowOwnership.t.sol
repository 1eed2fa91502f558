// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEscrowRail} from "../../src/interfaces/IEscrowRail.sol";
import {EscrowTest, IEscrow} from "../support/EscrowTest.sol";

/// @notice Who may list solvers and attestors.
contract EscrowOwnershipTest is EscrowTest {
    function test_adds_and_removes_solvers() public {
        vm.startPrank(owner);
        vm.expectEmit(address(escrow));
        emit IEscrowRail.SolverAdded(stranger);
        escrow.addSolver(stranger);
        vm.assertEq(escrow.solverSince(stranger), NOW + 1, "since");
        refusesAdding(stranger);
        escrow.addSolver(stranger);
        refusesAdding(address(0));
        escrow.addSolver(address(0));
        vm.expectEmit(address(escrow));
        emit IEscrowRail.SolverRemoved(stranger);
        escrow.removeSolver(stranger);
        vm.assertEq(escrow.solverSince(stranger), 0, "removed");
        refusesRemoving(stranger);
        escrow.removeSolver(stranger);
        vm.stopPrank();
    }

    function test_adds_and_removes_attestors() public {
        vm.startPrank(owner);
        vm.expectEmit(address(escrow));
        emit IEscrowRail.AttestorAdded(stranger);
        escrow.addAttestor(stranger);
        vm.assertEq(escrow.attestorSince(stranger), NOW + 1, "since");
        vm.assertEq(escrow.attestors(), 3, "attestors");
        refusesAdding(stranger);
        escrow.addAttestor(stranger);
        refusesAdding(address(0));
        escrow.addAttestor(address(0));
        vm.expectEmit(address(escrow));
        emit IEscrowRail.AttestorRemoved(stranger);
        escrow.removeAttestor(stranger);
        vm.assertEq(escrow.attestors(), 2, "attestors");
        refusesRemoving(stranger);
        escrow.removeAttestor(stranger);
        vm.stopPrank();
    }

    function test_threshold_is_between_one_and_all() public {
        vm.startPrank(owner);
        refusesThreshold(0, 2);
        escrow.setThreshold(0);
        refusesThreshold(3, 2);
        escrow.setThreshold(3);
        vm.expectEmit(address(escrow));
        emit IEscrowRail.ThresholdSet(1);
        escrow.setThreshold(1);
        vm.assertEq(escrow.threshold(), 1, "threshold");
        vm.stopPrank();
    }

    function test_no_attestor_is_removed_below_the_threshold() public {
        vm.startPrank(owner);
        refusesThreshold(2, 1);
        escrow.removeAttestor(vm.addr(lowKey));
        vm.assertEq(escrow.attestors(), 2, "attestors");
        escrow.setThreshold(1);
        escrow.removeAttestor(vm.addr(lowKey));
        vm.stopPrank();
    }

    function test_con_16_only_the_owner_manages() public {
        address[3] memory others = [stranger, solver, vm.addr(lowKey)];
        for (uint256 index = 0; index < others.length; index++) {
            vm.startPrank(others[index]);
            refusesCaller(others[index]);
            escrow.addSolver(stranger);
            refusesCaller(others[index]);
            escrow.removeSolver(solver);
            refusesCaller(others[index]);
            escrow.addAttestor(stranger);
            refusesCaller(others[index]);
            escrow.removeAttestor(vm.addr(lowKey));
            refusesCaller(others[index]);
            escrow.setThreshold(1);
            refusesCaller(others[index]);
            escrow.transferOwnership(stranger);
            vm.stopPrank();
        }
    }

    function test_con_16_ownership_goes_in_two_steps() public {
        vm.prank(owner);
        escrow.transferOwnership(stranger);
        vm.assertEq(escrow.owner(), owner, "not yet accepted");
        vm.prank(stranger);
        escrow.acceptOwnership();
        vm.assertEq(escrow.owner(), stranger, "accepted");
    }

    function test_con_16_ownership_cannot_be_dropped() public {
        vm.expectRevert(abi.encodeWithSelector(IEscrowRail.OwnershipNotRenounceable.selector));
        vm.prank(owner);
        escrow.renounceOwnership();
    }

    function refusesCaller(address account) private {
        vm.expectRevert(
            abi.encodeWithSelector(IEscrow.OwnableUnauthorizedAccount.selector, account)
        );
    }

    function refusesAdding(address account) private {
        vm.expectRevert(abi.encodeWithSelector(IEscrowRail.NotAddable.selector, account));
    }

    function refusesRemoving(address account) private {
        vm.expectRevert(abi.encodeWithSelector(IEscrowRail.NotListed.selector, account));
    }

    function refusesThreshold(uint256 threshold, uint256 attestors) private {
        vm.expectRevert(
            abi.encodeWithSelector(IEscrowRail.BadThreshold.selector, threshold, attestors)
        );
    }
}
