// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {IRouter} from "./support/Interfaces.sol";
import {RouterTest} from "./support/RouterTest.sol";

/// @notice Only the exact terms, on the exact chain and contract, in one form of signature.
contract SignatureTest is RouterTest {
    uint256 private constant CURVE_ORDER =
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    function test_con_04_refuses_each_changed_term() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory signature = signed(order);

        order.sessionKey = bytes32(uint256(order.sessionKey) ^ 1);
        refusesSigner(order, signature);
        order = orderIn(address(usdc));
        order.merchant = stranger;
        refusesSigner(order, signature);
        order = orderIn(address(usdt));
        refusesSigner(order, signature);
        order = orderIn(address(usdc));
        order.merchantAmount -= 1;
        refusesSigner(order, signature);
        order = orderIn(address(usdc));
        order.feeAmount -= 1;
        refusesSigner(order, signature);
        order = orderIn(address(usdc));
        order.feeReceiver = stranger;
        refusesSigner(order, signature);
        order = orderIn(address(usdc));
        order.deadline += 1;
        refusesSigner(order, signature);
    }

    function test_con_04_refuses_a_signature_for_another_chain() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory signature = signed(order);
        vm.chainId(block.chainid + 1);
        refusesSigner(order, signature);
    }

    function test_con_04_refuses_a_signature_for_another_router() public {
        IRouter other = deployRouter(owner, vm.addr(SIGNER_KEY));
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        refusesSigner(order, signedWith(SIGNER_KEY, other.digestOf(order)));
    }

    function test_con_04_fuzz_refuses_any_other_key(uint256 key) public {
        key = bounded(key, 1, CURVE_ORDER - 1);
        if (key == SIGNER_KEY) key += 1;
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        refuses(
            order,
            signedWith(key, router.digestOf(order)),
            abi.encodeWithSelector(IPaymentRouter.BadSigner.selector, vm.addr(key))
        );
    }

    function test_con_05_refuses_the_high_s_twin() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SIGNER_KEY, router.digestOf(order));
        bytes32 highS = bytes32(CURVE_ORDER - uint256(s));
        refuses(
            order,
            abi.encodePacked(r, highS, v == 27 ? uint8(28) : uint8(27)),
            abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, highS)
        );
    }

    function test_con_05_refuses_v_of_0_and_1() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SIGNER_KEY, router.digestOf(order));
        refusesMalformed(order, abi.encodePacked(r, s, v - 27));
        refusesMalformed(order, abi.encodePacked(r, s, uint8(0)));
        refusesMalformed(order, abi.encodePacked(r, s, uint8(1)));
        refusesMalformed(order, abi.encodePacked(r, s, uint8(29)));
    }

    function test_con_05_refuses_what_recovers_to_the_zero_address() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        refusesMalformed(order, abi.encodePacked(bytes32(0), bytes32(0), uint8(27)));
        refusesMalformed(
            order, abi.encodePacked(bytes32(CURVE_ORDER), bytes32(uint256(1)), uint8(28))
        );
    }

    function test_con_05_refuses_the_compact_form() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SIGNER_KEY, router.digestOf(order));
        bytes32 vs = bytes32((uint256(v - 27) << 255) | uint256(s));
        refusesLength(order, abi.encodePacked(r, vs));
    }

    function test_con_05_refuses_other_lengths() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        refusesLength(order, "");
        refusesLength(order, bytes.concat(signed(order), hex"00"));
    }

    function test_con_16_refuses_orders_of_a_removed_signer() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        vm.prank(owner);
        router.removeSigner(vm.addr(SIGNER_KEY));
        refusesSigner(order, signed(order));
    }

    function test_accepts_orders_of_newest_and_older_signers() public {
        vm.prank(owner);
        router.addSigner(vm.addr(0x2222));
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        pay(order);
        order.sessionKey = keccak256("signed by the newest");
        bytes memory signature = signedWith(0x2222, router.digestOf(order));
        vm.prank(payer);
        router.pay(order, signature);
    }

    function test_con_17_follows_a_changed_chain_id() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes32 before = router.digestOf(order);
        vm.chainId(block.chainid + 1);
        bytes32 afterwards = router.digestOf(order);
        vm.assertTrue(before != afterwards, "the digest did not change");
        vm.assertEq(afterwards, digestByHand(order), "digest on the new chain");
        pay(order);
    }

    function test_digest_is_eip_712_of_the_published_type() public view {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        vm.assertEq(router.digestOf(order), digestByHand(order), "digest");
    }

    function digestByHand(IPaymentRouter.PaymentOrder memory order)
        private
        view
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,"
                    "address verifyingContract)"
                ),
                keccak256("GStable PaymentRouter"),
                keccak256("1"),
                block.chainid,
                address(router)
            )
        );
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256(
                    "PaymentOrder(bytes32 sessionKey,address merchant,address token,"
                    "uint256 merchantAmount,uint256 feeAmount,address feeReceiver,"
                    "uint256 deadline)"
                ),
                order.sessionKey,
                order.merchant,
                order.token,
                order.merchantAmount,
                order.feeAmount,
                order.feeReceiver,
                order.deadline
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, struct_));
    }

    function refusesSigner(IPaymentRouter.PaymentOrder memory order, bytes memory signature)
        private
    {
        address recovered = ECDSA.recover(router.digestOf(order), signature);
        refuses(
            order, signature, abi.encodeWithSelector(IPaymentRouter.BadSigner.selector, recovered)
        );
    }

    function refusesMalformed(IPaymentRouter.PaymentOrder memory order, bytes memory signature)
        private
    {
        refuses(order, signature, abi.encodeWithSelector(ECDSA.ECDSAInvalidSignature.selector));
    }

    function refusesLength(IPaymentRouter.PaymentOrder memory order, bytes memory signature)
        private
    {
        refuses(
            order,
            signature,
            abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, signature.length)
        );
    }
}
