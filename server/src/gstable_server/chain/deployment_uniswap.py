"""Uniswap v3 on a local chain, from the bytecode that Uniswap published."""

from __future__ import annotations

from pathlib import Path

from gstable_server.chain import abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.deployment_script import Script, creation_code, load_artifact
from gstable_server.kernel.address import Address

POOL_FEE = 100
"""Hundredths of a basis point: 0.01 %, what pools of two stablecoins take."""
POOL_TICK_SPACING = 1
POOL_TICKS = 20
"""The liquidity lies 0.2 % to both sides of the price."""
POOL_TOKENS = 50_000_000
"""Whole tokens of each kind: a swap of a million moves the price by less than 0.01 %."""
PRICE_ONE = 2**96
"""The square root of the price 1, as the pools count it (64.96 bits)."""
FOREVER = 2**64
NOBODY = Address(keccak256(b"wrapped native coin, which no pool here holds")[12:])

MINT = "mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))"


def swap_router_with_pool(script: Script, node_modules: Path, *tokens: Address) -> Address:
    """Deploy factory, router and a pool of two ``tokens``, 6 decimals each, at price 1; the
    router's address. The script's sender must have ``POOL_TOKENS`` of each."""
    periphery = node_modules / "@uniswap/v3-periphery/artifacts/contracts"
    core = node_modules / "@uniswap/v3-core/artifacts/contracts"
    factory = script.create(_code(core, "UniswapV3Factory"))
    words = abi.address_word(factory), abi.address_word(NOBODY)
    router = script.create(_code(periphery, "SwapRouter"), *words)
    positions = script.create(
        _code(periphery, "NonfungiblePositionManager"), *words, abi.address_word(NOBODY)
    )
    fee = abi.number_word(POOL_FEE)
    script.call(factory, "enableFeeAmount(uint24,int24)", fee, abi.number_word(POOL_TICK_SPACING))
    pair = [abi.address_word(token) for token in sorted(tokens)]
    price = abi.number_word(PRICE_ONE)
    script.call(
        positions,
        "createAndInitializePoolIfNecessary(address,address,uint24,uint160)",
        *pair,
        fee,
        price,
    )
    amount = abi.number_word(POOL_TOKENS * 10**6)
    for token in tokens:
        script.call(token, abi.APPROVE, abi.address_word(positions), amount)
    script.call(
        positions,
        MINT,
        *pair,
        fee,
        abi.number_word(-POOL_TICKS % 2**256),
        abi.number_word(POOL_TICKS),
        *(amount, amount, bytes(abi.WORD), bytes(abi.WORD)),
        abi.address_word(script.sender),
        abi.number_word(FOREVER),
    )
    return router


def _code(folder: Path, name: str) -> bytes:
    return creation_code(load_artifact(folder / f"{name}.sol/{name}.json"))
