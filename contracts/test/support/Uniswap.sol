// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Vm} from "./Vm.sol";

/// @notice What the tests call on Uniswap's version 3 factory.
interface IUniswapFactory {
    function enableFeeAmount(uint24 fee, int24 tickSpacing) external;
    function createPool(address tokenA, address tokenB, uint24 fee) external returns (address);
    function getPool(address tokenA, address tokenB, uint24 fee) external view returns (address);
}

/// @notice What the tests call on one of its pools.
interface IUniswapPool {
    function initialize(uint160 sqrtPriceX96) external;
    function mint(
        address recipient,
        int24 tickLower,
        int24 tickUpper,
        uint128 amount,
        bytes calldata data
    ) external returns (uint256 amount0, uint256 amount1);
    function token0() external view returns (address);
    function token1() external view returns (address);
}

/// @notice Gives a pool liquidity out of its own balance.
contract LiquidityProvider {
    using SafeERC20 for IERC20;

    /// @notice Between the prices 0.95 and 1.05.
    function provide(IUniswapPool pool, uint128 liquidity) external {
        pool.mint(address(this), -500, 500, liquidity, "");
    }

    function uniswapV3MintCallback(uint256 amount0, uint256 amount1, bytes calldata) external {
        IUniswapPool pool = IUniswapPool(msg.sender);
        IERC20(pool.token0()).safeTransfer(msg.sender, amount0);
        IERC20(pool.token1()).safeTransfer(msg.sender, amount1);
    }
}

/// @notice Uniswap version 3 from the bytecode that its npm packages publish.
library Uniswap {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    string private constant PACKAGES = "../node_modules/@uniswap/";
    uint160 private constant PRICE_OF_ONE = 2 ** 96;
    uint24 internal constant POOL_FEE = 100;

    function deploy() internal returns (IUniswapFactory factory, address swapRouter) {
        factory = IUniswapFactory(
            create("v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json", "")
        );
        factory.enableFeeAmount(POOL_FEE, 1);
        // The second argument is wrapped ether, which no swap between tokens touches.
        swapRouter = create(
            "v3-periphery/artifacts/contracts/SwapRouter.sol/SwapRouter.json",
            abi.encode(factory, address(factory))
        );
    }

    /// @notice A pool of two tokens at the price 1, without liquidity.
    function openPool(IUniswapFactory factory, address tokenA, address tokenB)
        internal
        returns (IUniswapPool pool)
    {
        pool = IUniswapPool(factory.createPool(tokenA, tokenB, POOL_FEE));
        pool.initialize(PRICE_OF_ONE);
    }

    function create(string memory path, bytes memory arguments)
        private
        returns (address deployed)
    {
        string memory artifact = vm.readFile(string.concat(PACKAGES, path));
        bytes memory code = bytes.concat(vm.parseJsonBytes(artifact, ".bytecode"), arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        require(deployed != address(0), "deployment failed");
    }
}
