// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RouterTest} from "./support/RouterTest.sol";

/// @notice What was tested here is what the committed artifacts deploy.
contract ArtifactsTest is RouterTest {
    function test_artifacts_hold_the_tested_code() public view {
        holdsTestedCode("PaymentRouter");
        holdsTestedCode("TetherDouble");
        holdsTestedCode("PermitCollector");
        holdsTestedCode("DepositCollector");
        holdsTestedCode("DepositWallet");
        holdsTestedCode("SignatureProbe");
        holdsTestedCode("ExactPermit2ProxyDouble");
    }

    function test_artifacts_of_rails_hold_the_tested_code() public view {
        holdsTestedCode("CctpRail");
        holdsTestedCode("EscrowRail");
        holdsTestedCode("HoldRail");
        holdsTestedCode("SwapRail");
        holdsTestedCode("MessageTransmitterDouble");
        holdsTestedCode("TokenMessengerDouble");
    }

    function test_usdc_is_circles_version_2() public view {
        vm.assertEq(bytes(usdc.symbol()), bytes("USDC"), "symbol");
        vm.assertEq(bytes(usdc.version()), bytes("2"), "version");
    }

    function holdsTestedCode(string memory name) private view {
        string memory artifact = vm.readFile(string.concat("artifacts/", name, ".json"));
        vm.assertEq(
            vm.parseJsonBytes(artifact, ".bytecode"),
            vm.getCode(string.concat(name, ".sol:", name)),
            string.concat("run `node contracts/compile.mjs`: ", name)
        );
    }
}
