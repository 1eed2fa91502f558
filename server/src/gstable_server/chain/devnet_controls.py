"""What may be done to local chains by anybody who knows where they are: slow one down, take a
payment back, hold up a transfer between two. For development only.

Whoever does so may die at any moment. A chain that was slowed goes on slowly until ``hurry``; a
delay ends by itself; a reorganisation is one call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from gstable_server.chain.devnet import BLOCK_SECONDS, PLANS
from gstable_server.chain.devnet_attester import DELAY_PATH
from gstable_server.chain.http_rpc import HttpRpc, open_rpc
from gstable_server.chain.machine import is_deep
from gstable_server.chain.networks import Network
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing

CHAIN_IDS = frozenset(plan.site.chain_id for plan in PLANS)
SLOW_SECONDS = 10
"""Between two blocks of a chain that was slowed: long enough to look at one, and no standstill."""


class ControlFailed(Exception):
    """A local chain did not do what was asked; the text says why."""


def is_local(network: Network) -> bool:
    """Whether it is one of our local chains, whose ids no real network has."""
    return network.chain_id in CHAIN_IDS


async def hurry(rpc: HttpRpc) -> None:
    """A block every second again."""
    await rpc.ask([("evm_setIntervalMining", [BLOCK_SECONDS])])


@asynccontextmanager
async def slowed(network: Network) -> AsyncIterator[HttpRpc]:
    """Until the end of the block, the chain grows by ``mine_waiting`` and hardly otherwise."""
    async with open_rpc(network) as rpc:
        await rpc.ask([("evm_setIntervalMining", [SLOW_SECONDS])])
        try:
            yield rpc
        finally:
            await hurry(rpc)


async def mine_waiting(rpc: HttpRpc) -> None:
    """Add one block if any transaction waits for it."""
    [waiting] = await rpc.ask([("txpool_status", [])])
    if int(waiting["pending"], 16):
        await rpc.ask([("evm_mine", [])])


async def take_back(rpc: HttpRpc, network: Network, tx_hash: bytes, sender: Address) -> None:
    """Replace the newest blocks from the transaction's on by as many others that hold the same
    transactions, but none of ``sender``'s.

    Raises ``ControlFailed`` when it is not mined, or final: a final payment cannot be taken back.
    """
    receipt = await rpc.receipt(tx_hash)
    tip = await rpc.block_number()
    if receipt is None:
        raise ControlFailed("the payment is not in a block")
    if is_deep(receipt.block_number, tip, network.confirmations):
        raise ControlFailed("the payment was final before it could be taken back")
    numbers = range(receipt.block_number, tip + 1)
    blocks = await rpc.ask([("eth_getBlockByNumber", [hex(number), True]) for number in numbers])
    others = [
        (transaction["hash"], place)
        for place, block in enumerate(blocks)
        for transaction in block["transactions"]
        if transaction["from"].lower() != f"0x{sender.hex()}"
    ]
    kept = []
    for name, place in others:
        [raw] = await rpc.ask([("eth_getRawTransactionByHash", [name])])
        kept.append([raw, place])
    await rpc.ask([("anvil_reorg", [len(numbers), kept])])


async def delay_transfer(
    http: aiohttp.ClientSession, source: Network, session_key: bytes, seconds: int
) -> None:
    """Have what pays that session from ``source`` through Circle's protocol attested only in so
    many seconds. Raises ``Passing`` when the local service does not answer."""
    assert source.cctp is not None, "every local chain has the transfer protocol"
    path = DELAY_PATH.format(hook=session_key.hex(), seconds=seconds)
    try:
        async with http.post(source.cctp.attestation_url + path) as response:
            if response.status != 200:
                raise Passing(f"the local attestation service answered {response.status}")
    except aiohttp.ClientError as failure:
        raise Passing("the local attestation service does not answer") from failure
