// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RouterTest} from "./support/RouterTest.sol";
import {ContractWallet, WalletFactory} from "./support/Wallets.sol";

/// @notice What contract wallets say they signed, deployed or not (EIP-1271, ERC-6492).
contract SignatureProbeTest is RouterTest {
    bytes32 private constant SUFFIX =
        0x6492649264926492649264926492649264926492649264926492649264926492;
    bytes32 private constant DIGEST = keccak256("what is asked about");
    uint256 private constant OWNER_KEY = 0x0112;

    WalletFactory private factory;
    ContractWallet private wallet;

    function setUp() public override {
        super.setUp();
        factory = new WalletFactory();
        wallet = new ContractWallet(vm.addr(OWNER_KEY));
    }

    function test_a_wallet_is_believed() public {
        vm.assertTrue(says(address(wallet), DIGEST, signed(OWNER_KEY, DIGEST)), "its owner's");
        refuses(address(wallet), DIGEST, signed(OWNER_KEY + 1, DIGEST), "another's");
        refuses(address(wallet), keccak256("else"), signed(OWNER_KEY, DIGEST), "for another thing");
        refuses(vm.addr(OWNER_KEY), DIGEST, signed(OWNER_KEY, DIGEST), "no contract");
        refuses(address(wallet), DIGEST, "", "nothing");
    }

    function test_con_06_wallets_that_do_not_agree_are_not_believed() public {
        ContractWallet.Answer[5] memory answers = [
            ContractWallet.Answer.Wrong,
            ContractWallet.Answer.Zero,
            ContractWallet.Answer.Reverts,
            ContractWallet.Answer.Bytes31,
            ContractWallet.Answer.BurnsGas
        ];
        for (uint256 index = 0; index < answers.length; index++) {
            wallet.answer(answers[index]);
            refuses(address(wallet), DIGEST, signed(OWNER_KEY, DIGEST), "disagrees");
        }
    }

    function test_con_06_long_answers_are_read_as_far_as_they_matter() public {
        wallet.answer(ContractWallet.Answer.Megabyte);
        vm.assertTrue(says(address(wallet), DIGEST, ""), "a megabyte that begins well");
    }

    function test_a_wallet_that_is_not_there_yet_is_deployed_for_the_question() public {
        address future = factory.addressOf(vm.addr(OWNER_KEY));
        bytes memory deployment = abi.encodeCall(WalletFactory.deploy, (vm.addr(OWNER_KEY)));
        bytes memory signature = signed(OWNER_KEY, DIGEST);
        refuses(future, DIGEST, signature, "not there");
        bytes memory pretence = abi.encodeCall(WalletFactory.pretend, ());
        refuses(future, DIGEST, wrapped(signature, pretence), "still not there");
        refuses(future, DIGEST, wrapped(signature, hex"00000000"), "no factory");
        refuses(future, DIGEST, wrapped(signed(OWNER_KEY + 1, DIGEST), deployment), "another's");
        vm.assertTrue(says(future, DIGEST, wrapped(signature, deployment)), "its owner's");
        // In a test it stays, where a node forgets it: the same wrapping is good for it.
        vm.assertTrue(says(future, DIGEST, wrapped(signature, deployment)), "there already");
    }

    /// @dev Where a node would have answered the call, forge creates the contract; its code is the
    ///      answer.
    function says(address account, bytes32 digest, bytes memory signature) private returns (bool) {
        address probe = vm.deployCode(
            "SignatureProbe.sol:SignatureProbe", abi.encode(account, digest, signature)
        );
        vm.assertEq(probe.code.length, 1, "one byte");
        return probe.code[0] == 0x01;
    }

    function refuses(address account, bytes32 digest, bytes memory signature, string memory why)
        private
    {
        vm.assertTrue(!says(account, digest, signature), why);
    }

    function signed(uint256 key, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function wrapped(bytes memory signature, bytes memory call)
        private
        view
        returns (bytes memory)
    {
        return bytes.concat(abi.encode(address(factory), call, signature), SUFFIX);
    }
}
