// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IPaymentRouter} from "../src/interfaces/IPaymentRouter.sol";
import {IRouter} from "./support/Interfaces.sol";
import {RouterTest} from "./support/RouterTest.sol";

/// @notice vectors.json, which other signers of orders check themselves against, agrees with the
///         contract. It was made with an independent implementation of EIP-712.
contract VectorsTest is RouterTest {
    string private json;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("vectors.json");
    }

    function test_type_and_topics_are_the_contracts() public view {
        bytes32 typeHash = vm.parseJsonBytes32(json, ".typeHash");
        vm.assertEq(typeHash, router.ORDER_TYPEHASH(), "type hash");
        vm.assertEq(keccak256(bytes(vm.parseJsonString(json, ".type"))), typeHash, "type");
        vm.assertEq(vm.parseJsonBytes32(json, ".paidTopic"), IPaymentRouter.Paid.selector, "Paid");
        vm.assertEq(
            vm.parseJsonBytes32(json, ".feeSkippedTopic"),
            IPaymentRouter.FeeSkipped.selector,
            "FeeSkipped"
        );
    }

    function test_type_and_topic_of_routed_orders_are_the_contracts() public view {
        bytes32 typeHash = vm.parseJsonBytes32(json, ".routedTypeHash");
        vm.assertEq(typeHash, router.ROUTED_ORDER_TYPEHASH(), "type hash");
        vm.assertEq(keccak256(bytes(vm.parseJsonString(json, ".routedType"))), typeHash, "type");
        vm.assertEq(
            vm.parseJsonBytes32(json, ".routedTopic"), IPaymentRouter.Routed.selector, "Routed"
        );
    }

    function test_each_vector_is_what_the_contract_computes() public {
        uint256 index;
        for (string memory path = vector(0); vm.keyExistsJson(json, path); path = vector(index)) {
            verify(path);
            index += 1;
        }
        vm.assertTrue(index >= 6, "vectors are missing");
    }

    function test_each_routed_vector_is_what_the_contract_computes() public {
        for (uint256 index = 0; index < 4; index++) {
            string memory path = string.concat(".routedVectors[", vm.toString(index), "]");
            IPaymentRouter.RoutedOrder memory order = routedAt(string.concat(path, ".order"));
            bytes32 digest = bytes32_(path, ".digest");
            IRouter there = routerAt(path);
            vm.chainId(uint_(path, ".chainId"));
            vm.assertEq(there.digestOfRouted(order), digest, "digest");
            bytes memory signature = vm.parseJsonBytes(json, string.concat(path, ".signature"));
            vm.assertEq(
                ECDSA.recover(digest, signature), vm.parseJsonAddress(json, ".signer"), "signer"
            );
            vm.assertEq(
                abi.encodeCall(IPaymentRouter.route, (order, signature)),
                vm.parseJsonBytes(json, string.concat(path, ".routeCalldata")),
                "calldata of route"
            );
        }
    }

    function vector(uint256 index) private pure returns (string memory) {
        return string.concat(".vectors[", vm.toString(index), "]");
    }

    function verify(string memory path) private {
        IPaymentRouter.PaymentOrder memory order = orderAt(string.concat(path, ".order"));
        bytes32 digest = bytes32_(path, ".digest");
        IRouter there = routerAt(path);
        vm.chainId(vm.parseJsonUint(json, string.concat(path, ".chainId")));
        vm.assertEq(there.digestOf(order), digest, "digest");

        bytes32 structHash = keccak256(abi.encode(router.ORDER_TYPEHASH(), order));
        vm.assertEq(structHash, bytes32_(path, ".structHash"), "struct hash");
        bytes32 domain = bytes32_(path, ".domainSeparator");
        vm.assertEq(keccak256(abi.encodePacked(hex"1901", domain, structHash)), digest, "domain");

        bytes memory signature = vm.parseJsonBytes(json, string.concat(path, ".signature"));
        vm.assertEq(
            ECDSA.recover(digest, signature), vm.parseJsonAddress(json, ".signer"), "signer"
        );
        uint256 key = uint256(vm.parseJsonBytes32(json, ".signerPrivateKey"));
        vm.assertEq(signedWith(key, digest), signature, "signature");
        vm.assertEq(
            abi.encodeCall(IPaymentRouter.pay, (order, signature)),
            vm.parseJsonBytes(json, string.concat(path, ".payCalldata")),
            "calldata of pay"
        );
    }

    /// @dev The router's code at the vector's address. Its domain was cached for another
    ///      address, so it has to compute the domain anew, as after a change of chain id.
    function routerAt(string memory path) private returns (IRouter there) {
        there = IRouter(vm.parseJsonAddress(json, string.concat(path, ".router")));
        vm.etch(address(there), address(router).code);
    }

    function orderAt(string memory path)
        private
        view
        returns (IPaymentRouter.PaymentOrder memory order)
    {
        order.sessionKey = bytes32_(path, ".sessionKey");
        order.merchant = address_(path, ".merchant");
        order.token = address_(path, ".token");
        order.merchantAmount = uint_(path, ".merchantAmount");
        order.feeAmount = uint_(path, ".feeAmount");
        order.feeReceiver = address_(path, ".feeReceiver");
        order.deadline = uint_(path, ".deadline");
    }

    function routedAt(string memory path)
        private
        view
        returns (IPaymentRouter.RoutedOrder memory order)
    {
        order.sessionKey = bytes32_(path, ".sessionKey");
        order.merchant = address_(path, ".merchant");
        order.token = address_(path, ".token");
        order.amount = uint_(path, ".amount");
        order.feeAmount = uint_(path, ".feeAmount");
        order.feeReceiver = address_(path, ".feeReceiver");
        order.deadline = uint_(path, ".deadline");
        order.rail = address_(path, ".rail");
        order.settlementChainId = uint_(path, ".settlementChainId");
        order.settlementToken = address_(path, ".settlementToken");
        order.merchantAmount = uint_(path, ".merchantAmount");
        order.railData = vm.parseJsonBytes(json, string.concat(path, ".railData"));
    }

    function bytes32_(string memory path, string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(path, key));
    }

    function address_(string memory path, string memory key) private view returns (address) {
        return vm.parseJsonAddress(json, string.concat(path, key));
    }

    function uint_(string memory path, string memory key) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(path, key));
    }
}
