// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {ISettlementRail} from "../../src/interfaces/ISettlementRail.sol";
import {ISwapRail} from "../../src/interfaces/ISwapRail.sol";
import {IRouter} from "../support/Interfaces.sol";
import {ITransferHook, OddToken} from "../support/OddToken.sol";
import {RailTest} from "../support/RailTest.sol";
import {IUniswapFactory, LiquidityProvider, Uniswap} from "../support/Uniswap.sol";

/// @notice A merchant that pays and starts the rail again from inside the swap that pays it.
contract ReentrantMerchant is ITransferHook {
    IRouter private immutable router;
    IPaymentRouter.RoutedOrder private order;
    bytes private signature;
    bytes4 public routeRefusal;
    bytes4 public startRefusal;

    constructor(IRouter router_) {
        router = router_;
    }

    function prepare(IPaymentRouter.RoutedOrder calldata order_, bytes calldata signature_)
        external
    {
        order = order_;
        signature = signature_;
    }

    function beforeTransfer() external {
        try router.route(order, signature) {}
        catch (bytes memory reason) {
            routeRefusal = bytes4(reason);
        }
        ISettlementRail.Delivery memory delivery;
        try ISettlementRail(order.rail).start(delivery, "") {}
        catch (bytes memory reason) {
            startRefusal = bytes4(reason);
        }
    }
}

/// @notice `SwapRail` on Uniswap's own bytecode: the merchant gets the exact amount, the payer what
///         the swap did not cost.
contract SwapRailTest is RailTest {
    uint128 private constant LIQUIDITY = 1e13;

    IUniswapFactory private factory;
    LiquidityProvider private provider;
    address private swapRouter;
    address private rail;
    OddToken private odd;

    function setUp() public override {
        super.setUp();
        (factory, swapRouter) = Uniswap.deploy();
        provider = new LiquidityProvider();
        odd = new OddToken();
        odd.mint(payer, FUNDS);
        odd.mint(address(provider), FUNDS);
        fund(address(provider), 2 * FUNDS);
        vm.prank(payer);
        odd.approve(address(router), FUNDS);
        provider.provide(Uniswap.openPool(factory, address(usdc), address(usdt)), LIQUIDITY);
        rail = vm.deployCode("SwapRail.sol:SwapRail", abi.encode(address(router), swapRouter));
        allow(rail);
    }

    function test_swaps_usdt_for_usdc() public {
        swaps(address(usdt), address(usdc));
    }

    function test_swaps_usdc_for_usdt() public {
        swaps(address(usdc), address(usdt));
    }

    /// @dev 0.01 % of pool fee on 99.90 is 0.009991, and the price moves by less than that.
    function swaps(address token, address settlementToken) private {
        IPaymentRouter.RoutedOrder memory order = swapping(token, settlementToken);
        route(order);
        uint256 spent = FUNDS - order.feeAmount - balance(token, payer);
        vm.assertEq(balance(settlementToken, merchant), UNIT + 99_900_000, "merchant");
        vm.assertTrue(spent > 99_900_000 + 9_990 && spent < 99_900_000 + 11_990, "spent");
        vm.assertEq(balance(token, feeReceiver), UNIT + order.feeAmount, "fee receiver");
        holdsNothing(token, settlementToken);
    }

    function test_con_20_tells_what_was_spent_and_delivered() public {
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(usdc));
        // The price of this very swap on a fresh pool.
        expectRouted(order, 99_910_991, 99_900_000);
        route(order);
        vm.assertEq(
            usdt.balanceOf(payer), FUNDS - order.feeAmount - 99_910_991, "unspent came back"
        );
    }

    /// @dev The rail allows no more than the amount, so that the swap router fails to take it.
    function test_the_amount_bounds_what_the_swap_may_cost() public {
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(usdc));
        order.amount = 99_910_990;
        refusesRoute(order, abi.encodeWithSignature("Error(string)", "STF"));
        order.amount = 99_910_991;
        expectRouted(order, 99_910_991, 99_900_000);
        route(order);
        holdsNothing(address(usdt), address(usdc));
    }

    function test_con_12_refuses_more_than_the_pool_has() public {
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(usdc));
        order.amount = FUNDS / 2;
        order.merchantAmount = FUNDS / 2;
        refusesRoute(order, "");
    }

    function test_fuzz_con_11_every_unit_is_accounted_for(uint256 amount, uint256 spare, bool back)
        public
    {
        (address token, address settlementToken) =
            back ? (address(usdc), address(usdt)) : (address(usdt), address(usdc));
        IPaymentRouter.RoutedOrder memory order = swapping(token, settlementToken);
        order.merchantAmount = bounded(amount, 200, 30_000 * UNIT);
        order.amount = order.merchantAmount
            + bounded(spare, order.merchantAmount / 200 + 3, order.merchantAmount / 50);
        order.feeAmount = 0;
        uint256 inPool = balance(token, pool());
        route(order);
        uint256 spent = FUNDS - balance(token, payer);
        vm.assertEq(balance(settlementToken, merchant), UNIT + order.merchantAmount, "merchant");
        vm.assertEq(balance(token, pool()), inPool + spent, "pool");
        vm.assertLe(spent, order.amount, "spent");
        holdsNothing(token, settlementToken);
    }

    function test_con_16_refuses_an_order_that_costs_two_percent_and_one_unit() public {
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(usdc));
        order.amount = 101_898_001;
        refusesRoute(order, outOfBounds(order));
        order.amount = 101_898_000;
        route(order);
    }

    /// @dev The thief signs, and has made the only pool of the pair with a fee of 1 %, at a price
    ///      of its own.
    function test_con_16_a_stolen_signer_key_sells_nothing_to_the_thiefs_pool() public {
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(usdc));
        order.merchantAmount = 1;
        order.railData = abi.encode(uint24(10_000));
        refusesRoute(order, outOfBounds(order));
    }

    function test_con_12_compares_whole_tokens_whatever_their_decimals() public {
        odd.setDecimals(18);
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(odd));
        order.merchantAmount = 99_900_000 * 1e12;
        order.amount = 101_898_001;
        refusesRoute(order, outOfBounds(order));
        order.amount = 101_898_000;
        // There is no such pool, but the price is not what is refused.
        refusesRoute(order, "");
        order = swapping(address(odd), address(usdt));
        order.amount = 101_898_000 * 1e12 + 1;
        startsUnfunded(order, address(router), outOfBounds(order));
        order.amount -= 1;
        refusesMissingMoney(order);
    }

    function test_refuses_another_network() public {
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(usdc));
        order.settlementChainId = OTHER_CHAIN;
        refusesRoute(order, unsupported());
    }

    function test_refuses_the_same_token() public {
        refusesRoute(swapping(address(usdt), address(usdt)), unsupported());
    }

    function test_refuses_itself_as_merchant() public {
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(usdc));
        order.merchant = rail;
        refusesRoute(order, unsupported());
    }

    function test_refuses_terms_of_another_length_or_a_fee_too_large() public {
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(usdc));
        order.railData = "";
        refusesRoute(order, unsupported());
        order.railData = abi.encode(uint24(100), uint24(100));
        refusesRoute(order, unsupported());
        order.railData = abi.encode(uint256(1) << 24);
        refusesRoute(order, "");
    }

    function test_refuses_a_pool_that_does_not_exist() public {
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(usdc));
        order.railData = abi.encode(uint24(500));
        refusesRoute(order, "");
    }

    function test_con_14_refuses_a_settlement_token_without_code() public {
        refusesRoute(swapping(address(usdt), stranger), "");
    }

    function test_only_the_router_starts_it() public {
        refusesStrangers(swapping(address(usdt), address(usdc)));
    }

    function test_con_01_refuses_money_that_did_not_come() public {
        refusesMissingMoney(swapping(address(usdt), address(usdc)));
    }

    function test_con_01_refuses_usdt_with_its_fee_on_either_side() public {
        vm.prank(issuer);
        usdt.setParams(10, 1);
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdc), address(usdt));
        refusesRoute(order, notPaid(order));
        order = swapping(address(usdt), address(usdc));
        refusesRoute(
            order,
            abi.encodeWithSelector(
                IPaymentRouter.RailNotFunded.selector,
                address(usdt),
                rail,
                order.amount - order.amount / 1000,
                order.amount
            )
        );
    }

    function test_con_01_refuses_settlement_tokens_that_deliver_less() public {
        provider.provide(Uniswap.openPool(factory, address(odd), address(usdt)), LIQUIDITY);
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(odd));
        odd.misbehave(OddToken.Oddity.TakesOnePercent, merchant);
        refusesRoute(order, notPaid(order));
        odd.misbehave(OddToken.Oddity.OnlyPretends, merchant);
        refusesRoute(order, notPaid(order));
        odd.misbehave(OddToken.Oddity.Reverts, merchant);
        refusesRoute(order, abi.encodeWithSignature("Error(string)", "TF"));
        odd.misbehave(OddToken.Oddity.ReturnsNothing, merchant);
        route(order);
        vm.assertEq(odd.balanceOf(merchant), order.merchantAmount, "merchant");
    }

    function test_con_01_refuses_tokens_that_the_payer_cannot_get_back() public {
        provider.provide(Uniswap.openPool(factory, address(odd), address(usdt)), LIQUIDITY);
        IPaymentRouter.RoutedOrder memory order = swapping(address(odd), address(usdt));
        odd.misbehave(OddToken.Oddity.ReturnsFalse, payer);
        refusesRoute(
            order, abi.encodeWithSignature("SafeERC20FailedOperation(address)", address(odd))
        );
        odd.misbehave(OddToken.Oddity.ReturnsNothing, payer);
        route(order);
        holdsNothing(address(odd), address(usdt));
    }

    function test_con_01_usdt_is_swapped_again_and_again() public {
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(usdc));
        for (uint256 index = 0; index < 3; index++) {
            order.sessionKey = keccak256(abi.encode(index));
            route(order);
            holdsNothing(address(usdt), address(usdc));
        }
        vm.assertEq(usdc.balanceOf(merchant), UNIT + 3 * 99_900_000, "merchant");
    }

    function test_con_02_paying_inside_a_swap_is_refused() public {
        provider.provide(Uniswap.openPool(factory, address(odd), address(usdt)), LIQUIDITY);
        ReentrantMerchant thief = new ReentrantMerchant(router);
        IPaymentRouter.RoutedOrder memory order = swapping(address(usdt), address(odd));
        order.merchant = address(thief);
        order.sessionKey = keccak256("second");
        thief.prepare(order, signedWith(SIGNER_KEY, router.digestOfRouted(order)));
        odd.misbehave(OddToken.Oddity.TellsReceiverFirst, address(thief));
        order.sessionKey = keccak256("session");
        route(order);
        vm.assertEq(bytes32(thief.routeRefusal()), bytes32(bytes4(reentered())), "route");
        vm.assertEq(
            bytes32(thief.startRefusal()), bytes32(ISettlementRail.NotTheRouter.selector), "start"
        );
        vm.assertEq(odd.balanceOf(address(thief)), order.merchantAmount, "paid once");
        vm.assertEq(router.paid(keccak256("second")), false, "second");
    }

    function test_con_15_tokens_sent_by_mistake_are_neither_spent_nor_given_away() public {
        fund(rail, 5 * UNIT);
        route(swapping(address(usdt), address(usdc)));
        vm.assertEq(usdt.balanceOf(rail), 5 * UNIT, "usdt");
        vm.assertEq(usdc.balanceOf(rail), 5 * UNIT, "usdc");
        (bool sent,) = rail.call{value: 1}("");
        vm.assertEq(sent, false, "plain ether was taken");
    }

    function test_says_whom_it_trusts() public view {
        vm.assertEq(ISwapRail(rail).swapRouter(), swapRouter, "swap router");
    }

    function swapping(address token, address settlementToken)
        private
        view
        returns (IPaymentRouter.RoutedOrder memory)
    {
        return routedOrder(
            rail, token, HOME_CHAIN, settlementToken, 99_900_000, abi.encode(Uniswap.POOL_FEE)
        );
    }

    function pool() private view returns (address) {
        return factory.getPool(address(usdc), address(usdt), Uniswap.POOL_FEE);
    }

    function holdsNothing(address token, address settlementToken) private view {
        vm.assertEq(balance(token, rail), 0, "rail");
        vm.assertEq(balance(settlementToken, rail), 0, "rail");
        vm.assertEq(balance(token, swapRouter), 0, "swap router");
        vm.assertEq(IERC20(token).allowance(rail, swapRouter), 0, "allowance");
    }

    function outOfBounds(IPaymentRouter.RoutedOrder memory order)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            ISwapRail.PriceOutOfBounds.selector, order.amount, order.merchantAmount
        );
    }

    function notPaid(IPaymentRouter.RoutedOrder memory order) private pure returns (bytes memory) {
        return abi.encodeWithSelector(
            ISwapRail.MerchantNotPaid.selector,
            order.settlementToken,
            order.merchant,
            order.merchantAmount
        );
    }
}
