// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Vm} from "../support/Vm.sol";

/// @notice A token that does exactly what ERC-20 says, so that a proof is about our arithmetic.
contract PlainToken {
    mapping(address account => uint256) public balanceOf;
    mapping(address account => mapping(address spender => uint256)) public allowance;

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}

/// @notice What the proofs share. halmos runs each `check_` function once, with its parameters
///         standing for every value at once; forge does not run them. A signature is made by
///         `sign`, because a solver may invent one otherwise: that nobody can forge one is the
///         assumption, and not what is proved.
abstract contract SymbolicTest {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint256 internal constant SIGNER_KEY = 0x1111;
    uint256 private constant HALF_OF_THE_CURVES_ORDER =
        0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;
    uint256 internal constant FUNDS = type(uint192).max;
    address internal constant PAYER = address(0xa1);
    address internal constant MERCHANT = address(0xa2);
    address internal constant FEE_RECEIVER = address(0xa3);
    address internal constant STRANGER = address(0xa4);

    PlainToken internal token;

    /// @dev halmos knows no `vm.deployCode`, and finds a file only where it was told to look.
    function deploy(string memory name, bytes memory arguments)
        internal
        returns (address deployed)
    {
        string memory path = string.concat("out/symbolic/", name, ".sol/", name, ".json");
        bytes memory code = bytes.concat(vm.getCode(path), arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 32), mload(code))
        }
        assert(deployed != address(0));
    }

    function deployToken() internal {
        token = new PlainToken();
        token.mint(PAYER, FUNDS);
    }

    /// @dev In the one accepted form; halmos signs in both.
    function signed(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        vm.assume(uint256(s) <= HALF_OF_THE_CURVES_ORDER);
        return abi.encodePacked(r, s, v);
    }
}
