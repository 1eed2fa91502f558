"""The indexer on a fake chain and a real database: it converges, and each payment counts once."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from gstable_server.chain import store, store_states
from gstable_server.chain.indexer import Indexer, Step
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import ProviderFailed
from gstable_server.chain.testing import FakeChain, fake_network
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.db import Database, Tx
from tests.unit.chain.indexing import (
    FINAL,
    NETWORK,
    SEEN,
    drain,
    facts_of,
    halted_reason,
    hashes_kept,
    kinds,
    tip_of,
    told,
)

pytestmark = pytest.mark.anyio


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
    await drain(Indexer(database, chain.network, [chain], ()))
    [fact] = await told(database)
    assert (fact.what, fact.at_once) == (FINAL, True)
    assert [step.what for step in fact.steps] == [SEEN, FINAL]
    assert fact.log.key == payment.session_key


async def test_chn_19_only_what_is_deep_when_it_is_read_is_told_at_once(
    database: Database, chain: FakeChain
) -> None:
    payments = [chain.payment() for _ in range(20)]
    for payment in payments:
        chain.mine(payment)
    await drain(Indexer(database, NETWORK, [chain], ()))
    facts = await told(database)
    at_once = [fact.log.key for fact in facts if fact.at_once]
    in_two = [fact.log.key for fact in facts if not fact.at_once and fact.what is FINAL]
    assert [*at_once, *in_two] == [payment.session_key for payment in payments[:-2]]
    assert at_once
    assert in_two
    assert sorted(fact.log.key for fact in facts if fact.what is SEEN) == sorted(
        [*in_two, *(payment.session_key for payment in payments[-2:])]
    )


async def test_restart_continues_from_the_frontier(database: Database, chain: FakeChain) -> None:
    payments = [chain.payment() for _ in range(6)]
    for payment in payments:
        chain.mine(payment)
        # A new process each time: nothing is kept but the database.
        await Indexer(database, NETWORK, [chain], ()).converge()
    await drain(Indexer(database, NETWORK, [chain], ()))
    for payment in payments[:4]:
        assert await kinds(database, payment) == [SEEN, FINAL]
    assert await hashes_kept(database) == [block.header.hash for block in chain.blocks]


async def test_two_indexers_at_once_do_no_harm(database: Database, chain: FakeChain) -> None:
    payments = [chain.payment() for _ in range(20)]
    for payment in payments:
        chain.mine(payment)

    async def work() -> None:
        worker = Indexer(database, NETWORK, [chain], ())
        for _ in range(60):
            await worker.converge()

    await asyncio.gather(work(), work(), work())
    await drain(Indexer(database, NETWORK, [chain], ()))
    for payment in payments[:-2]:
        assert await kinds(database, payment) == [SEEN, FINAL]


async def test_crash_before_the_commit_leaves_nothing(
    database: Database, chain: FakeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexer = Indexer(database, NETWORK, [chain], ())
    await drain(indexer)
    payment = chain.payment()
    chain.mine(payment)

    async def die(_tx: Tx) -> None:
        raise ConnectionResetError("the process died")

    with monkeypatch.context() as patched:
        patched.setattr(Tx, "finish", die)
        with pytest.raises(ConnectionResetError):
            await indexer.converge()
    assert await tip_of(database) == 0
    assert await facts_of(database) == []
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN]
    assert len(await told(database)) == 1


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
    payments = [chain.payment() for _ in range(20)]
    for payment in payments:
        chain.mine_empty(9)
        chain.mine(payment)
    indexer = Indexer(database, network, [chain], ())
    for _ in range(3000):
        with contextlib.suppress(Passing):
            if await indexer.converge() is Step.NOTHING_NEW:
                break
    seen = [f.log for f in await facts_of(database) if f.what is SEEN]
    assert [log.key for log in seen] == [payment.session_key for payment in payments]
    assert [log.block_hash for log in seen] == [
        block.header.hash for block in chain.blocks if block.logs
    ]
    assert await tip_of(database) == 200
    # Near the head every block is kept, so that a reorganisation there is noticed.
    assert (await hashes_kept(database))[-67:] == [b.header.hash for b in chain.blocks[-67:]]
    if limit is None:
        assert len(chain.asked) < 200


async def test_chn_19_range_is_kept_part_by_part_and_a_crash_between_loses_none(
    database: Database, chain: FakeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gstable_server.chain.indexer.LOGS_AT_ONCE", 5)
    indexer = Indexer(database, NETWORK, [chain], ())
    await drain(indexer)
    payments = [chain.payment() for _ in range(21)]
    for start in range(0, 21, 3):
        chain.mine(*payments[start : start + 3])
    chain.mine_empty(20)
    finish, commits = Tx.finish, 0

    async def die_at_the_third(tx: Tx) -> None:
        nonlocal commits
        commits += 1
        if commits == 3:
            raise ConnectionResetError("the process died")
        await finish(tx)

    with monkeypatch.context() as patched:
        patched.setattr(Tx, "finish", die_at_the_third)
        with pytest.raises(ConnectionResetError):
            await indexer.converge()
    assert await tip_of(database) == 4
    assert len([fact for fact in await facts_of(database) if fact.what is SEEN]) == 12
    await drain(Indexer(database, NETWORK, [chain], ()))
    for payment in payments:
        assert await kinds(database, payment) == [SEEN, FINAL]
    assert await hashes_kept(database) == [block.header.hash for block in chain.blocks]


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

    watch = store.known_logs

    async def known(tx: Tx, network: str, tx_hashes: list[bytes]) -> object:
        if network == "fake":
            await poison()
        return await watch(tx, network, tx_hashes)

    stop = asyncio.Event()
    with monkeypatch.context() as patched:
        patched.setattr(store, "known_logs", known)
        tasks = [
            asyncio.create_task(Indexer(database, chain.network, [chain], ()).run(stop))
            for chain in (poisoned, other)
        ]
        async with asyncio.timeout(60):
            while raised < 4 or not await facts_of(database, "other"):
                await asyncio.sleep(0.02)
    assert await tip_of(database) == 1
    assert await facts_of(database) == []
    assert await halted_reason(database) == "stopped at a block: ZeroDivisionError"
    assert await halted_reason(database, "other") is None
    async with asyncio.timeout(60):
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
    async with asyncio.timeout(60):
        while await kinds(database, payment) != [SEEN, FINAL]:
            await asyncio.sleep(0.02)
    stop.set()
    async with asyncio.timeout(60):
        await task


async def test_chn_15_trouble_that_lasts_is_told_as_standing_still_until_it_ends(
    database: Database, chain: FakeChain, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gstable_server.chain.indexer.BACK_OFF_SECONDS", (0.01, 0.02))
    monkeypatch.setattr("gstable_server.chain.indexer.ALARM_TRIES", 3)
    await drain(indexer)
    chain.trouble = [ProviderFailed("HTTP status 502") for _ in range(5)]
    chain.mine()
    reported: list[str | None] = []
    put_state = store_states.put_state

    async def put(tx: Tx, network: str, frontier: int, head: int, reason: str | None) -> None:
        reported.append(reason)
        await put_state(tx, network, frontier, head, reason)

    stop = asyncio.Event()
    with monkeypatch.context() as patched:
        patched.setattr(store_states, "put_state", put)
        task = asyncio.create_task(indexer.run(stop))
        async with asyncio.timeout(60):
            while await tip_of(database) != 1:
                await asyncio.sleep(0.02)
        stop.set()
        await task
    assert reported[:2] == ["HTTP status 502", None]
    assert await halted_reason(database) is None


async def test_chn_16_run_reports_a_halt_and_goes_on_when_the_provider_was_wrong(
    database: Database, chain: FakeChain, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gstable_server.chain.indexer.HALT_SECONDS", 0.02)
    payment = chain.payment()
    chain.mine(payment)
    chain.mine_empty(5)
    await drain(indexer)
    right = list(chain.blocks)
    chain.take_back(6)
    chain.mine_empty(8)
    stop = asyncio.Event()
    task = asyncio.create_task(indexer.run(stop))
    async with asyncio.timeout(60):
        while (reason := await halted_reason(database)) is None:
            await asyncio.sleep(0.02)
    assert "final log" in reason
    assert await tip_of(database) == 6
    chain.blocks = right
    chain.mine_empty(2)
    async with asyncio.timeout(60):
        while await tip_of(database) != 8:
            await asyncio.sleep(0.02)
    stop.set()
    await task
    assert await kinds(database, payment) == [SEEN, FINAL]
    assert await halted_reason(database) is None


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
    indexer = Indexer(database, network, [chain], ())
    assert await indexer.converge() is Step.NOTHING_NEW
    chain.mine_empty(12)
    await drain(indexer)
    assert len(await hashes_kept(database)) == 3


async def test_networks_are_read_apart(database: Database) -> None:
    networks: list[Network] = [fake_network(name=name) for name in ("one", "two")]
    chains = [FakeChain(network) for network in networks]
    for chain in chains:
        chain.mine(chain.payment())
        await drain(Indexer(database, chain.network, [chain], ()))
    for network in networks:
        assert len(await facts_of(database, network.name)) == 1
