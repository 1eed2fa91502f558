// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A caller of `OddToken` that is told of a transfer before it happens.
interface ITransferHook {
    function beforeTransfer() external;
}

/// @notice An ERC-20 token that misbehaves in a chosen way towards one chosen receiver.
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
        DebitsOneMore
    }

    mapping(address account => uint256) public balanceOf;
    mapping(address account => mapping(address spender => uint256)) public allowance;
    Oddity private _oddity;
    address private _victim;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function misbehave(Oddity oddity, address victim) external {
        _oddity = oddity;
        _victim = victim;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external {
        _transfer(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        _transfer(from, to, amount);
    }

    /// @dev Answers the call itself, so that it can answer anything.
    function _transfer(address from, address to, uint256 amount) private {
        Oddity oddity = to == _victim ? _oddity : Oddity.None;
        if (oddity == Oddity.Reverts) revert("odd");
        if (oddity == Oddity.RevertsWithHugeData) _revertWith(100_000);
        if (oddity == Oddity.ReturnsFalse) _answer(0);
        if (oddity == Oddity.OnlyPretends) _answer(1);
        if (oddity == Oddity.BurnsAllGas) _burnGas();
        if (oddity == Oddity.TellsPayerFirst) ITransferHook(from).beforeTransfer();
        if (oddity == Oddity.TellsReceiverFirst) ITransferHook(to).beforeTransfer();
        balanceOf[from] -= amount;
        balanceOf[to] += oddity == Oddity.TakesOnePercent ? amount - amount / 100 : amount;
        if (oddity == Oddity.DebitsOneMore) balanceOf[from] -= 1;
        if (oddity == Oddity.ReturnsTwo) _answer(2);
        if (oddity != Oddity.ReturnsNothing) _answer(1);
    }

    function _answer(uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(0, word)
            return(0, 0x20)
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
