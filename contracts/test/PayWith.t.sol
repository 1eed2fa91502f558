// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {ITokenCollector} from "../src/interfaces/ITokenCollector.sol";
import {CollectorTest} from "./support/CollectorTest.sol";

/// @notice A collector that takes the amount out of an allowance, or nothing at all, leaves the
///         fee, and claims what it is told to.
contract LyingCollector is ITokenCollector {
    bool private immutable _takes;
    uint256 private immutable _claim;
    Collection private _last;
    bytes public lastData;

    constructor(bool takes, uint256 claim) {
        (_takes, _claim) = (takes, claim);
    }

    function last() external view returns (Collection memory) {
        return _last;
    }

    function collect(Collection calldata collection, bytes calldata data)
        external
        returns (uint256)
    {
        (_last, lastData) = (collection, data);
        IERC20 token = IERC20(collection.token);
        if (_takes) token.transferFrom(collection.payer, collection.receiver, collection.amount);
        return _claim;
    }
}

/// @notice `payWith`: what the router demands of a collector, tells it, and believes.
contract PayWithTest is CollectorTest {
    function test_tells_the_collector_every_term() public {
        LyingCollector taker = lying(true, 300_000);
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        expectPaid(order, payer, order.merchantAmount, order.feeAmount);
        payWith(order, payer, address(taker), "data");
        ITokenCollector.Collection memory told = taker.last();
        ITokenCollector.Collection memory expected = ITokenCollector.Collection({
            sessionKey: order.sessionKey,
            digest: router.digestOf(order),
            caller: relayer,
            payer: payer,
            token: address(usdc),
            merchant: merchant,
            receiver: merchant,
            amount: order.merchantAmount,
            feeReceiver: feeReceiver,
            feeAmount: order.feeAmount,
            settlementChainId: block.chainid,
            settlementToken: address(usdc)
        });
        vm.assertEq(abi.encode(told), abi.encode(expected), "collection");
        vm.assertEq(taker.lastData(), bytes("data"), "data");
    }

    function test_con_20_believes_no_collector_that_the_merchant_was_paid() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        refusesWith(order, payer, address(lying(false, 300_000)), "", notPaid(order));
        refusesWith(order, payer, address(lying(false, 0)), "", notPaid(order));
    }

    function test_con_20_a_fee_is_told_in_full_or_not_at_all() public {
        uint256[3] memory claims = [uint256(0), 299_999, type(uint256).max];
        for (uint256 index = 0; index < claims.length; index++) {
            LyingCollector taker = lying(true, claims[index]);
            IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
            order.sessionKey = keccak256(abi.encode(index));
            expectFeeSkipped(order);
            expectPaid(order, payer, order.merchantAmount, 0);
            payWith(order, payer, address(taker), "");
        }
    }

    function test_con_20_a_fee_to_the_merchant_is_told_as_the_fee() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        order.feeReceiver = merchant;
        expectPaid(order, payer, order.merchantAmount, order.feeAmount);
        payWith(order, payer, erc3009, data3009(order));
        vm.assertEq(balance(address(usdc), merchant), 101 * UNIT, "both legs");
    }

    function test_con_16_refuses_what_is_no_collector() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        address[4] memory others = [address(0), stranger, address(rail), address(usdc)];
        for (uint256 index = 0; index < others.length; index++) {
            refusesWith(order, payer, others[index], "", unknown(others[index]));
        }
    }

    function test_con_16_refuses_a_removed_collector() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        vm.prank(owner);
        router.removeCollector(permit);
        relayer = payer;
        bytes memory data = dataPermit(address(usdc), 100 * UNIT);
        refusesWith(order, payer, permit, data, unknown(permit));
        vm.prank(owner);
        router.addCollector(permit);
        payWith(order, payer, permit, data);
    }

    /// @dev Permit2 is built in, at its one address, or not at all.
    function test_con_16_a_router_without_permit2_takes_nothing_by_it() public {
        router = deployRouter(owner, vm.addr(SIGNER_KEY), address(0));
        vm.assertEq(router.permit2(), address(0), "permit2");
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        refusesWith(order, payer, PERMIT2, dataPermit2(order, 0), unknown(PERMIT2));
        refusesWith(order, payer, address(0), dataPermit2(order, 0), unknown(address(0)));
    }

    function test_refuses_the_collector_as_merchant_or_fee_receiver() public {
        address[3] memory collectors = [erc3009, permit2, permit];
        for (uint256 index = 0; index < collectors.length; index++) {
            address by = collectors[index];
            IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
            order.merchant = by;
            bytes memory reason = abi.encodeWithSelector(IPaymentRouter.BadMerchant.selector, by);
            refusesWith(order, payer, by, "", reason);
            order.merchant = merchant;
            order.feeReceiver = by;
            reason = abi.encodeWithSelector(IPaymentRouter.BadFeeReceiver.selector, by);
            refusesWith(order, payer, by, "", reason);
        }
    }

    function test_refuses_like_pay() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory data = data3009(order);
        vm.prank(owner);
        router.pause();
        refusesWith(
            order,
            payer,
            erc3009,
            data,
            abi.encodeWithSelector(IPaymentRouter.RouterPaused.selector)
        );
        vm.prank(owner);
        router.unpause();
        vm.warp(order.deadline + 1);
        refusesWith(
            order,
            payer,
            erc3009,
            data,
            abi.encodeWithSelector(
                IPaymentRouter.OrderExpired.selector, order.deadline, order.deadline + 1
            )
        );
        vm.warp(NOW);
        payWith(order, payer, erc3009, data);
        refusesWith(
            order,
            payer,
            erc3009,
            data,
            abi.encodeWithSelector(IPaymentRouter.AlreadyPaid.selector, order.sessionKey)
        );
    }

    function test_con_04_refuses_an_order_that_is_not_signed() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory data = data3009(order);
        bytes memory signature = signedWith(0x7777, router.digestOf(order));
        vm.expectRevert(abi.encodeWithSelector(IPaymentRouter.BadSigner.selector, vm.addr(0x7777)));
        vm.prank(relayer);
        router.payWith(order, signature, payer, erc3009, data);
    }

    function test_con_15_takes_no_ether() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory call = abi.encodeCall(
            IPaymentRouter.payWith, (order, signed(order), payer, erc3009, data3009(order))
        );
        (bool sent,) = address(router).call{value: 1}(call);
        vm.assertEq(sent, false, "ether was taken with a payment");
    }

    function lying(bool takes, uint256 claim) private returns (LyingCollector liar) {
        liar = new LyingCollector(takes, claim);
        vm.prank(owner);
        router.addCollector(address(liar));
        vm.prank(payer);
        usdc.approve(address(liar), FUNDS);
    }

    function notPaid(IPaymentRouter.PaymentOrder memory order)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IPaymentRouter.MerchantNotPaid.selector, order.token, order.merchant
        );
    }

    function unknown(address account) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPaymentRouter.CollectorUnknown.selector, account);
    }
}
