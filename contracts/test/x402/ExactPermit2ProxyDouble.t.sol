// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CollectorTest} from "../support/CollectorTest.sol";

/// @notice The proxy of x402 as its clients know it.
interface IExactPermit2Proxy {
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct Permit {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    struct Witness {
        address to;
        uint256 validAfter;
    }

    function settle(
        Permit calldata permit,
        address owner,
        Witness calldata witness,
        bytes calldata signature
    ) external;
}

/// @notice The double moves what was signed to whom was signed, and nothing else.
contract ExactPermit2ProxyDoubleTest is CollectorTest {
    IExactPermit2Proxy private proxy;
    IExactPermit2Proxy.Permit private wanted;
    IExactPermit2Proxy.Witness private witness;

    function setUp() public override {
        super.setUp();
        string memory path = "ExactPermit2ProxyDouble.sol:ExactPermit2ProxyDouble";
        proxy = IExactPermit2Proxy(vm.deployCode(path, ""));
        IExactPermit2Proxy.TokenPermissions memory permitted =
            IExactPermit2Proxy.TokenPermissions(address(usdt), 7 * UNIT);
        wanted = IExactPermit2Proxy.Permit(permitted, 5, LATER);
        witness = IExactPermit2Proxy.Witness(stranger, NOW);
    }

    function test_moves_exactly_what_was_signed_once() public {
        bytes memory signature = signedWith(PAYER_KEY, hash());
        settle(signature);
        vm.assertEq(balance(address(usdt), payer), FUNDS - 7 * UNIT, "payer");
        vm.assertEq(balance(address(usdt), stranger), 7 * UNIT, "receiver");
        vm.assertEq(balance(address(usdt), address(proxy)), 0, "proxy");
        vm.expectRevert(bytes4(keccak256("InvalidNonce()")));
        settle(signature);
    }

    function test_nobody_else_gets_it() public {
        bytes memory signature = signedWith(PAYER_KEY, hash());
        witness.to = relayer;
        vm.expectRevert(bytes4(keccak256("InvalidSigner()")));
        settle(signature);
    }

    function test_refuses_before_its_time_and_without_a_receiver() public {
        witness.validAfter = NOW + 1;
        bytes memory signature = signedWith(PAYER_KEY, hash());
        vm.expectRevert(bytes4(keccak256("PaymentTooEarly()")));
        settle(signature);
        witness.to = address(0);
        signature = signedWith(PAYER_KEY, hash());
        vm.expectRevert(bytes4(keccak256("InvalidDestination()")));
        settle(signature);
    }

    function settle(bytes memory signature) private {
        (IExactPermit2Proxy.Permit memory permit_, IExactPermit2Proxy.Witness memory witness_) =
            (wanted, witness);
        vm.prank(relayer);
        proxy.settle(permit_, payer, witness_, signature);
    }

    /// @dev What an x402 client signs.
    function hash() private view returns (bytes32) {
        bytes32 permission = keccak256(
            abi.encode(
                keccak256("TokenPermissions(address token,uint256 amount)"),
                wanted.permitted.token,
                wanted.permitted.amount
            )
        );
        bytes32 receiver = keccak256(
            abi.encode(
                keccak256("Witness(address to,uint256 validAfter)"), witness.to, witness.validAfter
            )
        );
        return typed(
            PERMIT2,
            keccak256(
                abi.encode(
                    keccak256(
                        "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,"
                        "uint256 nonce,uint256 deadline,Witness witness)"
                        "TokenPermissions(address token,uint256 amount)"
                        "Witness(address to,uint256 validAfter)"
                    ),
                    permission,
                    proxy,
                    wanted.nonce,
                    wanted.deadline,
                    receiver
                )
            )
        );
    }
}
