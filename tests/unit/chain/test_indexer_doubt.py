"""The indexer when the chain turns back, or the provider's answers do not fit together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gstable_server.chain.indexer import Indexer, NetworkHalted, Step
from gstable_server.chain.rpc import (
    Header,
    Log,
    LogFilter,
    ProviderLied,
    RangeTooLarge,
    UnknownBlock,
)
from gstable_server.chain.testing import FakeChain, fake_network
from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Database
from tests.unit.chain.indexing import (
    FINAL,
    LOST,
    NETWORK,
    REORGED,
    SEEN,
    drain,
    facts_of,
    hashes_kept,
    kinds,
    tip_of,
    told,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("depth", [1, 2])
async def test_chn_16_reorganised_payment_is_seen_again_in_its_new_block(
    database: Database, chain: FakeChain, indexer: Indexer, depth: int
) -> None:
    payment = chain.payment()
    chain.mine_empty(5)
    chain.mine(payment)
    chain.mine_empty(depth - 1)
    await drain(indexer)
    chain.take_back(depth)
    chain.mine()
    again = chain.mine(payment)
    chain.mine_empty(4)
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN, REORGED, SEEN, FINAL]
    found = [fact.log for fact in await facts_of(database)]
    assert len({log.object_id for log in found}) == 1
    assert found[-1].block_hash == again.hash
    assert await hashes_kept(database) == [block.header.hash for block in chain.blocks]


async def test_a_block_with_more_logs_than_a_node_sends_is_read_by_its_receipts(
    database: Database, chain: FakeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can fill a block with transfers to us; it must not stop the network."""

    async def refuse(_hash: bytes, _filters: Sequence[LogFilter]) -> tuple[Log, ...]:
        raise RangeTooLarge("query returned more than 10000 results")

    monkeypatch.setattr(chain, "logs_of_block", refuse)
    payment = chain.payment()
    chain.mine(payment)
    chain.mine_empty(2)
    await drain(Indexer(database, NETWORK, [chain], ()))
    assert await kinds(database, payment) == [SEEN, FINAL]


async def test_chn_16_payment_mined_again_in_the_same_height_and_another_place(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    payment, other = chain.payment(), chain.payment()
    chain.mine(payment)
    await drain(indexer)
    chain.take_back(1)
    chain.mine(other, payment)
    chain.mine_empty(4)
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN, REORGED, SEEN, FINAL]
    assert await kinds(database, other) == [SEEN, FINAL]


async def test_chn_16_deep_reorganisation_of_unfinal_blocks_is_taken_back_at_once(
    database: Database,
) -> None:
    network = fake_network(confirmations=350)
    chain = FakeChain(network)
    indexer = Indexer(database, network, [chain], ())
    payments = [chain.payment() for _ in range(30)]
    for payment in payments:
        chain.mine(payment)
        chain.mine_empty(9)
    await drain(indexer)
    chain.take_back(300)
    for payment in reversed(payments):
        chain.mine_empty(9)
        chain.mine(payment)
    await drain(indexer, 1000)
    for payment in payments:
        assert await kinds(database, payment) == [SEEN, REORGED, SEEN]
    assert await hashes_kept(database) == [block.header.hash for block in chain.blocks]


async def test_chn_16_payment_replaced_by_a_double_spend_is_lost_after_its_time(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    payment = chain.payment()
    rival = chain.payment(session_key=payment.session_key)
    chain.mine(payment)
    await drain(indexer)
    chain.take_back(1)
    chain.mine(rival)
    chain.mine_empty(5)
    await drain(indexer)
    assert [(f.what, f.log.tx_hash) for f in await facts_of(database)] == [
        (SEEN, payment.tx_hash),
        (REORGED, payment.tx_hash),
        (SEEN, rival.tx_hash),
        (FINAL, rival.tx_hash),
    ]
    chain.mine_empty(1)
    await drain(indexer)
    assert (await facts_of(database))[-1].what is LOST


async def test_chn_16_lost_payment_that_comes_back_is_seen_under_its_old_name(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    await drain(indexer)
    chain.take_back(1)
    chain.mine_empty(20)
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN, REORGED, LOST]
    chain.mine(payment)
    chain.mine_empty(3)
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN, REORGED, LOST, SEEN, FINAL]
    assert len({fact.log.object_id for fact in await facts_of(database)}) == 1
    assert await told(database) == await facts_of(database)


async def test_chn_16_transaction_that_pays_another_session_when_mined_again(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    first = chain.payment()
    second = replace(chain.payment(), tx_hash=first.tx_hash)
    chain.mine(first)
    await drain(indexer)
    chain.take_back(1)
    chain.mine(second)
    chain.mine_empty(10)
    await drain(indexer)
    assert await kinds(database, first) == [SEEN, REORGED, LOST]
    assert await kinds(database, second) == [SEEN, FINAL]
    assert len({fact.log.object_id for fact in await facts_of(database)}) == 2


async def test_chn_16_final_payment_taken_back_halts_the_network(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    chain.mine_empty(2)
    await drain(indexer)
    chain.take_back(3)
    chain.mine_empty(10)
    with pytest.raises(NetworkHalted, match="final log"):
        await drain(indexer)
    before = await hashes_kept(database)
    with pytest.raises(NetworkHalted):
        await indexer.converge()
    assert await hashes_kept(database) == before
    assert await kinds(database, payment) == [SEEN, FINAL]


async def test_chn_16_chain_that_turns_back_below_what_is_kept_halts(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gstable_server.chain.indexer.KEEP_BLOCKS", 5)
    chain = FakeChain(NETWORK)
    indexer = Indexer(database, NETWORK, [chain], ())
    chain.mine_empty(20)
    await drain(indexer)
    assert len(await hashes_kept(database)) == 6
    chain.take_back(10)
    chain.mine_empty(30)
    with pytest.raises(NetworkHalted, match="below block"):
        await drain(indexer)


async def test_reorganised_first_block_is_read_anew(database: Database) -> None:
    network = replace(NETWORK, start_block=4)
    chain = FakeChain(network)
    payment = chain.payment()
    chain.mine_empty(3)
    chain.mine(payment)
    indexer = Indexer(database, network, [chain], ())
    await drain(indexer)
    chain.take_back(1)
    chain.mine_empty(1)
    chain.mine(payment)
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN, REORGED, SEEN]


async def test_chn_05_same_log_handed_over_again_and_again_is_one_payment(
    database: Database, chain: FakeChain
) -> None:
    class Repeating(FakeChain):
        async def logs_of_block(
            self, block_hash: bytes, filters: Sequence[LogFilter]
        ) -> tuple[Log, ...]:
            return await super().logs_of_block(block_hash, filters) * 1000

    repeating = Repeating(NETWORK)
    payment = repeating.payment()
    repeating.mine(payment)
    repeating.mine_empty(3)
    indexer = Indexer(database, NETWORK, [repeating], ())
    with pytest.raises(ProviderLied):
        await drain(indexer)
    assert await facts_of(database) == []


async def test_chn_05_transaction_in_two_blocks_of_one_chain_is_a_lie(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    chain.mine_empty(5)
    chain.mine(payment)
    with pytest.raises(ProviderLied, match="two blocks"):
        await drain(indexer)
    assert await kinds(database, payment) == [SEEN, FINAL]
    assert await tip_of(database) == 6


async def test_chn_01_foreign_events_are_counted_and_nothing_else(
    database: Database, chain: FakeChain
) -> None:
    class Unfiltered(FakeChain):
        async def logs_of_block(
            self, block_hash: bytes, filters: Sequence[LogFilter]
        ) -> tuple[Log, ...]:
            return next(b.logs for b in self.blocks if b.header.hash == block_hash)

    unfiltered = Unfiltered(NETWORK)
    unfiltered.mine_logs([unfiltered.payment().log(Address(b"\x66" * 20)) for _ in range(7)])
    indexer = Indexer(database, NETWORK, [unfiltered], ())
    await drain(indexer)
    assert indexer.foreign_events == 7
    assert await facts_of(database) == []


async def test_chn_12_lagging_logs_are_waited_for_and_never_taken_for_none(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    chain.log_lag = 0
    assert await indexer.converge() is Step.ADVANCED
    for _ in range(3):
        with pytest.raises(UnknownBlock):
            await indexer.converge()
    assert await tip_of(database) == 0
    chain.log_lag = None
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN]


async def test_chn_12_node_that_falls_behind_is_no_reorganisation(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    payment = chain.payment()
    chain.mine_empty(4)
    chain.mine(payment)
    await drain(indexer)
    chain.visible = 2
    for _ in range(3):
        with pytest.raises(UnknownBlock):
            await indexer.converge()
    assert await kinds(database, payment) == [SEEN]
    chain.visible = None
    assert await indexer.converge() is Step.NOTHING_NEW


@pytest.mark.parametrize("newest", [0, 20, 27], ids=["of all", "of two questions", "of one"])
async def test_chn_12_node_that_falls_behind_in_a_reorganisation_takes_nothing_else_back(
    database: Database, newest: int
) -> None:
    """Behind one address are several nodes. One has told that the newest block was replaced, and
    another, which knows no block above ``newest``, is asked for the last one in common."""

    class Balanced(FakeChain):
        behind: int | None = None

        async def blocks_by_number(self, numbers: Sequence[int]) -> tuple[Header | None, ...]:
            self.visible = self.behind
            return await super().blocks_by_number(numbers)

    chain = Balanced(NETWORK)
    final, waiting = chain.payment(), chain.payment()
    chain.mine(final)
    chain.mine_empty(27)
    chain.mine(waiting)
    chain.mine()
    indexer = Indexer(database, NETWORK, [chain], ())
    await drain(indexer)
    before = await hashes_kept(database)
    chain.take_back(1)
    chain.mine()
    chain.behind = newest
    with pytest.raises(UnknownBlock):
        await indexer.converge()
    assert await hashes_kept(database) == before
    chain.behind = chain.visible = None
    assert await indexer.converge() is Step.STEPPED_BACK
    assert await hashes_kept(database) == before[:-1]
    assert await kinds(database, waiting) == [SEEN]
    assert await kinds(database, final) == [SEEN, FINAL]


async def test_chn_12_next_block_of_another_branch_is_not_believed(
    database: Database, chain: FakeChain
) -> None:
    class Torn(FakeChain):
        async def block_and_next(self, number: int) -> tuple[Header, Header | None]:
            here, following = await super().block_and_next(number)
            return here, following and replace(following, parent_hash=b"\x99" * 32)

    torn = Torn(NETWORK)
    torn.mine()
    indexer = Indexer(database, NETWORK, [torn], ())
    await indexer.converge()
    with pytest.raises(ProviderLied, match="does not follow"):
        await indexer.converge()
    assert await tip_of(database) == 0


async def test_chn_12_logs_of_another_block_are_never_recorded(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    chain.lying_hash = b"\x99" * 32
    assert await indexer.converge() is Step.ADVANCED
    with pytest.raises(ProviderLied):
        await indexer.converge()
    assert (await facts_of(database), await tip_of(database)) == ([], 0)
    chain.lying_hash = None
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN]


async def test_chn_19_lie_in_a_range_is_not_recorded(database: Database) -> None:
    chain = FakeChain(NETWORK)
    payment = chain.payment()
    chain.mine_empty(5)
    chain.mine(payment)
    chain.mine_empty(200)
    chain.lying_hash = b"\x99" * 32
    indexer = Indexer(database, NETWORK, [chain], ())
    await indexer.converge()
    with pytest.raises(ProviderLied):
        await indexer.converge()
    assert (await facts_of(database), await tip_of(database)) == ([], 0)


async def test_chn_19_lagging_logs_in_a_range_are_waited_for(database: Database) -> None:
    chain = FakeChain(NETWORK)
    chain.mine_empty(200)
    chain.log_lag = 50
    indexer = Indexer(database, NETWORK, [chain], ())
    await indexer.converge()
    with pytest.raises(UnknownBlock):
        await indexer.converge()
    assert await tip_of(database) == 0
