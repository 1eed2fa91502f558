// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPaymentRouter} from "../../src/interfaces/IPaymentRouter.sol";
import {CollectorTest} from "../support/CollectorTest.sol";
import {ContractWallet, WalletFactory} from "../support/Wallets.sol";

/// @notice Contract wallets as payers: deployed (EIP-1271), and not yet (ERC-6492).
contract ContractWalletsTest is CollectorTest {
    bytes32 private constant SUFFIX =
        0x6492649264926492649264926492649264926492649264926492649264926492;

    WalletFactory private factory;
    ContractWallet private wallet;

    function setUp() public override {
        super.setUp();
        factory = new WalletFactory();
        wallet = new ContractWallet(vm.addr(PAYER_KEY));
        fund(address(wallet), 100 * UNIT);
        wallet.execute(
            address(usdc), abi.encodeWithSelector(usdc.approve.selector, PERMIT2, 100 * UNIT)
        );
    }

    function test_a_contract_wallet_pays_by_authorization() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        expectPaid(order, address(wallet), order.merchantAmount, order.feeAmount);
        payWith(order, address(wallet), erc3009, authorized(order, address(wallet)));
        movedExactly(order, address(wallet), 100 * UNIT, order.feeAmount);
    }

    function test_a_contract_wallet_pays_by_permit2() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        expectPaid(order, address(wallet), order.merchantAmount, order.feeAmount);
        payWith(order, address(wallet), permit2, transferred(order, address(wallet)));
        movedExactly(order, address(wallet), 100 * UNIT, order.feeAmount);
    }

    function test_con_06_wallets_that_do_not_agree_pay_nothing() public {
        ContractWallet.Answer[5] memory answers = [
            ContractWallet.Answer.Wrong,
            ContractWallet.Answer.Zero,
            ContractWallet.Answer.Reverts,
            ContractWallet.Answer.Bytes31,
            ContractWallet.Answer.BurnsGas
        ];
        for (uint256 index = 0; index < answers.length; index++) {
            wallet.answer(answers[index]);
            fails(erc3009, authorized(orderIn(address(usdc)), address(wallet)));
            fails(permit2, transferred(orderIn(address(usdc)), address(wallet)));
        }
    }

    function test_con_06_long_answers_are_read_as_far_as_they_matter() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        wallet.answer(ContractWallet.Answer.Bytes33);
        payWith(order, address(wallet), erc3009, authorized(order, address(wallet)));
        fund(address(wallet), 100 * UNIT);
        wallet.answer(ContractWallet.Answer.Megabyte);
        order.sessionKey = keccak256("second");
        payWith(order, address(wallet), permit2, transferred(order, address(wallet)));
    }

    function test_con_06_a_wallet_that_changes_its_answer_pays_once() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory data = authorized(order, address(wallet));
        wallet.answer(ContractWallet.Answer.Wrong);
        fails(erc3009, data);
        wallet.answer(ContractWallet.Answer.Magic);
        payWith(order, address(wallet), erc3009, data);
        refusesWith(
            order,
            address(wallet),
            erc3009,
            data,
            abi.encodeWithSelector(IPaymentRouter.AlreadyPaid.selector, order.sessionKey)
        );
    }

    /// @dev Both wallets take any signature of their common key over the bare hash.
    function test_con_07_a_signature_of_one_wallet_takes_nothing_from_its_twin() public {
        ContractWallet twin = new ContractWallet(vm.addr(PAYER_KEY));
        fund(address(twin), 100 * UNIT);
        twin.execute(
            address(usdc), abi.encodeWithSelector(usdc.approve.selector, PERMIT2, 100 * UNIT)
        );
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        refusesWith(
            order,
            address(twin),
            erc3009,
            authorized(order, address(wallet)),
            abi.encodeWithSignature("Error(string)", "FiatTokenV2: invalid signature")
        );
        refusesWith(
            order,
            address(twin),
            permit2,
            transferred(order, address(wallet)),
            abi.encodeWithSignature("InvalidContractSignature()")
        );
    }

    function test_a_wallet_is_deployed_by_its_first_payment() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        address future = factory.addressOf(vm.addr(PAYER_KEY));
        fund(future, 100 * UNIT);
        expectPaid(order, future, order.merchantAmount, order.feeAmount);
        payWith(order, future, erc3009, wrapped(authorized(order, future), deployment()));
        vm.assertTrue(future.code.length != 0, "deployed");
        movedExactly(order, future, 100 * UNIT, order.feeAmount);
        // With the same wrapping, now that the wallet exists.
        fund(future, 100 * UNIT);
        ContractWallet(future)
            .execute(
                address(usdc), abi.encodeWithSelector(usdc.approve.selector, PERMIT2, 100 * UNIT)
            );
        order.sessionKey = keccak256("second");
        bytes memory signature = wrapped(signedTransfer(order, future), deployment());
        payWith(order, future, permit2, abi.encodePacked(uint256(0), signature));
        vm.assertEq(balance(address(usdc), future), 0, "paid twice, for two sessions");
    }

    function test_con_07_an_undeployed_twin_pays_nothing_on_the_others_signature() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        address future = factory.addressOf(vm.addr(PAYER_KEY));
        fund(future, 100 * UNIT);
        refusesWith(
            order,
            future,
            erc3009,
            wrapped(authorized(order, address(wallet)), deployment()),
            abi.encodeWithSignature("Error(string)", "FiatTokenV2: invalid signature")
        );
        vm.assertEq(future.code.length, 0, "deployed for nothing");
    }

    function test_refuses_instructions_that_deploy_no_wallet() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        address future = factory.addressOf(vm.addr(PAYER_KEY));
        fund(future, 100 * UNIT);
        bytes memory reason = abi.encodeWithSignature(
            "WalletNotDeployed(address,address)", future, address(factory)
        );
        bytes memory data = authorized(order, future);
        bytes memory pretence = abi.encodeCall(WalletFactory.pretend, ());
        refusesWith(order, future, erc3009, wrapped(data, pretence), reason);
        refusesWith(order, future, erc3009, wrapped(data, hex"00000000"), reason);
    }

    /// @dev The deployer calls what it is told to, so it must be nobody to everybody.
    function test_con_16_the_wallet_deployer_is_powerless() public {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory theft =
            abi.encodeWithSelector(usdc.transferFrom.selector, payer, stranger, FUNDS);
        address future = factory.addressOf(vm.addr(PAYER_KEY));
        bytes memory inner = authorized(order, future);
        refusesWith(
            order,
            future,
            erc3009,
            bytes.concat(abi.encode(address(usdc), theft, inner), SUFFIX),
            abi.encodeWithSignature("WalletNotDeployed(address,address)", future, address(usdc))
        );
        vm.assertEq(balance(address(usdc), payer), FUNDS, "payer");
    }

    function authorized(IPaymentRouter.PaymentOrder memory order, address account)
        private
        view
        returns (bytes memory)
    {
        bytes32 hash = authorization(
            account, order.token, order.merchantAmount + order.feeAmount, router.digestOf(order)
        );
        return signedWith(PAYER_KEY, hash);
    }

    function transferred(IPaymentRouter.PaymentOrder memory order, address account)
        private
        view
        returns (bytes memory)
    {
        return abi.encodePacked(uint256(0), signedTransfer(order, account));
    }

    function signedTransfer(IPaymentRouter.PaymentOrder memory order, address account)
        private
        view
        returns (bytes memory)
    {
        bytes32 hash = transferHash(
            account, order.token, order.merchantAmount, order.feeAmount, router.digestOf(order), 0
        );
        return signedWith(PAYER_KEY, hash);
    }

    function deployment() private pure returns (bytes memory) {
        return abi.encodeCall(WalletFactory.deploy, (vm.addr(PAYER_KEY)));
    }

    /// @dev Wrapped for ERC-6492.
    function wrapped(bytes memory inner, bytes memory instructions)
        private
        view
        returns (bytes memory)
    {
        return bytes.concat(abi.encode(address(factory), instructions, inner), SUFFIX);
    }

    function fails(address collector_, bytes memory data) private {
        IPaymentRouter.PaymentOrder memory order = orderIn(address(usdc));
        bytes memory signature = signed(order);
        vm.prank(relayer);
        (bool success,) = address(router).call{gas: 3_000_000}(
            abi.encodeCall(
                IPaymentRouter.payWith, (order, signature, address(wallet), collector_, data)
            )
        );
        vm.assertTrue(!success, "a wallet that did not agree paid");
        vm.assertEq(balance(address(usdc), address(wallet)), 100 * UNIT, "wallet");
        vm.assertEq(router.paid(order.sessionKey), false, "paid");
    }
}
