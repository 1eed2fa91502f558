// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {CollectorTest} from "./support/CollectorTest.sol";

/// @notice Money that somebody sent to a contract by mistake. Nothing stays there on its way,
///         so there is no rescue; and nobody gets it through a payment either.
contract StraysTest is CollectorTest {
    uint256 private constant STRAY = 500 * UNIT;

    function setUp() public override {
        super.setUp();
        address[3] memory stations = contracts();
        for (uint256 index = 0; index < stations.length; index++) {
            fund(stations[index], STRAY);
            vm.deal(stations[index], 1 ether);
        }
    }

    function test_con_15_no_payment_uses_strays() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        pay(order);
        order.sessionKey = keccak256("2");
        payWith(order, payer, erc3009, data3009(order));
        order.sessionKey = keccak256("3");
        payWith(order, payer, permit2, dataPermit2(order, 0));
        order.sessionKey = keccak256("4");
        relayer = payer;
        payWith(order, payer, permit, dataPermit(address(usdc), 100 * UNIT));
        order.sessionKey = keccak256("5");
        address deposit = deposits.addressOf(termsOf(order));
        fund(deposit, 100 * UNIT);
        payWith(order, deposit, address(deposits), abi.encode(termsOf(order)));
        IPaymentRouter.RoutedOrder memory routed = routedOrderIn(address(usdc));
        routed.sessionKey = keccak256("6");
        bytes memory signature = signedRouted(routed);
        vm.prank(payer);
        router.route(routed, signature);
        untouched();
        vm.assertEq(balance(address(usdc), payer), FUNDS - 5 * 100 * UNIT, "payer paid all");
    }

    /// @dev Each contract that has strays is named as the payer, with an order of a stolen
    ///      signer key in favour of the thief.
    function test_con_15_strays_cannot_be_named_as_the_payers_money() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        order.merchant = stranger;
        bytes memory signature = signed(order);
        address[3] memory stations = contracts();
        address[4] memory collectors = [erc3009, permit2, permit, address(deposits)];
        bytes[4] memory data = [
            data3009(order),
            dataPermit2(order, 0),
            abi.encode(LATER, 27, 0, 0),
            abi.encode(termsOf(order))
        ];
        for (uint256 index = 0; index < stations.length; index++) {
            for (uint256 way = 0; way < collectors.length; way++) {
                vm.prank(stranger);
                try router.payWith(order, signature, stations[index], collectors[way], data[way]) {
                    vm.assertTrue(false, "strays paid an order");
                } catch {}
            }
        }
        untouched();
        vm.assertEq(balance(address(usdc), stranger), 0, "thief");
    }

    function test_con_15_contracts_take_no_ether() public {
        address[3] memory stations = contracts();
        for (uint256 index = 0; index < stations.length; index++) {
            (bool sent,) = stations[index].call{value: 1}("");
            vm.assertEq(sent, false, "ether was taken");
        }
    }

    function untouched() private view {
        address[3] memory stations = contracts();
        for (uint256 index = 0; index < stations.length; index++) {
            vm.assertEq(balance(address(usdc), stations[index]), STRAY, "strays");
            vm.assertEq(balance(address(usdt), stations[index]), STRAY, "strays in usdt");
            vm.assertEq(stations[index].balance, 1 ether, "forced ether");
        }
    }

    function contracts() private view returns (address[3] memory) {
        return [address(router), permit, address(deposits)];
    }
}
