// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Behaves like USDT on Ethereum, for tests and local chains only.
/// @notice What callers trip over is kept: no return values; `approve` from one non-zero
///         allowance to another reverts; an owner may switch on a fee on transfers, stop the
///         token and blacklist senders (receivers are not looked at); refusals carry no data,
///         and too small a balance or allowance is an invalid opcode that burns the gas given.
///         Left out: the upgrade path (`deprecate`).
contract TetherDouble {
    string public constant name = "Tether USD";
    string public constant symbol = "USDT";
    uint256 public constant decimals = 6;

    uint256 private constant MAX_SETTABLE_BASIS_POINTS = 20;
    uint256 private constant MAX_SETTABLE_FEE = 50;

    address public owner;
    bool public paused;
    uint256 public totalSupply;
    uint256 public basisPointsRate;
    uint256 public maximumFee;
    mapping(address account => uint256) public balanceOf;
    mapping(address account => mapping(address spender => uint256)) public allowance;
    mapping(address account => bool) public isBlackListed;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    event Issue(uint256 amount);
    event Redeem(uint256 amount);
    event Params(uint256 feeBasisPoints, uint256 maxFee);
    event AddedBlackList(address user);
    event RemovedBlackList(address user);
    event DestroyedBlackFunds(address blackListedUser, uint256 balance);
    event Pause();
    event Unpause();

    modifier onlyOwner() {
        require(msg.sender == owner);
        _;
    }

    modifier whenNotPaused() {
        require(!paused);
        _;
    }

    /// @param initialSupply Atomic units, credited to the deployer, who becomes the owner.
    constructor(uint256 initialSupply) {
        owner = msg.sender;
        totalSupply = initialSupply;
        balanceOf[msg.sender] = initialSupply;
        emit Transfer(address(0), msg.sender, initialSupply);
    }

    // No return values here and below: so it is with USDT, and this is what the double is for.
    // slither-disable-start erc20-interface

    function transfer(address to, uint256 value) external whenNotPaused {
        require(!isBlackListed[msg.sender]);
        _move(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external whenNotPaused {
        require(!isBlackListed[from]);
        mapping(address spender => uint256) storage allowances = allowance[from];
        uint256 allowed = allowances[msg.sender];
        if (allowed < type(uint256).max) allowances[msg.sender] = _subtract(allowed, value);
        _move(from, to, value);
    }

    function approve(address spender, uint256 value) external {
        require(value == 0 || allowance[msg.sender][spender] == 0);
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
    }

    // slither-disable-end erc20-interface

    /// @notice Create `amount` atomic units and credit them to the owner.
    function issue(uint256 amount) external onlyOwner {
        totalSupply += amount;
        balanceOf[owner] += amount;
        emit Issue(amount);
        emit Transfer(address(0), owner, amount);
    }

    /// @notice Destroy `amount` atomic units of the owner.
    function redeem(uint256 amount) external onlyOwner {
        totalSupply = _subtract(totalSupply, amount);
        balanceOf[owner] = _subtract(balanceOf[owner], amount);
        emit Redeem(amount);
        emit Transfer(owner, address(0), amount);
    }

    /// @notice Switch the fee on transfers: basis points below 20, and at most `maxFee` whole
    ///         tokens a transfer (below 50). The receiver gets that much less, the owner gets it.
    function setParams(uint256 basisPoints, uint256 maxFee) external onlyOwner {
        require(basisPoints < MAX_SETTABLE_BASIS_POINTS);
        require(maxFee < MAX_SETTABLE_FEE);
        basisPointsRate = basisPoints;
        maximumFee = maxFee * 10 ** decimals;
        emit Params(basisPointsRate, maximumFee);
    }

    function addBlackList(address user) external onlyOwner {
        isBlackListed[user] = true;
        emit AddedBlackList(user);
    }

    function removeBlackList(address user) external onlyOwner {
        isBlackListed[user] = false;
        emit RemovedBlackList(user);
    }

    function destroyBlackFunds(address user) external onlyOwner {
        require(isBlackListed[user]);
        uint256 balance = balanceOf[user];
        balanceOf[user] = 0;
        totalSupply -= balance;
        emit DestroyedBlackFunds(user, balance);
    }

    function pause() external onlyOwner whenNotPaused {
        paused = true;
        emit Pause();
    }

    function unpause() external onlyOwner {
        require(paused);
        paused = false;
        emit Unpause();
    }

    function transferOwnership(address newOwner) external onlyOwner {
        if (newOwner != address(0)) owner = newOwner;
    }

    function _move(address from, address to, uint256 value) private {
        uint256 fee = value * basisPointsRate / 10_000;
        if (fee > maximumFee) fee = maximumFee;
        balanceOf[from] = _subtract(balanceOf[from], value);
        balanceOf[to] += value - fee;
        if (fee > 0) {
            balanceOf[owner] += fee;
            emit Transfer(from, owner, fee);
        }
        emit Transfer(from, to, value - fee);
    }

    function _subtract(uint256 left, uint256 right) private pure returns (uint256) {
        if (right > left) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        return left - right;
    }
}
