// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IHoldRail} from "../../src/interfaces/IHoldRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {Cctp} from "../support/Cctp.sol";
import {EscrowTest} from "../support/EscrowTest.sol";
import {IUniswapFactory, LiquidityProvider, Uniswap} from "../support/Uniswap.sol";
import {IFiatToken, Usdc} from "../support/Usdc.sol";

/// @notice Fails when a payment through a rail, or what follows it, costs more than
///         gas-budget.toml allows. The rails have carried a payment before, as they have on every
///         day but their first.
contract RailGasTest is EscrowTest {
    uint256 private constant ATTESTER_KEY = 0xA77E57;

    event log_named_uint(string key, uint256 value);

    function test_route_by_swap_is_within_the_budget() public {
        IUniswapFactory factory;
        address swapRouter;
        (factory, swapRouter) = Uniswap.deploy();
        LiquidityProvider provider = new LiquidityProvider();
        fund(address(provider), 2 * FUNDS);
        provider.provide(Uniswap.openPool(factory, address(usdc), address(usdt)), 1e13);
        address rail =
            vm.deployCode("SwapRail.sol:SwapRail", abi.encode(address(router), swapRouter));
        IPaymentRouter.RoutedOrder memory order = routedOrder(
            rail,
            address(usdt),
            HOME_CHAIN,
            address(usdc),
            99_900_000,
            abi.encode(Uniswap.POOL_FEE)
        );
        routesWithin("swap", order);
    }

    function test_route_by_cctp_is_within_the_budget() public {
        IFiatToken remote = Usdc.deploy(named("proxy admin"), issuer);
        Cctp.Side memory here = Cctp.deploy(7, usdc, issuer, owner, vm.addr(ATTESTER_KEY));
        Cctp.Side memory there = Cctp.deploy(6, remote, issuer, owner, vm.addr(ATTESTER_KEY));
        Cctp.link(here, there, owner);
        Cctp.link(there, here, owner);
        address rail = vm.deployCode(
            "CctpRail.sol:CctpRail", abi.encode(address(router), address(here.messenger))
        );
        IPaymentRouter.RoutedOrder memory order = routedOrder(
            rail,
            address(usdc),
            OTHER_CHAIN,
            elsewhere,
            100 * UNIT,
            abi.encode(uint32(6), uint256(0), uint32(2000))
        );
        routesWithin("cctp", order);
        order.sessionKey = keccak256("third");
        vm.recordLogs();
        route(order);
        bytes memory message =
            Cctp.complete(Cctp.sent(here.transmitter), keccak256("nonce"), 2000, 0);
        vm.prank(issuer);
        remote.mint(merchant, UNIT);
        there.transmitter.receiveMessage(message, Cctp.attest(ATTESTER_KEY, message));
        withinBudget("rail.mint");
    }

    function test_route_by_escrow_is_within_the_budget() public {
        routesWithin("escrow", crossing());
    }

    function test_fill_and_release_are_within_the_budget() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.sessionKey = keccak256("stays");
        route(order);
        bytes32 orderId = escrowed();
        vm.chainId(OTHER_CHAIN);
        vm.prank(solver);
        remote.fill(termsOf(crossing()));
        withinBudget("rail.fill");
        vm.chainId(HOME_CHAIN);
        escrow.release(orderId, solver, proofOf(orderId, solver));
        withinBudget("rail.release");
    }

    function test_reclaim_of_an_escrow_is_within_the_budget() public {
        bytes32 orderId = escrowed();
        vm.warp(NOW + 60 minutes);
        escrow.reclaim(orderId);
        withinBudget("rail.reclaim");
    }

    function test_holds_are_within_the_budget() public {
        IHoldRail rail =
            IHoldRail(vm.deployCode("HoldRail.sol:HoldRail", abi.encode(address(router))));
        IPaymentRouter.RoutedOrder memory order = routedOrder(
            address(rail),
            address(usdc),
            HOME_CHAIN,
            address(usdc),
            99_700_000,
            abi.encode(NOW + 1 days, uint256(3000), feeReceiver, stranger)
        );
        order.feeAmount = 0;
        routesWithin("hold", order);
        vm.prank(merchant);
        rail.capture(order.sessionKey, 50 * UNIT);
        withinBudget("rail.capture");
        vm.prank(merchant);
        rail.void(order.sessionKey);
        withinBudget("rail.void");
        vm.warp(NOW + 1 days);
        rail.reclaim(keccak256("first"));
        withinBudget("rail.hold_reclaim");
    }

    function routesWithin(string memory name, IPaymentRouter.RoutedOrder memory order) private {
        if (!router.isRail(order.rail)) allow(order.rail);
        bytes32 sessionKey = order.sessionKey;
        order.sessionKey = keccak256("first");
        route(order);
        order.sessionKey = sessionKey;
        route(order);
        withinBudget(string.concat("route.", name));
    }

    function withinBudget(string memory name) private {
        string memory key = string.concat(".", name);
        uint256 budget = vm.parseTomlUint(vm.readFile("gas-budget.toml"), key);
        uint256 used = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint(name, used);
        vm.assertTrue(used > 40_000, "calls are not isolated: this is not a transaction's gas");
        vm.assertLe(used, budget, string.concat("gas of ", name));
    }
}
