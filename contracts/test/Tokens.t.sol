// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {ITransferHook, OddToken} from "./support/OddToken.sol";
import {IRouter} from "./support/Interfaces.sol";
import {RouterTest} from "./support/RouterTest.sol";

/// @notice A payer that is told of its own transfers and tries to pay again inside one.
contract ReentrantPayer is ITransferHook {
    IRouter private immutable router;
    bool private immutable insists;
    IPaymentRouter.PaymentOrder private second;
    bytes private signature;
    bytes4 public refusal;

    constructor(IRouter router_, bool insists_) {
        router = router_;
        insists = insists_;
    }

    function prepare(IPaymentRouter.PaymentOrder calldata order, bytes calldata signature_)
        external
    {
        second = order;
        signature = signature_;
    }

    function approve(OddToken token) external {
        token.approve(address(router), type(uint256).max);
    }

    function pay(IPaymentRouter.PaymentOrder calldata order, bytes calldata signature_) external {
        router.pay(order, signature_);
    }

    function beforeTransfer() external {
        try router.pay(second, signature) {}
        catch (bytes memory reason) {
            refusal = bytes4(reason);
            require(!insists, "insists");
        }
    }
}

/// @notice Tokens as they are: USDC, USDT with its switches, and ones that misbehave.
contract TokensTest is RouterTest {
    OddToken private odd;

    function setUp() public override {
        super.setUp();
        odd = new OddToken();
        odd.mint(payer, FUNDS);
        vm.prank(payer);
        odd.approve(address(router), type(uint256).max);
    }

    function test_con_01_refuses_a_merchant_leg_that_fails() public {
        failsForMerchant(OddToken.Oddity.Reverts);
        failsForMerchant(OddToken.Oddity.RevertsWithHugeData);
        failsForMerchant(OddToken.Oddity.ReturnsFalse);
        failsForMerchant(OddToken.Oddity.ReturnsTwo);
        failsForMerchant(OddToken.Oddity.BurnsAllGas);
    }

    function test_con_01_pays_in_a_token_without_return_value() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(odd));
        odd.misbehave(OddToken.Oddity.ReturnsNothing, merchant);
        expectPaid(order, payer, order.merchantAmount, order.feeAmount);
        pay(order);
        vm.assertEq(odd.balanceOf(merchant), order.merchantAmount, "merchant");
    }

    function test_con_01_refuses_a_token_that_only_pretends() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(odd));
        odd.misbehave(OddToken.Oddity.OnlyPretends, merchant);
        refuses(
            order,
            abi.encodeWithSelector(IPaymentRouter.MerchantNotPaid.selector, address(odd), merchant)
        );
    }

    function test_con_14_refuses_a_token_without_code() public {
        refusesToken(address(0));
        refusesToken(stranger);
    }

    /// @dev The precompile that echoes what it is told: it has no code, and answers `balanceOf`.
    function test_con_14_refuses_a_precompile_as_token() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(4));
        bytes memory reason = abi.encodeWithSelector(
            IPaymentRouter.TransferFailed.selector, address(4), payer, merchant, 99_700_000
        );
        refuses(order, reason);
    }

    function test_con_20_tells_what_a_token_with_fees_delivered() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(odd));
        odd.misbehave(OddToken.Oddity.TakesOnePercent, merchant);
        expectPaid(order, payer, order.merchantAmount * 99 / 100, order.feeAmount);
        pay(order);
        vm.assertEq(odd.balanceOf(merchant), order.merchantAmount * 99 / 100, "merchant");
    }

    function test_con_20_tells_what_usdt_delivered_with_its_fee_on() public {
        vm.prank(issuer);
        usdt.setParams(10, 1);
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdt));
        uint256 received = order.merchantAmount - order.merchantAmount / 1000;
        expectPaid(order, payer, received, order.feeAmount);
        pay(order);
        vm.assertEq(usdt.balanceOf(merchant), UNIT + received, "merchant");
        vm.assertEq(usdt.balanceOf(address(router)), 0, "router");
    }

    function test_con_01_usdc_blacklists_payer_or_merchant() public {
        vm.prank(issuer);
        usdc.blacklist(merchant);
        refusesMerchantLeg(address(usdc));
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        order.merchant = stranger;
        vm.prank(issuer);
        usdc.blacklist(payer);
        refuses(order, merchantLegFailed(order));
    }

    function test_con_01_usdt_blacklists_payer() public {
        vm.prank(issuer);
        usdt.addBlackList(payer);
        refusesMerchantLeg(address(usdt));
    }

    function test_con_01_paused_tokens() public {
        vm.startPrank(issuer);
        usdc.pause();
        usdt.pause();
        vm.stopPrank();
        refusesMerchantLeg(address(usdc));
        refusesMerchantLeg(address(usdt));
    }

    function test_con_02_reentering_with_the_same_order_is_refused() public {
        (ReentrantPayer attacker, IPaymentRouter.PaymentOrder memory order) = reentrant(true);
        bytes memory signature = signed(order);
        attacker.prepare(order, signature);
        bytes memory reason = abi.encodeWithSelector(
            IPaymentRouter.TransferFailed.selector,
            address(odd),
            address(attacker),
            merchant,
            order.merchantAmount
        );
        vm.expectRevert(reason);
        attacker.pay(order, signature);
        vm.assertEq(router.paid(order.sessionKey), false, "paid");
    }

    function test_con_02_reentering_with_another_order_pays_and_tells_only_one() public {
        (ReentrantPayer attacker, IPaymentRouter.PaymentOrder memory order) = reentrant(false);
        IPaymentRouter.PaymentOrder memory second = orderIn(address(odd));
        second.sessionKey = keccak256("second");
        attacker.prepare(second, signed(second));
        expectPaid(order, address(attacker), order.merchantAmount, order.feeAmount);
        attacker.pay(order, signed(order));
        vm.assertEq(
            bytes32(attacker.refusal()),
            bytes32(bytes4(keccak256("ReentrancyGuardReentrantCall()"))),
            "refusal"
        );
        vm.assertEq(router.paid(second.sessionKey), false, "second was paid");
        vm.assertEq(odd.balanceOf(merchant), order.merchantAmount, "merchant");
    }

    function reentrant(bool insists)
        private
        returns (ReentrantPayer attacker, IPaymentRouter.PaymentOrder memory order)
    {
        attacker = new ReentrantPayer(router, insists);
        odd.mint(address(attacker), FUNDS);
        attacker.approve(odd);
        odd.misbehave(OddToken.Oddity.TellsPayerFirst, merchant);
        order = orderIn(address(odd));
    }

    function failsForMerchant(OddToken.Oddity oddity) private {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(odd));
        odd.misbehave(oddity, merchant);
        refuses(order, merchantLegFailed(order));
        vm.assertEq(odd.balanceOf(payer), FUNDS, "payer");
        vm.assertEq(odd.balanceOf(address(router)), 0, "router");
    }

    function refusesMerchantLeg(address token) private {
        IPaymentRouter.PaymentOrder memory order = orderIn(token);
        refuses(order, merchantLegFailed(order));
    }

    function merchantLegFailed(IPaymentRouter.PaymentOrder memory order)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IPaymentRouter.TransferFailed.selector,
            order.token,
            payer,
            order.merchant,
            order.merchantAmount
        );
    }

    function refusesToken(address token) private {
        IPaymentRouter.PaymentOrder memory order = orderIn(token);
        refuses(order, abi.encodeWithSelector(IPaymentRouter.TokenWithoutCode.selector, token));
    }
}
