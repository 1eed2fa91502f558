// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {EveryWay} from "./support/EveryWay.sol";
import {Vm} from "./support/Vm.sol";

/// @notice What holds whatever is done by every way to pay, whoever's keys were stolen.
/// forge-config: default.invariant.runs = 8
contract EveryWayInvariantsTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant FUNDS = 1_000_000e6;
    uint256 private constant UNIT = 1e6;

    EveryWay private world;
    IERC20 private usdc;
    address private payer;
    address private merchant;
    address private feeReceiver;
    address private refundTo;

    function setUp() external {
        world = new EveryWay();
        world.setUp();
        usdc = world.token();
        address[9] memory known = world.known();
        (payer, merchant, feeReceiver, refundTo) = (known[0], known[5], known[6], known[7]);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](7);
        selectors[0] = EveryWay.payBy.selector;
        selectors[1] = EveryWay.relay.selector;
        selectors[2] = EveryWay.steal.selector;
        selectors[3] = EveryWay.stealThroughRail.selector;
        selectors[4] = EveryWay.ownerCalls.selector;
        selectors[5] = EveryWay.recover.selector;
        selectors[6] = EveryWay.payBy.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(world), selectors);
    }

    /// @dev So that the invariants do not hold merely because nothing ever happens.
    function test_every_way_pays_in_this_world() external {
        for (uint256 way = 0; way < 6; way++) {
            world.payBy(way, way, 99 * UNIT, UNIT);
        }
        for (uint256 which = 0; which < 3; which++) {
            world.relay(which);
        }
        vm.assertEq(world.payments(), 9, "payments");
        vm.assertEq(world.victimSpent(), 200 * UNIT, "the victim's orders");
        vm.assertEq(world.swept(), world.DEPOSIT(), "the victim's deposit");
    }

    function invariant_con_01_nothing_is_left_on_the_way() external view {
        address[6] memory stations = world.contracts();
        for (uint256 index = 0; index < stations.length; index++) {
            vm.assertEq(usdc.balanceOf(stations[index]), 0, "usdc");
            vm.assertEq(stations[index].balance, 0, "ether");
        }
    }

    function invariant_a_session_is_paid_at_most_once_by_all_ways() external view {
        for (uint256 index = 0; index < 20; index++) {
            bytes32 session = world.sessionKey(index);
            vm.assertLe(world.timesPaid(session), 1, "paid twice");
            vm.assertEq(world.isPaid(session), world.timesPaid(session) == 1, "not told");
        }
    }

    function invariant_con_11_no_unit_appears_or_vanishes() external view {
        uint256 sum;
        address[9] memory known = world.known();
        for (uint256 index = 0; index < known.length; index++) {
            sum += usdc.balanceOf(known[index]);
        }
        // The deposits of other sessions are swept to the unit.
        vm.assertEq(sum, usdc.totalSupply(), "sum");
    }

    function invariant_con_20_merchants_get_what_was_ordered() external view {
        vm.assertEq(world.shortfalls(), 0, "shortfalls");
        vm.assertEq(
            usdc.balanceOf(merchant), UNIT + world.earned(merchant), "merchant, to the unit"
        );
        vm.assertEq(
            usdc.balanceOf(feeReceiver), UNIT + world.earned(feeReceiver), "fees, to the unit"
        );
    }

    function invariant_no_allowance_is_left() external view {
        address[6] memory stations = world.contracts();
        for (uint256 index = 0; index < stations.length; index++) {
            vm.assertEq(usdc.allowance(payer, stations[index]), 0, "allowance");
        }
    }

    function invariant_con_16_a_consent_pays_its_own_order_or_nothing() external view {
        vm.assertEq(
            usdc.balanceOf(world.victim()), FUNDS - world.victimSpent(), "who signed two orders"
        );
        vm.assertEq(usdc.balanceOf(world.thief()), 0, "thief");
    }

    function invariant_con_16_who_signed_nothing_loses_nothing() external view {
        vm.assertEq(usdc.balanceOf(world.sleeper()), FUNDS, "who approved everything");
    }

    function invariant_con_16_a_deposit_goes_to_its_session_or_back() external view {
        uint256 there = usdc.balanceOf(world.deposit());
        vm.assertEq(there + usdc.balanceOf(refundTo) + world.swept(), world.DEPOSIT(), "deposit");
    }
}
