// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IDepositCollector} from "../interfaces/IDepositCollector.sol";
import {IPaymentRouter} from "../interfaces/IPaymentRouter.sol";
import {ITokenCollector} from "../interfaces/ITokenCollector.sol";
import {DepositWallet} from "./DepositWallet.sol";

/// @title Collects what was sent to an address that commits to one session.
/// @dev Its constructor takes nothing that differs between networks, so that one deterministic
///      deployment puts it, its wallet and all deposits at the same addresses everywhere. That
///      is why the router comes later; once set, it stays.
contract DepositCollector is IDepositCollector {
    /// @inheritdoc IDepositCollector
    address public immutable walletImplementation = address(new DepositWallet());

    /// @inheritdoc IDepositCollector
    address public immutable owner;

    /// @inheritdoc IDepositCollector
    address public router;

    /// @param owner_ Sets the router, once.
    constructor(address owner_) {
        owner = owner_;
    }

    /// @inheritdoc IDepositCollector
    function setRouter(address router_) external {
        require(msg.sender == owner, NotTheOwner(msg.sender));
        require(router == address(0) && router_.code.length != 0, RouterNotSettable(router_));
        router = router_;
        emit RouterSet(router_);
    }

    /// @inheritdoc ITokenCollector
    /// @param data abi.encode(DepositTerms); the payer is the address of these terms.
    function collect(Collection calldata collection, bytes calldata data)
        external
        returns (uint256 feeReceived)
    {
        require(msg.sender == router, NotTheRouter(msg.sender));
        DepositTerms memory terms = abi.decode(data, (DepositTerms));
        _requireSameTerms(collection, terms);
        DepositWallet wallet = _wallet(terms);
        require(
            collection.payer == address(wallet), NotTheDeposit(collection.payer, address(wallet))
        );
        address token = collection.token;
        require(
            wallet.send(token, collection.receiver, collection.amount),
            IPaymentRouter.TransferFailed(
                token, collection.payer, collection.receiver, collection.amount
            )
        );
        uint256 feeAmount = collection.feeAmount;
        if (feeAmount == 0) return 0;
        if (wallet.send(token, collection.feeReceiver, feeAmount)) return feeAmount;
        uint256 available = IERC20(token).balanceOf(address(wallet));
        require(available >= feeAmount, IPaymentRouter.FeeNotFunded(available, feeAmount));
    }

    /// @inheritdoc IDepositCollector
    function recover(DepositTerms calldata terms, address token)
        external
        returns (uint256 amount)
    {
        require(
            block.timestamp > terms.refundableAfter,
            NotYetRecoverable(terms.refundableAfter, block.timestamp)
        );
        DepositWallet wallet = _wallet(terms);
        amount = _balance(token, address(wallet));
        address refundTo = terms.refundTo;
        require(amount != 0 && refundTo != address(0), NothingToRecover(token, refundTo));
        require(
            wallet.send(token, refundTo, amount),
            IPaymentRouter.TransferFailed(token, address(wallet), refundTo, amount)
        );
        emit Recovered(terms.sessionKey, refundTo, token, amount);
    }

    /// @inheritdoc IDepositCollector
    function addressOf(DepositTerms calldata terms) external view returns (address) {
        return Clones.predictDeterministicAddress(walletImplementation, _salt(terms));
    }

    /// @inheritdoc IDepositCollector
    function balances(address[] calldata accounts, address[] calldata tokens)
        external
        view
        returns (uint256[] memory amounts)
    {
        amounts = new uint256[](accounts.length * tokens.length);
        for (uint256 index = 0; index < amounts.length; index++) {
            amounts[index] =
                _balance(tokens[index % tokens.length], accounts[index / tokens.length]);
        }
    }

    /// @dev The contract at the deposit address, deployed when it is first needed.
    function _wallet(DepositTerms memory terms) private returns (DepositWallet) {
        bytes32 salt = _salt(terms);
        address wallet = Clones.predictDeterministicAddress(walletImplementation, salt);
        // What it returns is the address that was computed a line before.
        // slither-disable-next-line unused-return
        if (wallet.code.length == 0) Clones.cloneDeterministic(walletImplementation, salt);
        return DepositWallet(payable(wallet));
    }

    function _balance(address token, address account) private view returns (uint256) {
        return token == address(0) ? account.balance : IERC20(token).balanceOf(account);
    }

    /// @dev The amounts are not compared: what a deposit is worth is the platform's word.
    function _requireSameTerms(Collection calldata collection, DepositTerms memory terms)
        private
        pure
    {
        require(
            collection.sessionKey == terms.sessionKey && collection.merchant == terms.merchant
                && collection.settlementChainId == terms.settlementChainId
                && collection.settlementToken == terms.settlementToken
                && (collection.feeAmount == 0 || collection.feeReceiver == terms.feeReceiver),
            OrderDiffers(terms.sessionKey)
        );
    }

    function _salt(DepositTerms memory terms) private pure returns (bytes32) {
        return keccak256(abi.encode(terms));
    }
}
