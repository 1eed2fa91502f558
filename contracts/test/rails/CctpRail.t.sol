// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICctpRail} from "../../src/interfaces/ICctpRail.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {Cctp, IMessenger, ITransmitter} from "../support/Cctp.sol";
import {RailTest} from "../support/RailTest.sol";
import {IFiatToken, Usdc} from "../support/Usdc.sol";

/// @notice `CctpRail`: burns the payment, and names the merchant in the message.
contract CctpRailTest is RailTest {
    uint256 private constant ATTESTER_KEY = 0xA77E57;
    uint32 private constant HERE = 7;
    uint32 private constant THERE = 6;

    Cctp.Side private here;
    Cctp.Side private there;
    address private operator = named("operator");
    address private rail;

    function setUp() public override {
        super.setUp();
        IFiatToken remote = Usdc.deploy(named("proxy admin"), issuer);
        address attester = vm.addr(ATTESTER_KEY);
        here = Cctp.deploy(HERE, usdc, issuer, operator, attester);
        there = Cctp.deploy(THERE, remote, issuer, operator, attester);
        Cctp.link(here, there, operator);
        Cctp.link(there, here, operator);
        rail = vm.deployCode(
            "CctpRail.sol:CctpRail", abi.encode(address(router), address(here.messenger))
        );
        allow(rail);
    }

    function test_burns_the_payment_and_tells_the_router() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        vm.expectEmit(address(here.messenger));
        emit IMessenger.DepositForBurn(
            address(usdc),
            order.amount,
            rail,
            Cctp.word(merchant),
            THERE,
            Cctp.word(address(there.messenger)),
            bytes32(0),
            0,
            2000,
            abi.encode(order.sessionKey)
        );
        expectRouted(order, order.amount, 0);
        uint256 supply = usdc.totalSupply();
        route(order);
        vm.assertEq(usdc.totalSupply(), supply - order.amount, "burnt");
        vm.assertEq(usdc.balanceOf(payer), FUNDS - order.amount - order.feeAmount, "payer");
        vm.assertEq(usdc.balanceOf(feeReceiver), UNIT + order.feeAmount, "fee receiver");
        holdsNothing();
    }

    /// @dev The layout that the attestation service and the indexer read.
    function test_the_message_has_the_published_layout() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.railData = abi.encode(THERE, uint256(1000), uint32(1000));
        order.merchantAmount = order.amount - 1000;
        vm.recordLogs();
        route(order);
        bytes memory expected = bytes.concat(
            abi.encodePacked(
                uint32(1),
                HERE,
                THERE,
                bytes32(0),
                Cctp.word(address(here.messenger)),
                Cctp.word(address(there.messenger)),
                bytes32(0),
                uint32(1000),
                uint32(0)
            ),
            abi.encodePacked(
                uint32(1),
                Cctp.word(address(usdc)),
                Cctp.word(merchant),
                order.amount,
                Cctp.word(rail),
                uint256(1000),
                uint256(0),
                uint256(0),
                order.sessionKey
            )
        );
        vm.assertEq(Cctp.sent(here.transmitter), expected, "message");
        vm.assertEq(expected.length, 148 + 228 + 32, "length");
    }

    function test_anybody_finishes_and_the_merchant_gets_the_promise() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        bytes memory message = burn(order, 2000, 0);
        vm.prank(stranger);
        there.transmitter.receiveMessage(message, Cctp.attest(ATTESTER_KEY, message));
        vm.assertEq(there.usdc.balanceOf(merchant), order.merchantAmount, "merchant");
    }

    function test_fuzz_con_12_what_arrives_is_never_below_the_promise(
        uint256 amount,
        uint256 maxFee,
        uint256 fee,
        uint256 promised
    ) public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.amount = bounded(amount, 2, FUNDS / 2);
        order.feeAmount = 0;
        maxFee = bounded(maxFee, 0, order.amount - 1);
        order.railData = abi.encode(THERE, maxFee, uint32(1000));
        order.merchantAmount = bounded(promised, 1, order.amount - maxFee);
        fee = bounded(fee, 0, maxFee);
        bytes memory message = burn(order, 1000, fee);
        there.transmitter.receiveMessage(message, Cctp.attest(ATTESTER_KEY, message));
        vm.assertEq(there.usdc.balanceOf(merchant), order.amount - fee, "merchant");
        vm.assertTrue(there.usdc.balanceOf(merchant) >= order.merchantAmount, "promise");
        vm.assertEq(there.usdc.balanceOf(operator), fee, "fee");
    }

    function test_promise_may_be_all_that_the_fee_leaves_and_not_one_more() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.railData = abi.encode(THERE, uint256(1), uint32(2000));
        order.merchantAmount = order.amount;
        refusesRoute(order, notCovered(order, 1));
        order.merchantAmount = order.amount - 1;
        route(order);
    }

    function test_con_12_refuses_a_fee_above_the_amount() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.merchantAmount = 1;
        order.railData = abi.encode(THERE, order.amount + 1, uint32(2000));
        refusesRoute(order, notCovered(order, order.amount + 1));
        order.railData = abi.encode(THERE, type(uint256).max, uint32(2000));
        refusesRoute(order, notCovered(order, type(uint256).max));
    }

    function test_refuses_the_own_network() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.settlementChainId = HOME_CHAIN;
        refusesRoute(order, unsupported());
    }

    function test_refuses_terms_of_another_length() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.railData = "";
        refusesRoute(order, unsupported());
        order.railData = abi.encode(THERE, uint256(0));
        refusesRoute(order, unsupported());
        order.railData = abi.encode(THERE, uint256(0), uint32(2000), uint256(0));
        refusesRoute(order, unsupported());
    }

    function test_refuses_a_domain_of_more_than_32_bits() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.railData = abi.encode(uint256(1) << 32, uint256(0), uint32(2000));
        refusesRoute(order, "");
    }

    function test_refuses_a_domain_that_circle_does_not_know() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.railData = abi.encode(uint32(99), uint256(0), uint32(2000));
        refusesRoute(
            order, abi.encodeWithSignature("Error(string)", "No TokenMessenger for domain")
        );
    }

    function test_only_the_router_starts_it() public {
        refusesStrangers(crossing());
    }

    function test_con_01_refuses_money_that_did_not_come() public {
        refusesMissingMoney(crossing());
    }

    function test_con_01_refuses_a_token_that_circle_does_not_burn() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        order.token = address(usdt);
        refusesRoute(order, "");
    }

    function test_con_01_refuses_while_usdc_blacklists_the_messenger() public {
        IPaymentRouter.RoutedOrder memory order = crossing();
        vm.prank(issuer);
        usdc.blacklist(address(here.messenger));
        refusesRoute(
            order,
            abi.encodeWithSignature("Error(string)", "Blacklistable: account is blacklisted")
        );
    }

    function test_con_15_tokens_sent_by_mistake_do_not_pay_for_an_order() public {
        fund(rail, 5 * UNIT);
        IPaymentRouter.RoutedOrder memory order = crossing();
        route(order);
        vm.assertEq(usdc.balanceOf(rail), 5 * UNIT, "stray tokens");
        vm.assertEq(usdc.allowance(rail, address(here.messenger)), 0, "allowance");
    }

    function test_con_15_takes_no_ether() public {
        (bool sent,) = rail.call{value: 1}("");
        vm.assertEq(sent, false, "plain ether was taken");
    }

    function test_says_whom_it_trusts() public view {
        vm.assertEq(ICctpRail(rail).tokenMessenger(), address(here.messenger), "messenger");
    }

    function crossing() private view returns (IPaymentRouter.RoutedOrder memory) {
        return routedOrder(
            rail,
            address(usdc),
            OTHER_CHAIN,
            elsewhere,
            100 * UNIT,
            abi.encode(THERE, uint256(0), uint32(2000))
        );
    }

    /// @return message As the attesters would sign it.
    function burn(IPaymentRouter.RoutedOrder memory order, uint32 finality, uint256 fee)
        private
        returns (bytes memory message)
    {
        vm.recordLogs();
        route(order);
        return Cctp.complete(Cctp.sent(here.transmitter), keccak256("nonce"), finality, fee);
    }

    function holdsNothing() private view {
        vm.assertEq(usdc.balanceOf(rail), 0, "rail");
        vm.assertEq(usdc.balanceOf(address(here.messenger)), 0, "messenger");
        vm.assertEq(usdc.allowance(rail, address(here.messenger)), 0, "allowance");
    }

    function notCovered(IPaymentRouter.RoutedOrder memory order, uint256 maxFee)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            ICctpRail.MerchantAmountNotCovered.selector, order.amount, maxFee, order.merchantAmount
        );
    }
}
