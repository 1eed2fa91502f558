// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Cctp, IMessenger, ITransmitter} from "../support/Cctp.sol";
import {RouterTest} from "../support/RouterTest.sol";
import {IFiatToken, Usdc} from "../support/Usdc.sol";

/// @notice A receiver of messages that never takes one.
contract Naysayer {
    function handleReceiveFinalizedMessage(uint32, bytes32, uint32, bytes calldata)
        external
        pure
        returns (bool)
    {
        return false;
    }

    function handleReceiveUnfinalizedMessage(uint32, bytes32, uint32, bytes calldata)
        external
        pure
        returns (bool)
    {
        return false;
    }
}

/// @notice The CCTP doubles: they take what Circle's contracts take and refuse what they refuse,
///         so that what works locally works there.
contract CctpReceiveTest is RouterTest {
    uint256 private constant ATTESTER_KEY = 0xA77E57;
    uint256 private constant SECOND_KEY = 0xA77E58;
    uint32 private constant HERE = 7;
    uint32 private constant THERE = 6;
    uint256 private constant CURVE_ORDER =
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    Cctp.Side private here;
    Cctp.Side private there;
    address private operator = named("operator");
    bytes private message;

    function setUp() public override {
        super.setUp();
        IFiatToken remote = Usdc.deploy(named("proxy admin"), issuer);
        address attester = vm.addr(ATTESTER_KEY);
        here = Cctp.deploy(HERE, usdc, issuer, operator, attester);
        there = Cctp.deploy(THERE, remote, issuer, operator, attester);
        Cctp.link(here, there, operator);
        Cctp.link(there, here, operator);
        message = burnt(bytes32(0));
        message = Cctp.complete(message, keccak256("nonce"), 2000, 0);
    }

    function test_receives_once_and_tells_it() public {
        bytes memory body = bodyOf(message);
        vm.expectEmit(address(there.messenger));
        emit IMessenger.MintAndWithdraw(merchant, 100 * UNIT, address(there.usdc), 0);
        vm.expectEmit(address(there.transmitter));
        emit ITransmitter.MessageReceived(
            address(this), HERE, keccak256("nonce"), Cctp.word(address(here.messenger)), 2000, body
        );
        vm.assertTrue(there.transmitter.receiveMessage(message, attested()), "success");
        vm.assertEq(there.usdc.balanceOf(merchant), 100 * UNIT, "merchant");
        vm.assertEq(there.transmitter.usedNonces(keccak256("nonce")), 1, "nonce");
        refuses("Nonce already used");
        vm.assertEq(there.usdc.balanceOf(merchant), 100 * UNIT, "minted twice");
    }

    function test_takes_the_fee_from_what_is_minted() public {
        message = Cctp.complete(message, keccak256("nonce"), 1000, 70);
        vm.prank(operator);
        there.messenger.setFeeRecipient(feeReceiver);
        there.transmitter.receiveMessage(message, attested());
        vm.assertEq(there.usdc.balanceOf(merchant), 100 * UNIT - 70, "merchant");
        vm.assertEq(there.usdc.balanceOf(feeReceiver), 70, "fee");
    }

    function test_refuses_a_fee_above_the_highest_fee() public {
        message = Cctp.complete(message, keccak256("nonce"), 1000, 101);
        refuses("Fee exceeds max fee");
        message = Cctp.complete(message, keccak256("nonce"), 1000, 100 * UNIT);
        refuses("Fee equals or exceeds amount");
    }

    function test_refuses_a_message_as_it_left_the_source() public {
        message = Cctp.complete(message, bytes32(0), 0, 0);
        refuses("Nonce already used");
    }

    function test_refuses_too_little_finality() public {
        message = Cctp.complete(message, keccak256("nonce"), 499, 0);
        refuses("Unsupported finality threshold");
        message = Cctp.complete(message, keccak256("nonce"), 500, 0);
        there.transmitter.receiveMessage(message, attested());
    }

    function test_refuses_an_expired_message() public {
        message = Cctp.write(message, 148 + 196, 32, block.number);
        refuses("Message expired and must be re-signed");
        message = Cctp.write(message, 148 + 196, 32, block.number + 100);
        there.transmitter.receiveMessage(message, attested());
    }

    function test_con_04_refuses_another_domain_version_or_recipient() public {
        message = Cctp.write(message, 8, 4, HERE);
        refuses("Invalid destination domain");
        message = Cctp.write(message, 8, 4, THERE);
        message = Cctp.write(message, 0, 4, 0);
        refuses("Invalid message version");
        message = Cctp.write(message, 0, 4, 1);
        message = Cctp.write(message, 148, 4, 0);
        refuses("Invalid message body version");
        message = Cctp.write(message, 148, 4, 1);
        message = Cctp.write(message, 44, 32, uint160(stranger));
        refuses("Remote TokenMessenger unsupported");
        message = Cctp.write(message, 44, 32, uint160(address(here.messenger)));
        message = Cctp.write(message, 148 + 4, 32, uint160(stranger));
        refuses("Mint token not supported");
    }

    function test_refuses_a_message_or_a_body_that_is_too_short() public {
        bytes memory whole = message;
        message = prefix(whole, 147);
        refuses("Invalid message: too short");
        message = prefix(whole, 148 + 227);
        refuses("Invalid burn message: too short");
        message = prefix(whole, 148 + 228);
        there.transmitter.receiveMessage(message, attested());
    }

    function test_a_message_that_its_receiver_does_not_take_can_come_again() public {
        message = Cctp.write(message, 76, 32, uint160(address(new Naysayer())));
        refuses("handleReceiveFinalizedMessage() failed");
        message = Cctp.write(message, 144, 4, 1000);
        refuses("handleReceiveUnfinalizedMessage() failed");
        vm.assertEq(there.transmitter.usedNonces(keccak256("nonce")), 0, "nonce");
    }

    function test_con_04_only_the_named_caller_may_hand_it_in() public {
        message = burnt(Cctp.word(stranger));
        message = Cctp.complete(message, keccak256("nonce"), 2000, 0);
        refuses("Invalid caller for message");
        bytes memory attestation = attested();
        vm.prank(stranger);
        there.transmitter.receiveMessage(message, attestation);
        vm.assertEq(there.usdc.balanceOf(merchant), 100 * UNIT, "merchant");
    }

    function test_con_04_refuses_who_is_no_attester() public {
        refuses(Cctp.attest(SECOND_KEY, message), "Invalid signature: not attester");
        bytes memory old = attested();
        message = Cctp.write(message, 148 + 68, 32, 200 * UNIT);
        refuses(old, "Invalid signature: not attester");
    }

    function test_con_05_refuses_other_forms_of_a_signature() public {
        bytes memory good = attested();
        refuses("", "Invalid attestation length");
        refuses(bytes.concat(good, good), "Invalid attestation length");
        refuses(bytes.concat(good, bytes1(0)), "Invalid attestation length");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ATTESTER_KEY, keccak256(message));
        bytes memory mirrored =
            abi.encodePacked(r, bytes32(CURVE_ORDER - uint256(s)), v == 27 ? 28 : 27);
        vm.expectRevert(
            abi.encodeWithSignature("ECDSAInvalidSignatureS(bytes32)", CURVE_ORDER - uint256(s))
        );
        there.transmitter.receiveMessage(message, mirrored);
    }

    function test_con_05_two_attesters_sign_in_ascending_order() public {
        vm.startPrank(operator);
        there.transmitter.enableAttester(vm.addr(SECOND_KEY));
        there.transmitter.setSignatureThreshold(2);
        vm.stopPrank();
        bytes memory first = attested();
        bytes memory second = Cctp.attest(SECOND_KEY, message);
        if (vm.addr(ATTESTER_KEY) > vm.addr(SECOND_KEY)) (first, second) = (second, first);
        refuses(first, "Invalid attestation length");
        refuses(bytes.concat(second, first), "Invalid signature order or dupe");
        refuses(bytes.concat(first, first), "Invalid signature order or dupe");
        there.transmitter.receiveMessage(message, bytes.concat(first, second));
    }

    function test_con_16_only_the_operator_manages() public {
        vm.startPrank(stranger);
        notOwner();
        there.transmitter.enableAttester(stranger);
        notOwner();
        there.transmitter.disableAttester(vm.addr(ATTESTER_KEY));
        notOwner();
        there.transmitter.setSignatureThreshold(1);
        notOwner();
        there.messenger.addRemoteTokenMessenger(9, bytes32(uint256(1)));
        notOwner();
        there.messenger.linkTokenPair(stranger, 9, bytes32(uint256(1)));
        notOwner();
        there.messenger.setFeeRecipient(stranger);
        vm.stopPrank();
    }

    function test_con_16_only_the_transmitter_delivers() public {
        expectWords("Invalid message transmitter");
        there.messenger
            .handleReceiveFinalizedMessage(
                HERE, Cctp.word(address(here.messenger)), 2000, bodyOf(message)
            );
    }

    function test_attesters_can_be_replaced_but_never_lost() public {
        vm.startPrank(operator);
        expectWords("Too few enabled attesters");
        there.transmitter.disableAttester(vm.addr(ATTESTER_KEY));
        expectWords("New signature threshold too high");
        there.transmitter.setSignatureThreshold(2);
        expectWords("Invalid signature threshold");
        there.transmitter.setSignatureThreshold(0);
        expectWords("Attester already enabled");
        there.transmitter.enableAttester(vm.addr(ATTESTER_KEY));
        expectWords("New attester must be nonzero");
        there.transmitter.enableAttester(address(0));
        there.transmitter.enableAttester(vm.addr(SECOND_KEY));
        there.transmitter.setSignatureThreshold(2);
        expectWords("Signature threshold is too low");
        there.transmitter.disableAttester(vm.addr(ATTESTER_KEY));
        there.transmitter.setSignatureThreshold(1);
        expectWords("Attester already disabled");
        there.transmitter.disableAttester(stranger);
        there.transmitter.disableAttester(vm.addr(ATTESTER_KEY));
        vm.stopPrank();
        refuses("Invalid signature: not attester");
        there.transmitter.receiveMessage(message, Cctp.attest(SECOND_KEY, message));
    }

    function test_con_12_refuses_to_burn_nonsense() public {
        refusesBurn(0, THERE, merchant, 0, "Amount must be nonzero");
        refusesBurn(5, THERE, address(0), 0, "Mint recipient must be nonzero");
        refusesBurn(5, THERE, merchant, 5, "Max fee must be less than amount");
        refusesBurn(5, 99, merchant, 0, "No TokenMessenger for domain");
        expectWords("Hook data is empty");
        here.messenger
            .depositForBurnWithHook(
                5, THERE, Cctp.word(merchant), address(usdc), bytes32(0), 0, 2000, ""
            );
    }

    function test_links_are_set_once() public {
        vm.startPrank(operator);
        expectWords("TokenMessenger already set");
        here.messenger.addRemoteTokenMessenger(THERE, bytes32(uint256(1)));
        expectWords("bytes32(0) not allowed");
        here.messenger.addRemoteTokenMessenger(9, bytes32(0));
        expectWords("Unable to link token pair, already linked");
        here.messenger.linkTokenPair(stranger, THERE, Cctp.word(address(there.usdc)));
        expectWords("Zero address not allowed");
        here.messenger.setFeeRecipient(address(0));
        vm.stopPrank();
    }

    function test_sends_no_message_to_itself_or_to_nobody() public {
        expectWords("Domain is local domain");
        here.transmitter.sendMessage(HERE, bytes32(uint256(1)), bytes32(0), 2000, "");
        expectWords("Recipient must be nonzero");
        here.transmitter.sendMessage(THERE, bytes32(0), bytes32(0), 2000, "");
    }

    /// @return sentMessage 100.00 to the merchant, at most 100 atomic units of fee.
    function burnt(bytes32 destinationCaller) private returns (bytes memory sentMessage) {
        vm.startPrank(payer);
        usdc.approve(address(here.messenger), 100 * UNIT);
        vm.recordLogs();
        here.messenger
            .depositForBurn(
                100 * UNIT, THERE, Cctp.word(merchant), address(usdc), destinationCaller, 100, 1000
            );
        vm.stopPrank();
        return Cctp.sent(here.transmitter);
    }

    function attested() private view returns (bytes memory) {
        return Cctp.attest(ATTESTER_KEY, message);
    }

    function bodyOf(bytes memory whole) private pure returns (bytes memory body) {
        body = new bytes(whole.length - 148);
        for (uint256 index = 0; index < body.length; index++) {
            body[index] = whole[148 + index];
        }
    }

    function prefix(bytes memory whole, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 index = 0; index < length; index++) {
            part[index] = whole[index];
        }
    }

    function refuses(string memory words) private {
        refuses(attested(), words);
    }

    function refuses(bytes memory attestation, string memory words) private {
        expectWords(words);
        there.transmitter.receiveMessage(message, attestation);
    }

    function refusesBurn(
        uint256 amount,
        uint32 domain,
        address recipient,
        uint256 maxFee,
        string memory words
    ) private {
        expectWords(words);
        here.messenger
            .depositForBurn(
                amount, domain, Cctp.word(recipient), address(usdc), bytes32(0), maxFee, 2000
            );
    }

    function expectWords(string memory words) private {
        vm.expectRevert(abi.encodeWithSignature("Error(string)", words));
    }

    function notOwner() private {
        expectWords("Ownable: caller is not the owner");
    }
}
