// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Vm} from "./Vm.sol";

/// @notice What the tests call on Circle's FiatTokenV2_2 behind its proxy.
interface IFiatToken is IERC20 {
    function changeAdmin(address newAdmin) external;
    function initialize(
        string calldata tokenName,
        string calldata tokenSymbol,
        string calldata tokenCurrency,
        uint8 tokenDecimals,
        address newMasterMinter,
        address newPauser,
        address newBlacklister,
        address newOwner
    ) external;
    function initializeV2(string calldata newName) external;
    function initializeV2_1(address lostAndFound) external;
    function initializeV2_2(address[] calldata accountsToBlacklist, string calldata newSymbol)
        external;
    function configureMinter(address minter, uint256 minterAllowedAmount) external returns (bool);
    function mint(address to, uint256 amount) external returns (bool);
    function blacklist(address account) external;
    function unBlacklist(address account) external;
    function pause() external;
    function symbol() external view returns (string memory);
    function version() external view returns (string memory);
}

/// @notice Deploys USDC from artifacts/usdc.json, in the sequence that README.md gives.
library Usdc {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @param admin The proxy's administrator, who can call nothing else on the token.
    /// @param operator Owner, master minter, minter, pauser and blacklister.
    function deploy(address admin, address operator) internal returns (IFiatToken token) {
        string memory artifact = vm.readFile("artifacts/usdc.json");
        bytes memory implementation = linked(artifact, deployChecker(artifact));
        token = IFiatToken(
            create(
                abi.encodePacked(
                    vm.parseJsonBytes(artifact, ".contracts.FiatTokenProxy.bytecode"),
                    abi.encode(create(implementation))
                )
            )
        );
        token.changeAdmin(admin);
        token.initialize("USD Coin", "USDC", "USD", 6, operator, operator, operator, operator);
        token.initializeV2("USD Coin");
        token.initializeV2_1(operator);
        token.initializeV2_2(new address[](0), "USDC");
        vm.prank(operator);
        token.configureMinter(operator, type(uint256).max);
    }

    function deployChecker(string memory artifact) private returns (address) {
        return create(vm.parseJsonBytes(artifact, ".contracts.SignatureChecker.bytecode"));
    }

    /// @dev Every placeholder `__$…$__` of the template is the address of SignatureChecker.
    function linked(string memory artifact, address checker) private pure returns (bytes memory) {
        string memory template = vm.parseJsonString(artifact, ".contracts.FiatTokenV2_2.bytecode");
        string memory marker = vm.split(template, "__")[1];
        string memory address_ = vm.replace(vm.toString(checker), "0x", "");
        return vm.parseBytes(vm.replace(template, string.concat("__", marker, "__"), address_));
    }

    function create(bytes memory code) private returns (address deployed) {
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        require(deployed != address(0), "deployment failed");
    }
}
