// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A caller of `OddToken` that is told of a transfer before it happens.
interface ITransferHook {
    function beforeTransfer() external;
}

/// @notice An ERC-20 token that misbehaves in a chosen way towards one chosen receiver, or
///         towards everybody (the zero address).
contract OddToken {
    enum Oddity {
        None,
        Reverts,
        RevertsWithHugeData,
        ReturnsFalse,
        ReturnsTwo,
        ReturnsNothing,
        OnlyPretends,
        TakesOnePercent,
        BurnsAllGas,
        TellsPayerFirst,
        TellsReceiverFirst,
        DebitsOneMore,
        RevertsSilently,
        ReturnsHugeData,
        ReturnsShortData,
        MovesAndReturnsFalse,
        TakesEverything,
        MovesHalf,
        CreditsOneMore,
        CreditsSomebodyElse,
        DebitsNothing,
        HalvesBalances,
        DoublesBalances,
        HidesBalances,
        TellsOneBalance,
        HidesAllowances,
        KeepsAllowances,
        RefusesSmallAmounts
    }

    address private constant SOMEBODY = address(0x50fa);

    uint8 public decimals = 6;
    mapping(address account => uint256) private _balances;
    mapping(address account => mapping(address spender => uint256)) private _allowances;
    Oddity private _oddity;
    address private _victim;
    bool private _rebased;

    function mint(address to, uint256 amount) external {
        _balances[to] += amount;
    }

    function setDecimals(uint8 decimals_) external {
        decimals = decimals_;
    }

    function misbehave(Oddity oddity, address victim) external {
        (_oddity, _victim, _rebased) = (oddity, victim, false);
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        _allowances[msg.sender][spender] = amount;
        return true;
    }

    /// @dev EIP-2612 as far as a collector sees it; the signature is not looked at.
    function permit(
        address holder,
        address spender,
        uint256 amount,
        uint256,
        uint8,
        bytes32,
        bytes32
    ) external {
        _allowances[holder][spender] = amount;
    }

    /// @dev EIP-3009 as far as a collector sees it; the signature is not looked at.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 amount,
        uint256,
        uint256,
        bytes32,
        bytes calldata
    ) external {
        require(msg.sender == to, "odd: not the payee");
        _transfer(from, to, amount);
    }

    function transfer(address to, uint256 amount) external {
        _transfer(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        if (_odd(to) != Oddity.KeepsAllowances) _allowances[from][msg.sender] -= amount;
        _transfer(from, to, amount);
    }

    function balanceOf(address account) external view returns (uint256 amount) {
        Oddity oddity = _odd(account);
        if (oddity == Oddity.HidesBalances) revert("odd");
        if (oddity == Oddity.TellsOneBalance) return 1_000_000_000;
        amount = _balances[account];
        if (_rebased && oddity == Oddity.HalvesBalances) return amount / 2;
        if (_rebased && oddity == Oddity.DoublesBalances) return amount * 2;
    }

    /// @dev What the books say, whatever is told.
    function trueBalanceOf(address account) external view returns (uint256) {
        return _balances[account];
    }

    function allowance(address account, address spender) external view returns (uint256) {
        if (_oddity == Oddity.HidesAllowances) revert("odd");
        return _allowances[account][spender];
    }

    /// @dev Answers the call itself, so that it can answer anything.
    function _transfer(address from, address to, uint256 amount) private {
        Oddity oddity = _odd(to);
        _refuse(oddity, amount);
        if (oddity == Oddity.ReturnsFalse) _answer(0, 32);
        if (oddity == Oddity.OnlyPretends) _answer(1, 32);
        if (oddity == Oddity.TellsPayerFirst) ITransferHook(from).beforeTransfer();
        if (oddity == Oddity.TellsReceiverFirst) ITransferHook(to).beforeTransfer();
        _move(oddity, from, to, amount);
        _rebased = true;
        if (oddity == Oddity.ReturnsTwo) _answer(2, 32);
        if (oddity == Oddity.ReturnsHugeData) _answer(1, 100_000);
        if (oddity == Oddity.ReturnsShortData) _answer(1, 31);
        if (oddity == Oddity.MovesAndReturnsFalse) _answer(0, 32);
        if (oddity != Oddity.ReturnsNothing) _answer(1, 32);
    }

    function _refuse(Oddity oddity, uint256 amount) private pure {
        if (oddity == Oddity.Reverts) revert("odd");
        if (oddity == Oddity.RevertsSilently) _revertWith(0);
        if (oddity == Oddity.RevertsWithHugeData) _revertWith(100_000);
        if (oddity == Oddity.BurnsAllGas) _burnGas();
        if (oddity == Oddity.RefusesSmallAmounts) require(amount > 1e6, "odd");
    }

    function _move(Oddity oddity, address from, address to, uint256 amount) private {
        if (oddity == Oddity.MovesHalf) amount /= 2;
        if (oddity != Oddity.DebitsNothing) _balances[from] -= amount;
        if (oddity == Oddity.DebitsOneMore) _balances[from] -= 1;
        if (oddity == Oddity.CreditsOneMore) amount += 1;
        if (oddity == Oddity.TakesOnePercent) amount -= amount / 100;
        if (oddity == Oddity.TakesEverything) amount = 0;
        _balances[oddity == Oddity.CreditsSomebodyElse ? SOMEBODY : to] += amount;
    }

    function _odd(address account) private view returns (Oddity) {
        return account == _victim || _victim == address(0) ? _oddity : Oddity.None;
    }

    function _answer(uint256 word, uint256 size) private pure {
        assembly ("memory-safe") {
            let start := mload(0x40)
            mstore(start, word)
            return(start, size)
        }
    }

    function _revertWith(uint256 size) private pure {
        assembly ("memory-safe") {
            revert(0, size)
        }
    }

    function _burnGas() private pure {
        assembly ("memory-safe") {
            invalid()
        }
    }
}
