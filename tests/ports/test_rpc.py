"""One suite judges ``FakeChain`` and ``HttpRpc`` in front of a real node."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Protocol

import pytest

from gstable_server.chain import abi
from gstable_server.chain.abi.payments import PAID, TRANSFERRED
from gstable_server.chain.completeness import (
    LogsIncomplete,
    bloom_of,
    logs_of,
    may_contain,
    receipts_root,
)
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.networks import Network
from gstable_server.chain.orders import (
    OrderSigner,
    PaymentOrder,
    approve_call,
    pay_call,
    session_key,
)
from gstable_server.chain.rpc import LogFilter, NodeRefused, Rpc, UnknownBlock
from gstable_server.chain.testing import FakeChain, event_log, fake_network
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds

pytestmark = pytest.mark.anyio

NOBODY = Address(b"\x77" * 20)
STRANGER = Address(b"\x79" * 20)
UNKNOWN = b"\x88" * 32
ONE_BYTE = bytes.fromhex("600160005360016000f3")
"""MSTORE8 a one, RETURN it."""
FAR_FUTURE = UnixSeconds(4_000_000_000)


class World(Protocol):
    """A chain with the means to make things happen on it."""

    network: Network
    rpc: Rpc
    payer: Address
    """Who made the last payment."""

    async def pay(self) -> tuple[bytes, int]:
        """Make a payment; its session key and the number of its block."""

    async def mine(self, blocks: int) -> None: ...

    async def reorganise(self, depth: int) -> None: ...


class FakeWorld:
    def __init__(self) -> None:
        self.network = fake_network()
        self.chain = FakeChain(self.network)
        self.rpc: Rpc = self.chain
        self.payer = NOBODY
        self.chain.programs[ONE_BYTE] = b"\x01"
        signer = abi.call_data(abi.IS_SIGNER, abi.address_word(NOBODY))
        self.chain.returns[self.network.router, signer] = abi.number_word(0)

    async def pay(self) -> tuple[bytes, int]:
        payment = replace(self.chain.payment(), payer=Address(os.urandom(20)))
        self.payer = payment.payer
        token, tx_hash = self.network.tokens[0].address, payment.tx_hash
        legs = (payment.merchant, 990_000), (payment.fee_receiver, 5_000)
        moved = [event_log(TRANSFERRED, token, tx_hash, self.payer, *leg) for leg in legs]
        block = self.chain.mine_logs([*moved, payment.log(self.network.router)])
        return payment.session_key, block.number

    async def mine(self, blocks: int) -> None:
        self.chain.mine_empty(blocks)

    async def reorganise(self, depth: int) -> None:
        self.chain.take_back(depth)
        self.chain.mine_empty(depth)


class AnvilWorld:
    def __init__(self, devnet: Devnet, signer: OrderSigner, stack: AsyncExitStack) -> None:
        self.network = devnet.networks.network("polygon")
        self._devnet = devnet
        self._signer = signer
        self._stack = stack
        self.payer = NOBODY

    async def open(self) -> None:
        await self._stack.enter_async_context(self._devnet.standing_still("polygon"))
        self._http = await self._stack.enter_async_context(self._devnet.rpc("polygon"))
        self.rpc: Rpc = self._http

    async def pay(self) -> tuple[bytes, int]:
        wallet = Wallet(os.urandom(32), self._http, self.network.chain_id)
        self.payer = wallet.address
        token = self.network.tokens[0]
        await self._devnet.set_balance("polygon", wallet.address, 10**18)
        await self._devnet.fund("polygon", wallet.address, token.symbol, 1_000_000)
        key = session_key(os.urandom(8).hex())
        order = PaymentOrder(key, Address(b"\x02" * 20), token, 990_000, 5_000, NOBODY, FAR_FUTURE)
        approve = approve_call(token, self.network.router, order.total)
        await wallet.send(approve)
        await self.mine(1)
        paid = await wallet.send(pay_call(self._signer.sign(order, self.network)))
        await self.mine(1)
        receipt = await wallet.wait(paid)
        assert receipt.succeeded
        return key, receipt.block_number

    async def mine(self, blocks: int) -> None:
        await self._devnet.mine("polygon", blocks)

    async def reorganise(self, depth: int) -> None:
        await self._devnet.reorganise("polygon", depth)


@pytest.fixture(params=["fake", pytest.param("anvil", marks=pytest.mark.anvil)])
async def world(
    request: pytest.FixtureRequest, devnet: Devnet, order_signer: OrderSigner
) -> AsyncIterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    async with AsyncExitStack() as stack:
        world = AnvilWorld(devnet, order_signer, stack)
        await world.open()
        await world.mine(1)
        yield world


def router_logs(world: World) -> list[LogFilter]:
    return [LogFilter((world.network.router,))]


def transfers_of(world: World, sender: Address) -> LogFilter:
    tokens = tuple(token.address for token in world.network.tokens)
    return LogFilter(tokens, ((TRANSFERRED.topic,), (abi.address_word(sender),)))


async def test_chain_id_is_the_configured_one(world: World) -> None:
    assert await world.rpc.chain_id() == world.network.chain_id


async def test_blocks_are_linked_and_missing_ones_are_none(world: World) -> None:
    await world.mine(3)
    head = await world.rpc.block_number()
    blocks = await world.rpc.blocks_by_number((head - 1, head, head + 1000))
    assert [block and block.number for block in blocks] == [head - 1, head, None]
    assert blocks[0] is not None
    assert blocks[1] is not None
    assert blocks[1].parent_hash == blocks[0].hash
    assert await world.rpc.blocks_by_number(()) == ()


async def test_many_blocks_are_answered_in_the_order_asked(world: World) -> None:
    await world.mine(150)
    head = await world.rpc.block_number()
    numbers = [head - 120 + place for place in range(120)][::-1]
    blocks = await world.rpc.blocks_by_number(numbers)
    assert [block and block.number for block in blocks] == numbers


async def test_block_and_next_are_parent_and_child(world: World) -> None:
    await world.mine(2)
    head = await world.rpc.block_number()
    here, following = await world.rpc.block_and_next(head - 1)
    assert following is not None
    assert (here.number, following.parent_hash) == (head - 1, here.hash)


async def test_next_of_the_newest_block_is_none_and_beyond_is_unknown(world: World) -> None:
    with pytest.raises(UnknownBlock):
        await world.rpc.block_and_next(await world.rpc.block_number() + 1000)


async def test_payment_is_in_the_logs_of_its_block_and_only_there(world: World) -> None:
    key, number = await world.pay()
    [before, block] = await world.rpc.blocks_by_number((number - 1, number))
    assert before is not None
    assert block is not None
    [log] = await world.rpc.logs_of_block(block.hash, router_logs(world))
    assert log.topics[:2] == (PAID.topic, key)
    assert (log.block_hash, log.block_number) == (block.hash, number)
    assert log.address == world.network.router
    assert await world.rpc.logs_of_block(before.hash, router_logs(world)) == ()
    assert await world.rpc.logs_of_block(block.hash, [LogFilter((NOBODY,))]) == ()


async def test_transfers_are_found_by_their_sender_beside_the_logs_of_contracts(
    world: World,
) -> None:
    _, number = await world.pay()
    [block] = await world.rpc.blocks_by_number((number,))
    assert block is not None
    transfers = transfers_of(world, world.payer)
    logs = await world.rpc.logs_of_block(block.hash, [*router_logs(world), transfers])
    token, router = world.network.tokens[0].address, world.network.router
    assert [log.address for log in logs] == [token, token, router]
    assert [log.log_index for log in logs] == sorted(log.log_index for log in logs)
    moved = [TRANSFERRED.read(log) for log in logs[:2]]
    assert [each and (each[0], each[2]) for each in moved] == [
        (world.payer, 990_000),
        (world.payer, 5_000),
    ]
    assert await world.rpc.logs_in_range(number, number, [*router_logs(world), transfers]) == logs
    assert await world.rpc.logs_of_block(block.hash, [transfers_of(world, NOBODY)]) == ()


async def test_chn_05_log_that_several_filters_admit_comes_once(world: World) -> None:
    _, number = await world.pay()
    [block] = await world.rpc.blocks_by_number((number,))
    assert block is not None
    wide = LogFilter((world.network.router, NOBODY, world.network.tokens[0].address))
    narrow = LogFilter((world.network.router,), ((PAID.topic, TRANSFERRED.topic),))
    filters = [wide, narrow, transfers_of(world, world.payer)]
    logs = await world.rpc.logs_of_block(block.hash, filters)
    assert len(logs) == 3
    assert await world.rpc.logs_in_range(number, number, filters) == logs
    assert len(await world.rpc.logs_of_block(block.hash, [narrow])) == 1


async def test_chn_12_logs_of_an_unknown_block_are_refused_and_not_empty(world: World) -> None:
    for filters in (router_logs(world), [*router_logs(world), transfers_of(world, NOBODY)]):
        with pytest.raises(UnknownBlock):
            await world.rpc.logs_of_block(UNKNOWN, filters)


async def test_range_has_the_logs_of_its_blocks_both_ends_included(world: World) -> None:
    first_key, first = await world.pay()
    await world.mine(3)
    second_key, second = await world.pay()
    await world.mine(1)

    async def keys(start: int, end: int) -> list[bytes]:
        logs = await world.rpc.logs_in_range(start, end, router_logs(world))
        return [log.topics[1] for log in logs]

    assert await keys(first, second) == [first_key, second_key]
    assert await keys(first + 1, second) == [second_key]
    assert await keys(first, second - 1) == [first_key]
    assert await keys(first + 1, second - 1) == []


async def test_chn_12_range_beyond_the_head_is_refused_and_not_cut_short(world: World) -> None:
    head = await world.rpc.block_number()
    for filters in (router_logs(world), [*router_logs(world), transfers_of(world, NOBODY)]):
        with pytest.raises(UnknownBlock):
            await world.rpc.logs_in_range(head, head + 1000, filters)


async def test_chn_16_block_that_left_the_chain_is_unknown(world: World) -> None:
    _, number = await world.pay()
    [old] = await world.rpc.blocks_by_number((number,))
    assert old is not None
    depth = await world.rpc.block_number() - number + 1
    await world.reorganise(depth)
    [new] = await world.rpc.blocks_by_number((number,))
    assert new is not None
    assert new.hash != old.hash
    assert new.parent_hash == old.parent_hash
    with pytest.raises(UnknownBlock):
        await world.rpc.logs_of_block(old.hash, router_logs(world))
    assert await world.rpc.logs_of_block(new.hash, router_logs(world)) == ()


async def test_chn_11_receipts_and_bloom_are_what_the_block_commits_to(world: World) -> None:
    _, number = await world.pay()
    [before, block] = await world.rpc.blocks_by_number((number - 1, number))
    assert before is not None
    assert block is not None
    receipts = await world.rpc.receipts_of_block(block.hash)
    assert receipts_root(receipts) == block.receipts_root
    logs = logs_of(receipts, block)
    assert bloom_of(logs) == block.logs_bloom
    filters = [*router_logs(world), transfers_of(world, world.payer)]
    asked = await world.rpc.logs_of_block(block.hash, filters)
    assert tuple(log for log in logs if any(each.admits(log) for each in filters)) == asked
    assert may_contain(block.logs_bloom, filters)
    elsewhere = [LogFilter((STRANGER,)), transfers_of(world, STRANGER)]
    assert not may_contain(block.logs_bloom, elsewhere)
    cut = [replace(receipt, logs=receipt.logs[:-1]) for receipt in receipts]
    assert receipts_root(cut) != block.receipts_root
    with pytest.raises(LogsIncomplete):
        logs_of(cut, block)


async def test_block_without_transactions_has_the_root_of_nothing(world: World) -> None:
    await world.mine(1)
    head = await world.rpc.block_number()
    [block] = await world.rpc.blocks_by_number((head,))
    assert block is not None
    assert await world.rpc.receipts_of_block(block.hash) == ()
    assert logs_of((), block) == ()


async def test_chn_12_receipts_of_an_unknown_block_are_refused(world: World) -> None:
    with pytest.raises(UnknownBlock):
        await world.rpc.receipts_of_block(UNKNOWN)


async def test_logs_of_any_contract_are_found_by_their_topics(world: World) -> None:
    _, number = await world.pay()
    anywhere = LogFilter((), transfers_of(world, world.payer).topics)
    logs = await world.rpc.logs_in_range(number, number, [anywhere])
    assert [log.address for log in logs] == [world.network.tokens[0].address] * 2
    with pytest.raises(AssertionError):
        LogFilter((), ((PAID.topic,),))


async def test_code_is_there_or_empty(world: World) -> None:
    assert await world.rpc.code(world.network.router)
    assert await world.rpc.code(NOBODY) == b""


async def test_call_returns_what_the_contract_does(world: World) -> None:
    asked = abi.call_data(abi.IS_SIGNER, abi.address_word(NOBODY))
    assert await world.rpc.call(world.network.router, asked) == abi.number_word(0)
    assert await world.rpc.call(NOBODY, asked) == b""


async def test_code_is_run_and_nothing_is_created(world: World) -> None:
    assert await world.rpc.run(ONE_BYTE, 100_000) == b"\x01"
    with pytest.raises(NodeRefused):
        await world.rpc.run(bytes.fromhex("60006000fd"), 100_000)


async def test_call_that_reverts_is_refused(world: World) -> None:
    with pytest.raises(NodeRefused):
        await world.rpc.call(world.network.router, b"\xde\xad\xbe\xef")
