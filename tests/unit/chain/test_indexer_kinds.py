"""Every kind of log through the indexer: each is seen, final, taken back and lost as payments are,
and no transfer of a watched sender is missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import structlog

from gstable_server.chain.facts import FactWhat, HoldLog, LogKind, TransferLog
from gstable_server.chain.indexer import Indexer, NetworkHalted, Step
from gstable_server.chain.operations import unwatch_transfer, watch_transfer
from gstable_server.chain.rpc import Header, Log, LogFilter, ProviderLied, RangeTooLarge
from gstable_server.chain.testing import FakeChain
from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Database
from tests.unit.chain.indexing import FINAL, LOST, REORGED, SEEN, drain, facts_of, tip_of, told
from tests.unit.chain.logs import (
    NETWORK,
    ONE_OF_EACH,
    RAILS,
    SENDER,
    captured,
    filled,
    paid,
    routed,
    transferred,
)

pytestmark = pytest.mark.anyio

TX = b"\x77" * 32
every_kind = pytest.mark.parametrize("kind", LogKind)


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain(NETWORK)


@pytest.fixture
async def indexer(database: Database, chain: FakeChain) -> Indexer:
    await watch(database)
    return Indexer(database, NETWORK, [chain], RAILS)


async def watch(database: Database, network: str = "fake", sender: Address = SENDER) -> None:
    async with database.begin() as tx:
        await watch_transfer(tx, network, sender)


async def whats(database: Database, kind: LogKind) -> list[FactWhat]:
    return [fact.what for fact in await facts_of(database) if fact.log.kind is kind]


@every_kind
async def test_log_of_every_kind_is_seen_and_final_and_told_as_its_event(
    database: Database, chain: FakeChain, indexer: Indexer, kind: LogKind
) -> None:
    chain.mine_logs([ONE_OF_EACH[kind](TX)])
    chain.mine_empty(2)
    await drain(indexer)
    assert await whats(database, kind) == [SEEN, FINAL]
    heard = await told(database)
    assert [fact.event_type for fact in heard] == [f"chain.{kind}_seen", f"chain.{kind}_final"]
    assert heard == await facts_of(database)


@every_kind
async def test_chn_16_log_of_every_kind_is_taken_back_and_seen_again_under_its_name(
    database: Database, chain: FakeChain, indexer: Indexer, kind: LogKind
) -> None:
    chain.mine_logs([ONE_OF_EACH[kind](TX)])
    await drain(indexer)
    chain.take_back(1)
    chain.mine()
    again = chain.mine_logs([ONE_OF_EACH[kind](TX)])
    chain.mine_empty(2)
    await drain(indexer)
    assert await whats(database, kind) == [SEEN, REORGED, SEEN, FINAL]
    found = [fact.log for fact in await facts_of(database)]
    assert len({log.object_id for log in found}) == 1
    assert found[-1].block_hash == again.hash


@every_kind
async def test_chn_16_log_of_every_kind_that_does_not_come_back_is_lost(
    database: Database, chain: FakeChain, indexer: Indexer, kind: LogKind
) -> None:
    chain.mine_logs([ONE_OF_EACH[kind](TX)])
    await drain(indexer)
    chain.take_back(1)
    chain.mine_empty(10)
    await drain(indexer)
    assert await whats(database, kind) == [SEEN, REORGED, LOST]


@every_kind
async def test_chn_16_final_log_of_every_kind_taken_back_halts_the_network(
    database: Database, chain: FakeChain, indexer: Indexer, kind: LogKind
) -> None:
    chain.mine_logs([ONE_OF_EACH[kind](TX)])
    chain.mine_empty(2)
    await drain(indexer)
    chain.take_back(3)
    chain.mine_empty(10)
    with pytest.raises(NetworkHalted, match="final log"):
        await drain(indexer)
    assert await whats(database, kind) == [SEEN, FINAL]


@every_kind
async def test_chn_05_transaction_in_two_blocks_is_a_lie_for_every_kind(
    database: Database, chain: FakeChain, indexer: Indexer, kind: LogKind
) -> None:
    chain.mine_logs([ONE_OF_EACH[kind](TX)])
    chain.mine_empty(5)
    chain.mine_logs([ONE_OF_EACH[kind](TX)])
    with pytest.raises(ProviderLied, match="two blocks"):
        await drain(indexer)
    assert await whats(database, kind) == [SEEN, FINAL]


async def test_chn_05_hold_captured_twice_in_one_transaction_is_two_logs_through_a_reorganisation(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    logs = [captured(TX, 1_000_000), captured(TX, 2_000_000)]
    chain.mine_logs(logs)
    await drain(indexer)
    chain.take_back(1)
    chain.mine()
    chain.mine_logs([paid(TX), *logs])
    chain.mine_empty(2)
    await drain(indexer)
    for amount, position in ((1_000_000, 0), (2_000_000, 1)):
        about = [
            fact
            for fact in await facts_of(database)
            if isinstance(fact.log, HoldLog) and fact.log.amount == amount
        ]
        assert [fact.what for fact in about] == [SEEN, REORGED, SEEN, FINAL]
        assert {fact.log.log_position for fact in about} == {position}


async def test_chn_05_a_log_handed_over_twice_is_a_lie_where_repetition_would_count(
    database: Database,
) -> None:
    class Repeating(FakeChain):
        async def logs_of_block(
            self, block_hash: bytes, filters: Sequence[LogFilter]
        ) -> tuple[Log, ...]:
            return await super().logs_of_block(block_hash, filters) * 2

    chain = Repeating(NETWORK)
    chain.mine_logs([captured(TX)])
    with pytest.raises(ProviderLied, match="twice"):
        await drain(Indexer(database, NETWORK, [chain], RAILS))
    assert await facts_of(database) == []


async def test_chn_26_delivery_is_told_although_its_payment_was_not_read_yet(
    database: Database,
) -> None:
    """The networks are read apart, and nothing of one waits for the other."""
    here = FakeChain(NETWORK)
    there = FakeChain(replace(NETWORK, name="elsewhere", chain_id=1337002))
    here.mine_logs([routed(TX)])
    here.mine_empty(2)
    there.mine_logs([filled(b"\x78" * 32)])
    there.mine_empty(2)
    await drain(Indexer(database, there.network, [there], RAILS))
    delivery = await told(database)
    await drain(Indexer(database, here.network, [here], RAILS))
    payment = await told(database)
    types = [fact.event_type for fact in (*delivery, *payment)]
    assert types[:2] == ["chain.delivery_seen", "chain.delivery_final"]
    assert types[2:] == ["chain.payment_seen", "chain.payment_final"]
    assert len({fact.log.subject for fact in (*delivery, *payment)}) == 2


async def test_chn_02_payment_over_an_unknown_rail_is_logged_critical_and_not_credited(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    chain.mine_logs([routed(TX, Address(b"\x99" * 20))])
    with structlog.testing.capture_logs() as logged:
        await drain(indexer)
    assert await facts_of(database) == []
    assert indexer.foreign_events == 1
    [alarm] = [entry for entry in logged if entry["log_level"] == "critical"]
    assert (alarm["network"], alarm["tx"]) == ("fake", "0x" + TX.hex())


# Watched transfers.


async def test_transfers_are_told_only_while_their_sender_is_watched(
    database: Database, chain: FakeChain
) -> None:
    indexer = Indexer(database, NETWORK, [chain], RAILS)

    async def transfer() -> int:
        chain.mine_logs([transferred(chain.payment().tx_hash)])
        await drain(indexer)
        return (await whats(database, LogKind.TRANSFER)).count(SEEN)

    assert await transfer() == 0
    await watch(database)
    assert await transfer() == 1
    await watch(database)
    await watch(database, network="another")
    async with database.begin() as tx:
        await unwatch_transfer(tx, "fake", SENDER)
    assert await transfer() == 2
    async with database.begin() as tx:
        await unwatch_transfer(tx, "fake", SENDER)
    assert await transfer() == 2
    async with database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM chain_transfer_watches") == 1


async def test_watch_that_was_not_begun_cannot_be_ended(database: Database) -> None:
    with pytest.raises(AssertionError):
        async with database.begin() as tx:
            await unwatch_transfer(tx, "fake", SENDER)


async def test_transfers_of_others_in_the_same_block_are_not_told(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    stranger = Address(b"\x98" * 20)
    chain.mine_logs([transferred(TX, 1, stranger), transferred(TX, 2), transferred(TX, 3)])
    await drain(indexer)
    logs = [fact.log for fact in await facts_of(database)]
    assert [log.amount for log in logs if isinstance(log, TransferLog)] == [2, 3]
    assert [log.log_position for log in logs] == [0, 1]
    assert {log.subject for log in logs} == {f"fake:0x{SENDER.hex()}"}


class Hurried(FakeChain):
    """A transfer is watched, sent and mined while an answer is awaited that may show its block."""

    def __init__(self, database: Database) -> None:
        super().__init__(NETWORK)
        self._database = database
        self.hurry_in = ""
        self.blocks_behind = 0
        self.blocks_taken_back = 0

    async def _asked(self, method: str) -> None:
        if method == self.hurry_in:
            self.hurry_in = ""
            if self.blocks_taken_back:
                self.take_back(self.blocks_taken_back)
            await watch(self._database)
            self.mine_logs([transferred(TX)])
            self.mine_empty(self.blocks_behind)

    async def block_and_next(self, number: int) -> tuple[Header, Header | None]:
        await self._asked("block_and_next")
        return await super().block_and_next(number)

    async def block_number(self) -> int:
        await self._asked("block_number")
        return await super().block_number()

    async def blocks_by_number(self, numbers: Sequence[int]) -> tuple[Header | None, ...]:
        await self._asked("blocks_by_number")
        return await super().blocks_by_number(numbers)

    async def logs_in_range(
        self, first: int, last: int, filters: Sequence[LogFilter]
    ) -> tuple[Log, ...]:
        await self._asked("logs_in_range")
        return await super().logs_in_range(first, last, filters)


async def test_transfer_prepared_while_its_block_is_asked_for_is_not_missed(
    database: Database,
) -> None:
    chain = Hurried(database)
    indexer = Indexer(database, NETWORK, [chain], RAILS)
    await drain(indexer)
    chain.hurry_in = "block_and_next"
    assert await indexer.converge() is Step.ADVANCED
    assert await whats(database, LogKind.TRANSFER) == [SEEN]


async def test_chn_19_transfer_prepared_while_the_head_is_asked_for_is_not_missed(
    database: Database,
) -> None:
    chain = Hurried(database)
    indexer = Indexer(database, NETWORK, [chain], RAILS)
    await drain(indexer)
    chain.mine()
    chain.hurry_in, chain.blocks_behind = "block_number", 200
    assert await indexer.converge() is Step.ADVANCED
    assert "logs_in_range" in chain.asked
    assert await whats(database, LogKind.TRANSFER) == [SEEN, FINAL]


@pytest.mark.parametrize("asked", ["logs_in_range", "blocks_by_number"])
async def test_chn_16_transfer_prepared_while_a_range_is_replaced_is_not_missed(
    database: Database, asked: str
) -> None:
    chain = Hurried(database)
    indexer = Indexer(database, NETWORK, [chain], RAILS)
    await drain(indexer)
    chain.mine_empty(100)
    chain.hurry_in, chain.blocks_taken_back, chain.blocks_behind = asked, 100, 120
    await drain(indexer)
    assert (await whats(database, LogKind.TRANSFER))[-1:] == [FINAL]


async def test_transfer_prepared_while_the_first_block_is_asked_for_is_not_missed(
    database: Database,
) -> None:
    chain = Hurried(database)
    chain.blocks.clear()
    chain.hurry_in = "blocks_by_number"
    await drain(Indexer(database, NETWORK, [chain], RAILS))
    assert await whats(database, LogKind.TRANSFER) == [SEEN]


async def test_chn_19_watched_transfers_are_told_while_catching_up_in_ranges(
    database: Database, chain: FakeChain
) -> None:
    network = replace(NETWORK, log_range=50)
    amounts = list(range(1, 21))
    for amount in amounts:
        chain.mine_empty(9)
        chain.mine_logs([transferred(chain.payment().tx_hash, amount)])
    await watch(database)
    indexer = Indexer(database, network, [chain], RAILS)
    await drain(indexer)
    assert "logs_in_range" in chain.asked
    found = [fact.log for fact in await facts_of(database) if fact.what is SEEN]
    assert [log.amount for log in found if isinstance(log, TransferLog)] == amounts


async def test_chn_15_range_with_too_many_transfers_is_made_smaller(database: Database) -> None:
    class Limited(FakeChain):
        async def logs_in_range(
            self, first: int, last: int, filters: Sequence[LogFilter]
        ) -> tuple[Log, ...]:
            logs = await super().logs_in_range(first, last, filters)
            if len(logs) > 3:
                raise RangeTooLarge("at most 3 logs")
            return logs

    chain = Limited(NETWORK)
    for _ in range(100):
        chain.mine_logs([transferred(chain.payment().tx_hash)])
    chain.mine_empty(70)
    await watch(database)
    indexer = Indexer(database, NETWORK, [chain], RAILS)
    for _ in range(1000):
        try:
            if await indexer.converge() is Step.NOTHING_NEW:
                break
        except RangeTooLarge:
            continue
    assert await tip_of(database) == 170
    assert (await whats(database, LogKind.TRANSFER)).count(FINAL) == 100
