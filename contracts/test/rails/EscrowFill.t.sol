// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEscrowRail} from "../../src/interfaces/IEscrowRail.sol";
import {EscrowTest, IEscrow} from "../support/EscrowTest.sol";
import {ITransferHook, OddToken} from "../support/OddToken.sol";

/// @notice A merchant that fills the order that is just being filled, from inside the transfer.
contract ReentrantMerchant is ITransferHook {
    IEscrow private immutable escrow;
    bool private immutable insists;
    IEscrowRail.EscrowTerms private terms;
    bytes4 public refusal;

    constructor(IEscrow escrow_, bool insists_) {
        escrow = escrow_;
        insists = insists_;
    }

    function prepare(IEscrowRail.EscrowTerms calldata terms_) external {
        terms = terms_;
    }

    function beforeTransfer() external {
        try escrow.fill(terms) {}
        catch (bytes memory reason) {
            refusal = bytes4(reason);
            require(!insists, "insists");
        }
    }
}

/// @notice `EscrowRail.fill`, on the merchant's network.
contract EscrowFillTest is EscrowTest {
    OddToken private odd;

    function setUp() public override {
        super.setUp();
        odd = new OddToken();
        odd.mint(solver, FUNDS);
        vm.prank(solver);
        odd.approve(address(remote), FUNDS);
        vm.chainId(OTHER_CHAIN);
    }

    function test_pays_the_merchant_and_names_the_solver() public {
        paysMerchant(address(usdc));
    }

    function test_pays_the_merchant_in_usdt() public {
        paysMerchant(address(usdt));
    }

    function paysMerchant(address token) private {
        IEscrowRail.EscrowTerms memory terms = termsIn(token);
        bytes32 orderId = keccak256(abi.encode(terms));
        vm.expectEmit(address(remote));
        emit IEscrowRail.Filled(
            orderId, terms.sessionKey, solver, merchant, token, PROMISED, HOME_CHAIN
        );
        fill(terms);
        vm.assertEq(balance(token, merchant), UNIT + PROMISED, "merchant");
        vm.assertEq(balance(token, solver), FUNDS - PROMISED, "solver");
        vm.assertEq(balance(token, address(remote)), 0, "escrow");
        vm.assertEq(remote.filledBy(orderId), solver, "filledBy");
    }

    function test_anybody_may_fill() public {
        fund(stranger, PROMISED);
        vm.startPrank(stranger);
        usdc.approve(address(remote), PROMISED);
        remote.fill(termsIn(address(usdc)));
        vm.stopPrank();
        bytes32 orderId = keccak256(abi.encode(termsIn(address(usdc))));
        vm.assertEq(remote.filledBy(orderId), stranger, "filledBy");
    }

    function test_refuses_a_second_fill() public {
        IEscrowRail.EscrowTerms memory terms = termsIn(address(usdc));
        fill(terms);
        refuses(
            terms,
            abi.encodeWithSelector(
                IEscrowRail.AlreadyFilled.selector, keccak256(abi.encode(terms)), solver
            )
        );
        vm.assertEq(usdc.balanceOf(merchant), UNIT + PROMISED, "paid twice");
    }

    function test_con_04_fills_until_the_last_second_and_not_one_later() public {
        IEscrowRail.EscrowTerms memory terms = termsIn(address(usdc));
        vm.warp(terms.fillDeadline + 1);
        refuses(
            terms,
            abi.encodeWithSelector(
                IEscrowRail.FillExpired.selector, terms.fillDeadline, terms.fillDeadline + 1
            )
        );
        vm.warp(terms.fillDeadline);
        fill(terms);
    }

    function test_con_04_refuses_an_order_of_another_network() public {
        IEscrowRail.EscrowTerms memory terms = termsIn(address(usdc));
        terms.settlementChainId = HOME_CHAIN;
        refuses(terms, abi.encodeWithSelector(IEscrowRail.WrongChain.selector, HOME_CHAIN));
    }

    function test_con_17_a_fork_cannot_fill() public {
        IEscrowRail.EscrowTerms memory terms = termsIn(address(usdc));
        vm.chainId(OTHER_CHAIN + 1);
        refuses(terms, abi.encodeWithSelector(IEscrowRail.WrongChain.selector, OTHER_CHAIN));
    }

    function test_con_20_who_is_the_merchant_cannot_fill_with_nothing() public {
        fund(merchant, FUNDS);
        IEscrowRail.EscrowTerms memory terms = termsIn(address(usdc));
        vm.startPrank(merchant);
        usdc.approve(address(remote), FUNDS);
        vm.expectRevert(notPaid(terms));
        remote.fill(terms);
        vm.stopPrank();
        vm.assertEq(remote.filledBy(keccak256(abi.encode(terms))), address(0), "filledBy");
    }

    function test_con_12_refuses_to_fill_with_nothing() public {
        IEscrowRail.EscrowTerms memory terms = termsIn(address(usdc));
        terms.merchantAmount = 0;
        refuses(terms, notPaid(terms));
    }

    function test_con_01_refuses_tokens_that_deliver_less() public {
        IEscrowRail.EscrowTerms memory terms = termsIn(address(odd));
        odd.misbehave(OddToken.Oddity.TakesOnePercent, merchant);
        refuses(terms, notPaid(terms));
        odd.misbehave(OddToken.Oddity.OnlyPretends, merchant);
        refuses(terms, notPaid(terms));
        vm.prank(issuer);
        usdt.setParams(10, 1);
        refuses(termsIn(address(usdt)), notPaid(termsIn(address(usdt))));
    }

    function test_con_01_refuses_tokens_that_refuse() public {
        IEscrowRail.EscrowTerms memory terms = termsIn(address(odd));
        bytes memory failed =
            abi.encodeWithSignature("SafeERC20FailedOperation(address)", address(odd));
        odd.misbehave(OddToken.Oddity.ReturnsFalse, merchant);
        refuses(terms, failed);
        odd.misbehave(OddToken.Oddity.ReturnsTwo, merchant);
        refuses(terms, failed);
        odd.misbehave(OddToken.Oddity.Reverts, merchant);
        refuses(terms, abi.encodeWithSignature("Error(string)", "odd"));
        odd.misbehave(OddToken.Oddity.BurnsAllGas, merchant);
        refuses(terms, "");
        odd.misbehave(OddToken.Oddity.ReturnsNothing, merchant);
        fill(terms);
        vm.assertEq(odd.balanceOf(merchant), PROMISED, "merchant");
    }

    function test_con_14_refuses_a_token_without_code() public {
        IEscrowRail.EscrowTerms memory terms = termsIn(stranger);
        refuses(terms, "");
        terms.settlementToken = address(0);
        refuses(terms, "");
    }

    function test_con_02_filling_inside_a_fill_is_refused() public {
        ReentrantMerchant thief = new ReentrantMerchant(remote, false);
        IEscrowRail.EscrowTerms memory terms = termsFor(address(thief));
        IEscrowRail.EscrowTerms memory second = termsFor(address(thief));
        second.sessionKey = keccak256("second");
        thief.prepare(second);
        fill(terms);
        vm.assertEq(bytes32(thief.refusal()), bytes32(bytes4(reentered())), "refusal");
        vm.assertEq(odd.balanceOf(address(thief)), PROMISED, "paid once");
        vm.assertEq(remote.filledBy(keccak256(abi.encode(second))), address(0), "second");
    }

    function test_con_02_a_merchant_that_insists_gets_nothing() public {
        ReentrantMerchant thief = new ReentrantMerchant(remote, true);
        IEscrowRail.EscrowTerms memory terms = termsFor(address(thief));
        thief.prepare(terms);
        refuses(terms, abi.encodeWithSignature("Error(string)", "insists"));
        vm.assertEq(remote.filledBy(keccak256(abi.encode(terms))), address(0), "filledBy");
    }

    function test_fuzz_pays_exactly_the_promise(uint256 amount, bool inUsdt) public {
        IEscrowRail.EscrowTerms memory terms = termsIn(inUsdt ? address(usdt) : address(usdc));
        terms.merchantAmount = bounded(amount, 1, FUNDS);
        fill(terms);
        vm.assertEq(
            balance(terms.settlementToken, merchant), UNIT + terms.merchantAmount, "merchant"
        );
        vm.assertEq(balance(terms.settlementToken, solver), FUNDS - terms.merchantAmount, "solver");
    }

    function termsIn(address token) private view returns (IEscrowRail.EscrowTerms memory terms) {
        terms = termsOf(crossing());
        terms.settlementToken = token;
    }

    function termsFor(address receiver) private returns (IEscrowRail.EscrowTerms memory terms) {
        terms = termsIn(address(odd));
        terms.merchant = receiver;
        odd.misbehave(OddToken.Oddity.TellsReceiverFirst, receiver);
    }

    function fill(IEscrowRail.EscrowTerms memory terms) private {
        vm.prank(solver);
        remote.fill(terms);
    }

    function refuses(IEscrowRail.EscrowTerms memory terms, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(solver);
        remote.fill(terms);
    }

    function notPaid(IEscrowRail.EscrowTerms memory terms) private pure returns (bytes memory) {
        return abi.encodeWithSelector(
            IEscrowRail.MerchantNotPaid.selector,
            terms.settlementToken,
            terms.merchant,
            terms.merchantAmount
        );
    }
}
