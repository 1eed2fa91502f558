// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDepositCollector} from "../../src/interfaces/IDepositCollector.sol";
import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {RouterTest} from "./RouterTest.sol";
import {TestRail} from "./TestRail.sol";

/// @notice What payers sign for, besides orders: a token's and Permit2's EIP-712 domain.
interface ITypedDomain {
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}

interface INonces {
    function nonces(address owner) external view returns (uint256);
}

/// @notice A router with all its collectors and a rail, and a payer who can sign.
abstract contract CollectorTest is RouterTest {
    uint256 internal constant PAYER_KEY = 0x9A1E4;
    uint256 internal constant LATER = NOW + 1 hours;

    address internal relayer = named("relayer");
    address internal refundTo = named("refund address");
    address internal erc3009;
    address internal permit2;
    address internal permit;
    IDepositCollector internal deposits;
    TestRail internal rail;

    function setUp() public virtual override {
        payer = vm.addr(PAYER_KEY);
        super.setUp();
        vm.etch(
            PERMIT2, vm.parseJsonBytes(vm.readFile("artifacts/permit2.json"), ".deployedBytecode")
        );
        (erc3009, permit2) = (address(router), PERMIT2);
        permit = collector("PermitCollector", abi.encode(router));
        deposits = IDepositCollector(collector("DepositCollector", abi.encode(owner)));
        rail = new TestRail();
        vm.startPrank(owner);
        deposits.setRouter(address(router));
        router.addRail(address(rail));
        vm.stopPrank();
        vm.startPrank(payer);
        usdc.approve(PERMIT2, FUNDS);
        usdt.approve(PERMIT2, FUNDS);
        vm.stopPrank();
    }

    function collector(string memory name, bytes memory arguments)
        internal
        returns (address deployed)
    {
        deployed = vm.deployCode(string.concat(name, ".sol:", name), arguments);
        vm.label(deployed, name);
        vm.prank(owner);
        router.addCollector(deployed);
    }

    function payWith(
        IPaymentRouter.PaymentOrder memory order,
        address account,
        address collector_,
        bytes memory data
    ) internal {
        bytes memory signature = signed(order);
        vm.prank(relayer);
        router.payWith(order, signature, account, collector_, data);
    }

    /// @dev A refusal reverts with exactly this evidence, and nothing has changed.
    function refusesWith(
        IPaymentRouter.PaymentOrder memory order,
        address account,
        address collector_,
        bytes memory data,
        bytes memory reason
    ) internal {
        bytes memory signature = signed(order);
        bool paidBefore = router.paid(order.sessionKey);
        uint256 before = balance(order.token, account);
        vm.expectRevert(reason);
        vm.prank(relayer);
        router.payWith(order, signature, account, collector_, data);
        vm.assertEq(router.paid(order.sessionKey), paidBefore, "a refusal changed paid");
        vm.assertEq(balance(order.token, account), before, "a refusal moved money");
    }

    /// @dev The payer's, the merchant's and the fee receiver's money, and that nothing stuck.
    function movedExactly(
        IPaymentRouter.PaymentOrder memory order,
        address account,
        uint256 accountBefore,
        uint256 feeReceived
    ) internal view {
        address token = order.token;
        uint256 spent = order.merchantAmount + feeReceived;
        vm.assertEq(balance(token, account), accountBefore - spent, "payer");
        vm.assertEq(balance(token, merchant), UNIT + order.merchantAmount, "merchant");
        vm.assertEq(balance(token, feeReceiver), UNIT + feeReceived, "fee receiver");
        holdNothing(token);
    }

    function holdNothing(address token) internal view {
        vm.assertEq(balance(token, address(router)), 0, "router");
        vm.assertEq(balance(token, PERMIT2), 0, "Permit2");
        vm.assertEq(balance(token, permit), 0, "permit collector");
        vm.assertEq(balance(token, address(deposits)), 0, "deposit collector");
        vm.assertEq(balance(token, address(rail)), 0, "rail");
    }

    /// @dev 100.00 in, 99.70 out at once through the rail, 0.30 back, 0.30 of fee.
    function routedOrderIn(address token)
        internal
        view
        returns (IPaymentRouter.RoutedOrder memory)
    {
        return IPaymentRouter.RoutedOrder({
            sessionKey: keccak256("session"),
            merchant: merchant,
            token: token,
            amount: 100 * UNIT,
            feeAmount: 300_000,
            feeReceiver: feeReceiver,
            deadline: NOW + 1 hours,
            rail: address(rail),
            settlementChainId: block.chainid,
            settlementToken: token,
            merchantAmount: 99_700_000,
            railData: "rail data"
        });
    }

    function signedRouted(IPaymentRouter.RoutedOrder memory order)
        internal
        view
        returns (bytes memory)
    {
        return signedWith(SIGNER_KEY, router.digestOfRouted(order));
    }

    function expectRouted(
        IPaymentRouter.RoutedOrder memory order,
        address by,
        uint256[3] memory spentFeeDelivered
    ) internal {
        vm.expectEmit(address(router));
        emit IPaymentRouter.Routed(
            order.sessionKey,
            by,
            order.rail,
            order.merchant,
            order.token,
            spentFeeDelivered[0],
            spentFeeDelivered[1],
            order.feeReceiver,
            order.settlementChainId,
            order.settlementToken,
            order.merchantAmount,
            spentFeeDelivered[2],
            order.railData
        );
    }

    /// @dev The hash that an EIP-3009 authorization to the router signs.
    function authorization(address account, address token, uint256 total, bytes32 digest)
        internal
        view
        returns (bytes32)
    {
        return typed(
            token,
            keccak256(
                abi.encode(
                    keccak256(
                        "ReceiveWithAuthorization(address from,address to,uint256 value,"
                        "uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                    ),
                    account,
                    erc3009,
                    total,
                    0,
                    LATER + 1,
                    digest
                )
            )
        );
    }

    function data3009(IPaymentRouter.PaymentOrder memory order)
        internal
        view
        returns (bytes memory)
    {
        bytes32 hash = authorization(
            payer, order.token, order.merchantAmount + order.feeAmount, router.digestOf(order)
        );
        return signedWith(PAYER_KEY, hash);
    }

    /// @dev The hash that a Permit2 transfer of an order signs.
    function transferHash(
        address account,
        address token,
        uint256 amount,
        uint256 feeAmount,
        bytes32 digest,
        uint256 nonce
    ) internal view returns (bytes32) {
        bytes memory permitted = abi.encodePacked(permission(token, amount));
        if (feeAmount != 0) permitted = abi.encodePacked(permitted, permission(token, feeAmount));
        bytes32 witness = keccak256(
            abi.encode(keccak256("PaymentWitness(bytes32 digest,address payer)"), digest, account)
        );
        return typed(
            PERMIT2,
            keccak256(
                abi.encode(
                    keccak256(
                        "PermitBatchWitnessTransferFrom(TokenPermissions[] permitted,"
                        "address spender,uint256 nonce,uint256 deadline,PaymentWitness witness)"
                        "PaymentWitness(bytes32 digest,address payer)"
                        "TokenPermissions(address token,uint256 amount)"
                    ),
                    keccak256(permitted),
                    router,
                    nonce,
                    LATER,
                    witness
                )
            )
        );
    }

    function permission(address token, uint256 amount) private pure returns (bytes32) {
        return keccak256(
            abi.encode(keccak256("TokenPermissions(address token,uint256 amount)"), token, amount)
        );
    }

    function dataPermit2(IPaymentRouter.PaymentOrder memory order, uint256 nonce)
        internal
        view
        returns (bytes memory)
    {
        bytes32 hash = transferHash(
            payer,
            order.token,
            order.merchantAmount,
            order.feeAmount,
            router.digestOf(order),
            nonce
        );
        return abi.encodePacked(nonce, signedWith(PAYER_KEY, hash));
    }

    /// @dev An EIP-2612 permit of `total` to the permit collector.
    function dataPermit(address token, uint256 total) internal view returns (bytes memory) {
        bytes32 hash = typed(
            token,
            keccak256(
                abi.encode(
                    keccak256(
                        "Permit(address owner,address spender,uint256 value,uint256 nonce,"
                        "uint256 deadline)"
                    ),
                    payer,
                    permit,
                    total,
                    INonces(token).nonces(payer),
                    LATER
                )
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, hash);
        return abi.encode(LATER, v, r, s);
    }

    function termsOf(IPaymentRouter.PaymentOrder memory order)
        internal
        view
        returns (IDepositCollector.DepositTerms memory)
    {
        return IDepositCollector.DepositTerms({
            sessionKey: order.sessionKey,
            merchant: order.merchant,
            settlementChainId: block.chainid,
            settlementToken: order.token,
            feeReceiver: order.feeReceiver,
            refundTo: refundTo,
            refundableAfter: NOW + 1 days
        });
    }

    function typed(address verifier, bytes32 structHash) internal view returns (bytes32) {
        return keccak256(
            abi.encodePacked(hex"1901", ITypedDomain(verifier).DOMAIN_SEPARATOR(), structHash)
        );
    }
}
