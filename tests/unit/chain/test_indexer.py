"""The indexer on a fake chain and a real database: it converges, and each payment counts once."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from gstable_server.chain import store
from gstable_server.chain.facts import Fact, FactKind, from_payload, kind_of
from gstable_server.chain.indexer import Indexer, NetworkHalted, Step
from gstable_server.chain.networks import Network
from gstable_server.chain.operations import fact_of, frontier
from gstable_server.chain.rpc import Header, Log, ProviderFailed, ProviderLied, UnknownBlock
from gstable_server.chain.testing import FakeChain, FakePayment, fake_network
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.outbox import StoredEvent, relay_once

pytestmark = pytest.mark.anyio

SEEN, FINAL = FactKind.SEEN, FactKind.FINAL
REORGED, LOST = FactKind.REORGED, FactKind.LOST
NETWORK = fake_network(confirmations=3)


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain(NETWORK)


@pytest.fixture
def indexer(database: Database, chain: FakeChain) -> Indexer:
    return Indexer(database, chain.network, chain)


async def drain(indexer: Indexer, steps: int = 500) -> None:
    """Converge until there is nothing new."""
    for _ in range(steps):
        if await indexer.converge() is Step.NOTHING_NEW:
            return
    raise AssertionError("does not converge")


async def facts_of(database: Database, network: str = "fake") -> list[Fact]:
    async with database.read() as tx:
        rows = await tx.fetch(
            "SELECT kind, body FROM chain_facts WHERE network = $1 ORDER BY fact_number", network
        )
    return [from_payload({"kind": row["kind"], "log": row["body"]}) for row in rows]


async def kinds(database: Database, payment: FakePayment) -> list[FactKind]:
    return [
        kind_of(fact)
        for fact in await facts_of(database)
        if fact.log.session_key == payment.session_key
    ]


async def told(database: Database) -> list[Fact]:
    """What the events say, relayed as flow does it."""
    heard: list[Fact] = []

    async def handle(_tx: Tx, stored: StoredEvent) -> None:
        assert stored.event.type.startswith("chain.payment_")
        assert stored.event.object_id == fact_of(stored).log.object_id
        heard.append(fact_of(stored))

    while await relay_once(database, handle):
        pass
    return heard


async def tip_of(database: Database, network: str = "fake") -> int:
    async with database.read() as tx:
        block = await frontier(tx, network)
    return -1 if block is None else block.number


async def hashes_kept(database: Database) -> list[bytes]:
    async with database.read() as tx:
        rows = await tx.fetch("SELECT hash FROM chain_blocks ORDER BY number")
    return [row["hash"] for row in rows]


async def test_payment_is_seen_in_its_block_and_final_at_its_depth(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN]
    chain.mine()
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN]
    chain.mine()
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN, FINAL]
    assert await told(database) == await facts_of(database)


async def test_one_confirmation_is_seen_and_final_in_one_step(database: Database) -> None:
    chain = FakeChain(fake_network(confirmations=1))
    payment = chain.payment()
    chain.mine(payment)
    await drain(Indexer(database, chain.network, chain))
    assert await kinds(database, payment) == [SEEN, FINAL]


async def test_restart_continues_from_the_frontier(database: Database, chain: FakeChain) -> None:
    payments = [chain.payment() for _ in range(6)]
    for payment in payments:
        chain.mine(payment)
        # A new process each time: nothing is kept but the database.
        await Indexer(database, NETWORK, chain).converge()
    await drain(Indexer(database, NETWORK, chain))
    for payment in payments[:4]:
        assert await kinds(database, payment) == [SEEN, FINAL]
    assert await hashes_kept(database) == [block.header.hash for block in chain.blocks]


async def test_two_indexers_at_once_do_no_harm(database: Database, chain: FakeChain) -> None:
    payments = [chain.payment() for _ in range(20)]
    for payment in payments:
        chain.mine(payment)

    async def work() -> None:
        worker = Indexer(database, NETWORK, chain)
        for _ in range(60):
            await worker.converge()

    await asyncio.gather(work(), work(), work())
    await drain(Indexer(database, NETWORK, chain))
    for payment in payments[:-2]:
        assert await kinds(database, payment) == [SEEN, FINAL]


async def test_crash_before_the_commit_leaves_nothing(
    database: Database, chain: FakeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexer = Indexer(database, NETWORK, chain)
    await drain(indexer)
    payment = chain.payment()
    chain.mine(payment)

    async def die(_tx: Tx) -> None:
        raise ConnectionResetError("the process died")

    with monkeypatch.context() as patched:
        patched.setattr(Tx, "flush", die)
        with pytest.raises(ConnectionResetError):
            await indexer.converge()
    assert await tip_of(database) == 0
    assert await facts_of(database) == []
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN]
    assert len(await told(database)) == 1


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


async def test_chn_16_deep_reorganisation_of_unfinal_blocks_steps_back_block_by_block(
    database: Database,
) -> None:
    network = fake_network(confirmations=350)
    chain = FakeChain(network)
    indexer = Indexer(database, network, chain)
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
    assert [(kind_of(f), f.log.tx_hash) for f in await facts_of(database)] == [
        (SEEN, payment.tx_hash),
        (REORGED, payment.tx_hash),
        (SEEN, rival.tx_hash),
        (FINAL, rival.tx_hash),
    ]
    chain.mine_empty(1)
    await drain(indexer)
    assert kind_of((await facts_of(database))[-1]) is LOST


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
    with pytest.raises(NetworkHalted, match="final payment"):
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
    indexer = Indexer(database, NETWORK, chain)
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
    indexer = Indexer(database, network, chain)
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
        async def logs_of_block(self, block_hash: bytes, address: Address) -> tuple[Log, ...]:
            return await super().logs_of_block(block_hash, address) * 1000

    repeating = Repeating(NETWORK)
    payment = repeating.payment()
    repeating.mine(payment)
    repeating.mine_empty(3)
    indexer = Indexer(database, NETWORK, repeating)
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
        async def logs_of_block(self, block_hash: bytes, address: Address) -> tuple[Log, ...]:
            return next(b.logs for b in self.blocks if b.header.hash == block_hash)

    unfiltered = Unfiltered(NETWORK)
    unfiltered.mine_logs([unfiltered.payment().log(Address(b"\x66" * 20)) for _ in range(7)])
    indexer = Indexer(database, NETWORK, unfiltered)
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


async def test_chn_12_next_block_of_another_branch_is_not_believed(
    database: Database, chain: FakeChain
) -> None:
    class Torn(FakeChain):
        async def block_and_next(self, number: int) -> tuple[Header, Header | None]:
            here, following = await super().block_and_next(number)
            return here, following and replace(following, parent_hash=b"\x99" * 32)

    torn = Torn(NETWORK)
    torn.mine()
    indexer = Indexer(database, NETWORK, torn)
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


async def test_chn_15_trouble_leaves_the_frontier_where_it_is(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    await drain(indexer)
    chain.mine(chain.payment())
    for _ in range(5):
        chain.trouble = [ProviderFailed("HTTP status 502")]
        with pytest.raises(ProviderFailed):
            await indexer.converge()
    assert await tip_of(database) == 0
    await drain(indexer)
    assert await tip_of(database) == 1


@pytest.mark.parametrize("limit", [None, 100, 7, 1])
async def test_chn_19_every_block_of_a_gap_is_processed_in_order(
    database: Database, limit: int | None
) -> None:
    network = fake_network(confirmations=3, log_range=200)
    chain = FakeChain(network)
    chain.range_limit = limit
    payments = [chain.payment() for _ in range(60)]
    for payment in payments:
        chain.mine_empty(9)
        chain.mine(payment)
    indexer = Indexer(database, network, chain)
    for _ in range(3000):
        with contextlib.suppress(Passing):
            if await indexer.converge() is Step.NOTHING_NEW:
                break
    seen = [f.log for f in await facts_of(database) if kind_of(f) is SEEN]
    assert [log.session_key for log in seen] == [payment.session_key for payment in payments]
    assert [log.block_hash for log in seen] == [
        block.header.hash for block in chain.blocks if block.logs
    ]
    assert await tip_of(database) == 600
    # Near the head every block is kept, so that a reorganisation there is noticed.
    assert (await hashes_kept(database))[-67:] == [b.header.hash for b in chain.blocks[-67:]]
    if limit is None:
        assert len(chain.asked) < 400


async def test_chn_19_lie_in_a_range_is_not_recorded(database: Database) -> None:
    chain = FakeChain(NETWORK)
    payment = chain.payment()
    chain.mine_empty(5)
    chain.mine(payment)
    chain.mine_empty(200)
    chain.lying_hash = b"\x99" * 32
    indexer = Indexer(database, NETWORK, chain)
    await indexer.converge()
    with pytest.raises(ProviderLied):
        await indexer.converge()
    assert (await facts_of(database), await tip_of(database)) == ([], 0)


async def test_chn_19_lagging_logs_in_a_range_are_waited_for(database: Database) -> None:
    chain = FakeChain(NETWORK)
    chain.mine_empty(200)
    chain.log_lag = 50
    indexer = Indexer(database, NETWORK, chain)
    await indexer.converge()
    with pytest.raises(UnknownBlock):
        await indexer.converge()
    assert await tip_of(database) == 0


async def test_chn_20_poison_block_stops_its_own_network_and_is_never_skipped(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gstable_server.chain.indexer.BACK_OFF_SECONDS", (0.01, 0.02))
    other = FakeChain(fake_network(name="other", confirmations=1))
    healthy = other.payment()
    poisoned = FakeChain(NETWORK)
    payment = poisoned.payment()
    poisoned.mine()
    poisoned.mine(payment)
    other.mine(healthy)
    raised = 0

    async def poison(*_: object) -> None:
        nonlocal raised
        raised += 1
        raise ZeroDivisionError("this block cannot be read")

    watch = store.known_payments

    async def known(tx: Tx, network: str, tx_hashes: list[bytes]) -> object:
        if network == "fake":
            await poison()
        return await watch(tx, network, tx_hashes)

    stop = asyncio.Event()
    with monkeypatch.context() as patched:
        patched.setattr(store, "known_payments", known)
        tasks = [
            asyncio.create_task(Indexer(database, chain.network, chain).run(stop))
            for chain in (poisoned, other)
        ]
        async with asyncio.timeout(20):
            while raised < 4 or not await facts_of(database, "other"):
                await asyncio.sleep(0.02)
    assert await tip_of(database) == 1
    assert await facts_of(database) == []
    async with asyncio.timeout(20):
        while not await facts_of(database):
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.gather(*tasks)
    assert await kinds(database, payment) == [SEEN]


async def test_chn_15_run_goes_on_after_trouble_and_stops_when_told(
    database: Database, chain: FakeChain, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gstable_server.chain.indexer.BACK_OFF_SECONDS", (0.01, 0.02))
    chain.trouble = [ProviderFailed("connection refused") for _ in range(5)]
    payment = chain.payment()
    chain.mine(payment)
    chain.mine_empty(2)
    stop = asyncio.Event()
    task = asyncio.create_task(indexer.run(stop))
    async with asyncio.timeout(20):
        while await kinds(database, payment) != [SEEN, FINAL]:
            await asyncio.sleep(0.02)
    stop.set()
    async with asyncio.timeout(5):
        await task


async def test_run_reports_a_halt_and_goes_on_when_the_provider_was_wrong(
    database: Database, chain: FakeChain, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gstable_server.chain.indexer.BACK_OFF_SECONDS", (0.01, 0.02))
    payment = chain.payment()
    chain.mine(payment)
    chain.mine_empty(5)
    await drain(indexer)
    right = list(chain.blocks)
    chain.take_back(6)
    chain.mine_empty(8)
    stop = asyncio.Event()
    task = asyncio.create_task(indexer.run(stop))
    await asyncio.sleep(0.3)
    assert await tip_of(database) == 1
    chain.blocks = right
    chain.mine_empty(2)
    async with asyncio.timeout(20):
        while await tip_of(database) != 8:
            await asyncio.sleep(0.02)
    stop.set()
    await task
    assert await kinds(database, payment) == [SEEN, FINAL]


async def test_chn_21_time_that_jumps_about_changes_nothing(
    database: Database, chain: FakeChain, indexer: Indexer
) -> None:
    payments = [chain.payment() for _ in range(4)]
    for payment, second in zip(payments, (4_000_000_000, 5, 5, 0), strict=True):
        chain.mine(payment, timestamp=second)
    chain.mine_empty(2)
    await drain(indexer)
    for payment in payments:
        assert await kinds(database, payment) == [SEEN, FINAL]


async def test_chain_that_has_not_reached_the_start_block_is_waited_for(
    database: Database,
) -> None:
    network = replace(NETWORK, start_block=10)
    chain = FakeChain(network)
    indexer = Indexer(database, network, chain)
    assert await indexer.converge() is Step.NOTHING_NEW
    chain.mine_empty(12)
    await drain(indexer)
    assert len(await hashes_kept(database)) == 3


async def test_networks_are_read_apart(database: Database) -> None:
    networks: list[Network] = [fake_network(name=name) for name in ("one", "two")]
    chains = [FakeChain(network) for network in networks]
    for chain in chains:
        chain.mine(chain.payment())
        await drain(Indexer(database, chain.network, chain))
    for network in networks:
        assert len(await facts_of(database, network.name)) == 1
