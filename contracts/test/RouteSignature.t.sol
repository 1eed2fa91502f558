// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {IRouter} from "./support/Interfaces.sol";
import {CollectorTest} from "./support/CollectorTest.sol";

/// @notice A routed order binds every term, the chain and the contract.
contract RouteSignatureTest is CollectorTest {
    function test_con_04_refuses_each_changed_term() public {
        bytes memory signature = signedRouted(routedOrderIn(address(usdc)));
        TestRailTwin twin = new TestRailTwin();
        vm.prank(owner);
        router.addRail(address(twin));
        for (uint256 member = 0; member < 12; member++) {
            refusesSigner(changed(member, address(twin)), signature);
        }
    }

    function test_con_04_refuses_a_signature_for_another_chain_or_router() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        IRouter other = deployRouter(owner, vm.addr(SIGNER_KEY));
        refusesSigner(order, signedWith(SIGNER_KEY, other.digestOfRouted(order)));
        bytes memory signature = signedRouted(order);
        vm.chainId(block.chainid + 1);
        refusesSigner(order, signature);
    }

    function test_con_05_refuses_other_forms_of_the_signature() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        bytes memory longer = bytes.concat(signedRouted(order), hex"00");
        vm.expectRevert(
            abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, uint256(66))
        );
        vm.prank(payer);
        router.route(order, longer);
    }

    function test_con_17_follows_a_changed_chain_id() public {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        bytes32 before = router.digestOfRouted(order);
        vm.chainId(block.chainid + 1);
        vm.assertTrue(before != router.digestOfRouted(order), "the digest did not change");
        vm.assertEq(router.digestOfRouted(order), digestByHand(order), "digest");
    }

    function test_digest_is_eip_712_of_the_published_type() public view {
        IPaymentRouter.RoutedOrder memory order = routedOrderIn(address(usdc));
        vm.assertEq(router.digestOfRouted(order), digestByHand(order), "digest");
        order.railData = "";
        vm.assertEq(router.digestOfRouted(order), digestByHand(order), "digest without data");
    }

    function changed(uint256 member, address otherRail)
        private
        view
        returns (IPaymentRouter.RoutedOrder memory order)
    {
        order = routedOrderIn(address(usdc));
        if (member == 0) order.sessionKey = bytes32(uint256(order.sessionKey) ^ 1);
        if (member == 1) order.merchant = stranger;
        if (member == 2) order.token = address(usdt);
        if (member == 3) order.amount += 1;
        if (member == 4) order.feeAmount -= 1;
        if (member == 5) order.feeReceiver = stranger;
        if (member == 6) order.deadline += 1;
        if (member == 7) order.rail = otherRail;
        if (member == 8) order.settlementChainId += 1;
        if (member == 9) order.settlementToken = stranger;
        if (member == 10) order.merchantAmount -= 1;
        if (member == 11) order.railData = "rail datb";
    }

    function refusesSigner(IPaymentRouter.RoutedOrder memory order, bytes memory signature)
        private
    {
        address recovered = ECDSA.recover(router.digestOfRouted(order), signature);
        vm.expectRevert(abi.encodeWithSelector(IPaymentRouter.BadSigner.selector, recovered));
        vm.prank(payer);
        router.route(order, signature);
    }

    function digestByHand(IPaymentRouter.RoutedOrder memory order) private view returns (bytes32) {
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
        return keccak256(abi.encodePacked(hex"1901", domain, structHash(order)));
    }

    function structHash(IPaymentRouter.RoutedOrder memory order) private pure returns (bytes32) {
        bytes memory first = abi.encode(
            keccak256(
                "RoutedOrder(bytes32 sessionKey,address merchant,address token,uint256 amount,"
                "uint256 feeAmount,address feeReceiver,uint256 deadline,address rail,"
                "uint256 settlementChainId,address settlementToken,uint256 merchantAmount,"
                "bytes railData)"
            ),
            order.sessionKey,
            order.merchant,
            order.token,
            order.amount,
            order.feeAmount,
            order.feeReceiver,
            order.deadline
        );
        bytes memory second = abi.encode(
            order.rail,
            order.settlementChainId,
            order.settlementToken,
            order.merchantAmount,
            keccak256(order.railData)
        );
        return keccak256(bytes.concat(first, second));
    }
}

/// @notice Code at another address, to be listed as another rail.
contract TestRailTwin {}
