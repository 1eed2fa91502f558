"""One suite judges ``FakeNode`` and ``HttpNode`` in front of a real node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import pytest

from gstable_server.chain.checksum import keccak256
from gstable_server.chain.executor.node import Node
from gstable_server.chain.executor.testing import FakeNode
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rpc import NodeRefused
from gstable_server.chain.signer import SignedTx, TxSigner
from gstable_server.chain.testing import fake_network
from tests.unit.chain.executor.local_chain import (
    COUNTER,
    ETHER,
    GWEI,
    KEY,
    REVERTING,
    LocalChain,
    anvil,
    local_chain,
)

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]


class World(Protocol):
    """A chain with the means to make things happen on it."""

    node: Node

    async def mine(self, blocks: int = 1) -> None: ...

    async def take_back(self, depth: int) -> None: ...

    async def give(self, amount: int) -> None: ...


class FakeWorld:
    def __init__(self) -> None:
        self.fake = FakeNode(fake_network())
        self.fake.reverting.add(REVERTING)
        self.node: Node = self.fake

    async def mine(self, blocks: int = 1) -> None:
        self.fake.mine(blocks)

    async def take_back(self, depth: int) -> None:
        self.fake.take_back(depth)

    async def give(self, amount: int) -> None:
        self.fake.balances[TxSigner(KEY).address] = amount


class AnvilWorld:
    def __init__(self, chain: LocalChain) -> None:
        self.chain = chain
        self.node: Node = chain.node

    async def mine(self, blocks: int = 1) -> None:
        await self.chain.mine(blocks)

    async def take_back(self, depth: int) -> None:
        await self.chain.ask("anvil_reorg", depth, [])

    async def give(self, amount: int) -> None:
        await self.chain.give(amount)


@pytest.fixture(scope="module")
def node_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with anvil(tmp_path_factory.mktemp("node"), "--no-mining") as url:
        yield url


@pytest.fixture(params=["fake", "real"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        fake = FakeWorld()
        await fake.give(ETHER)
        yield fake
        return
    url: str = request.getfixturevalue("node_url")
    async with local_chain(url) as chain:
        snapshot = await chain.ask("evm_snapshot")
        await chain.prepare()
        await chain.give(ETHER)
        yield AnvilWorld(chain)
        await chain.ask("anvil_dropAllTransactions")
        assert await chain.ask("evm_revert", snapshot)


SIGNER = TxSigner(KEY)


def signed(nonce: int, *, to: bytes = COUNTER, fee: int = 10 * GWEI) -> SignedTx:
    call = ContractCall(COUNTER if to == COUNTER else REVERTING, keccak256(b"%d" % nonce))
    chain_id = fake_network().chain_id
    return SIGNER.sign(call, chain_id, nonce=nonce, gas=60_000, fee=fee, tip=GWEI)


async def test_waiting_counts_the_unbroken_row_of_the_pool(world: World) -> None:
    before = await world.node.account(SIGNER.address)
    assert (before.mined, before.waiting, before.balance) == (0, 0, ETHER)
    assert before.base_fee > 0
    await world.node.send_raw(signed(0).raw)
    await world.node.send_raw(signed(2).raw)
    assert (await world.node.account(SIGNER.address)).waiting == 1
    await world.node.send_raw(signed(1).raw)
    assert (await world.node.account(SIGNER.address)).waiting == 3
    await world.mine()
    after = await world.node.account(SIGNER.address)
    assert (after.mined, after.waiting, after.head) == (3, 3, before.head + 1)
    assert after.balance < ETHER


async def test_a_receipt_names_its_canonical_block(world: World) -> None:
    one, two = signed(0), signed(1, to=REVERTING)
    assert await world.node.send_raw(one.raw) == one.tx_hash
    await world.node.send_raw(two.raw)
    assert await world.node.receipts([one.tx_hash]) == (None,)
    await world.mine()
    done, failed, unknown = await world.node.receipts([one.tx_hash, two.tx_hash, b"\x66" * 32])
    assert done is not None
    assert failed is not None
    assert unknown is None
    assert (done.succeeded, failed.succeeded) == (True, False)
    [header, missing] = await world.node.blocks_by_number(
        [done.block_number, done.block_number + 1]
    )
    assert header is not None
    assert (header.number, header.hash) == (done.block_number, done.block_hash)
    assert missing is None


async def test_a_block_that_is_taken_back_takes_its_receipts_along(world: World) -> None:
    one = signed(0)
    await world.node.send_raw(one.raw)
    await world.mine()
    [receipt] = await world.node.receipts([one.tx_hash])
    assert receipt is not None
    await world.take_back(1)
    assert await world.node.receipts([one.tx_hash]) == (None,)
    [header] = await world.node.blocks_by_number([receipt.block_number])
    assert header is not None
    assert header.hash != receipt.block_hash
    account = await world.node.account(SIGNER.address)
    assert (account.mined, account.waiting) == (0, 0)


async def test_a_call_that_would_revert_is_refused(world: World) -> None:
    assert await world.node.estimate_gas(SIGNER.address, COUNTER, bytes(32), 0) >= 21_000
    with pytest.raises(NodeRefused, match="revert"):
        await world.node.estimate_gas(SIGNER.address, REVERTING, b"", 0)


async def test_refusals_say_what_they_are(world: World) -> None:
    await world.node.send_raw(signed(0).raw)
    with pytest.raises(NodeRefused, match="already"):
        await world.node.send_raw(signed(0).raw)
    with pytest.raises(NodeRefused, match="underpriced"):
        await world.node.send_raw(signed(0, fee=5 * GWEI).raw)
    await world.mine()
    with pytest.raises(NodeRefused, match="nonce too low"):
        await world.node.send_raw(signed(0, fee=20 * GWEI).raw)
    await world.give(0)
    with pytest.raises(NodeRefused, match=r"(?i)insufficient funds"):
        await world.node.send_raw(signed(1).raw)


async def test_a_dearer_transaction_takes_the_place_of_a_cheaper_one(world: World) -> None:
    cheap = signed(0)
    await world.node.send_raw(cheap.raw)
    dear = SIGNER.sign(
        ContractCall(COUNTER, bytes(32)), fake_network().chain_id,
        nonce=0, gas=60_000, fee=20 * GWEI, tip=2 * GWEI,
    )  # fmt: skip
    await world.node.send_raw(dear.raw)
    await world.mine()
    lost, won = await world.node.receipts([cheap.tx_hash, dear.tx_hash])
    assert lost is None
    assert won is not None


async def test_who_used_a_nonce_can_be_found(world: World) -> None:
    await world.mine()
    first = (await world.node.account(SIGNER.address)).head
    one = signed(0)
    await world.node.send_raw(one.raw)
    await world.mine(2)
    assert await world.node.mined_at(SIGNER.address, first) == 0
    assert await world.node.mined_at(SIGNER.address, first + 1) == 1
    spent = await world.node.spent_in(first + 1, SIGNER.address, 0)
    assert spent is not None
    assert (spent.tx_hash, spent.block_number) == (one.tx_hash, first + 1)
    [header] = await world.node.blocks_by_number([first + 1])
    assert header is not None
    assert spent.block_hash == header.hash
    assert await world.node.spent_in(first + 2, SIGNER.address, 0) is None
    assert await world.node.spent_in(first + 1, SIGNER.address, 1) is None
