"""Events are told with their change or not at all, and handled in order, once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing import outbox
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import CHANNEL, Event, StoredEvent
from gstable_server.plumbing.outbox import LOOKED_AT, ROUNDS, relay_once
from gstable_server.plumbing.testing import FakeClock

pytestmark = pytest.mark.anyio


async def tell(db: Database, *names: str, object_id: str = "thing") -> None:
    async with db.begin() as tx:
        for name in names:
            tx.tell(Event(name, object_id, {"name": name}))


class Recorder:
    def __init__(self, failing: str | None = None) -> None:
        self.heard: list[str] = []
        self.failing = failing

    async def __call__(self, tx: Tx, batch: Sequence[StoredEvent]) -> None:
        types = [stored.event.type for stored in batch]
        if self.failing in types:
            raise RuntimeError("handler failed on purpose")
        self.heard += types


async def relay_all(db: Database, recorder: Recorder) -> None:
    for _ in range(20):
        await relay_once(db, recorder)


async def test_events_of_one_object_are_handled_in_order_and_once(database: Database) -> None:
    await tell(database, "first", "second", "third")
    recorder = Recorder()
    await relay_all(database, recorder)
    assert recorder.heard == ["first", "second", "third"]


async def test_whk_11_a_rolled_back_change_tells_nothing(database: Database) -> None:
    with pytest.raises(ValueError, match="no"):
        async with database.begin() as tx:
            tx.tell(Event("never", "thing", {}))
            raise ValueError("no")
    async with database.begin() as tx:
        assert await tx.fetchval("SELECT count(*) FROM events") == 0


async def test_a_failing_event_holds_back_its_own_object_only(
    database: Database, clock: FakeClock
) -> None:
    await tell(database, "bad", "after", object_id="one")
    await tell(database, "other", object_id="two")
    recorder = Recorder(failing="bad")
    await relay_all(database, recorder)
    assert recorder.heard.count("other") >= 1
    assert "after" not in recorder.heard
    recorder.failing = None
    clock.advance(60)
    await relay_all(database, recorder)
    assert recorder.heard[-2:] == ["bad", "after"]


async def test_the_work_of_a_failed_turn_is_rolled_back(database: Database) -> None:
    await tell(database, "bad")

    async def writes_then_fails(tx: Tx, batch: Sequence[StoredEvent]) -> None:
        await tx.execute("CREATE TABLE left_behind ()")
        raise RuntimeError("after the write")

    await relay_once(database, writes_then_fails)
    async with database.begin() as tx:
        assert await tx.fetchval("SELECT to_regclass('left_behind')") is None


async def test_sequence_increases_over_the_events_of_one_object(database: Database) -> None:
    await tell(database, "first")
    await tell(database, "between", object_id="other")
    await tell(database, "second")
    async with database.begin() as tx:
        rows = await tx.fetch("SELECT sequence FROM events WHERE object_id = 'thing' ORDER BY 1")
    assert rows[0]["sequence"] < rows[1]["sequence"]


async def test_events_cannot_be_changed_or_deleted(database: Database) -> None:
    await tell(database, "fact")
    for statement in ("UPDATE events SET type = 'x'", "DELETE FROM events"):
        with pytest.raises(Exception, match="append only"):
            async with database.begin() as tx:
                await tx.execute(statement)


async def test_api_34_a_clock_that_is_set_back_delays_no_event(
    database: Database, clock: FakeClock
) -> None:
    clock.advance(3600)
    await tell(database, "told while the clock was an hour ahead")
    clock.advance(-3600)
    recorder = Recorder()
    await relay_all(database, recorder)
    assert recorder.heard == ["told while the clock was an hour ahead"]


async def test_an_event_whose_consequence_cannot_be_written_holds_back_itself_only(
    database: Database,
) -> None:
    await tell(database, "bad", object_id="one")
    await tell(database, "good", object_id="two")
    heard: list[str] = []

    async def tells_what_has_no_json_form(tx: Tx, batch: Sequence[StoredEvent]) -> None:
        for stored in batch:
            if stored.event.type == "bad":
                tx.tell(Event("never", "one", {"value": object()}))
            heard.append(stored.event.type)

    for _ in range(3):
        await relay_once(database, tells_what_has_no_json_form)
    assert heard[-1] == "good"


async def test_a_batch_with_poison_in_it_is_handled_but_for_the_poison(
    database: Database, clock: FakeClock
) -> None:
    """Whatever was written for the others together with it is written once."""
    for number in range(11):
        await tell(database, "bad" if number in (3, 7) else "good", object_id=f"thing {number}")
    async with database.begin() as tx:
        await tx.execute("CREATE TABLE written (object_id text)")

    async def writes_all(tx: Tx, batch: Sequence[StoredEvent]) -> None:
        for stored in batch:
            await tx.execute("INSERT INTO written VALUES ($1)", stored.event.object_id)
        if any(stored.event.type == "bad" for stored in batch):
            raise RuntimeError("handler failed on purpose")

    assert await relay_once(database, writes_all) == 9
    assert await relay_once(database, writes_all) == 0
    async with database.begin() as tx:
        written = [row["object_id"] for row in await tx.fetch("SELECT object_id FROM written")]
        waiting = await tx.fetch("SELECT object_id, attempts FROM outbox ORDER BY sequence")
    assert sorted(written) == sorted(f"thing {n}" for n in range(11) if n not in (3, 7))
    assert [tuple(row) for row in waiting] == [("thing 3", 1), ("thing 7", 1)]
    clock.advance(2)
    assert await relay_once(database, Recorder()) == 2


async def test_a_deadlock_is_tried_again_and_delays_nothing(database: Database) -> None:
    await tell(database, "first")
    tries: list[int] = []

    async def is_the_victim_once(tx: Tx, batch: Sequence[StoredEvent]) -> None:
        tries.append(len(batch))
        if len(tries) == 1:
            await tx.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")

    assert await relay_once(database, is_the_victim_once) == 1
    assert tries == [1, 1]


@pytest.mark.parametrize("limit", [1, 4])
async def test_two_relays_share_what_waits_and_keep_each_objects_order(
    database: Database, limit: int
) -> None:
    """Also where a turn sees so little that most of what waits is set aside."""
    for number in range(30):
        await tell(database, f"{number:02}", object_id=f"thing {number % 3}")
    heard: dict[str, list[str]] = {}

    async def slowly(tx: Tx, batch: Sequence[StoredEvent]) -> None:
        await tx.execute("SELECT pg_sleep(0.002)")
        for stored in batch:
            heard.setdefault(stored.event.object_id, []).append(stored.event.type)

    async def relay() -> None:
        for _ in range(60):
            await relay_once(database, slowly, limit=limit)

    await asyncio.gather(relay(), relay())
    assert sorted(one for all_of in heard.values() for one in all_of) == [
        f"{number:02}" for number in range(30)
    ]
    assert all(all_of == sorted(all_of) for all_of in heard.values())


async def test_events_of_one_object_are_handled_in_one_turn_one_after_the_other(
    database: Database,
) -> None:
    names = [f"{number:02}" for number in range(ROUNDS + 2)]
    await tell(database, *names, object_id="one")
    await tell(database, "other", object_id="two")
    batches: list[list[str]] = []

    async def record(tx: Tx, batch: Sequence[StoredEvent]) -> None:
        batches.append([stored.event.type for stored in batch])

    assert await relay_once(database, record) == ROUNDS + 1
    assert batches == [[names[0], "other"], *([name] for name in names[1:ROUNDS])]
    assert await relay_once(database, record) == 2
    assert batches[ROUNDS:] == [[name] for name in names[ROUNDS:]]


async def test_what_is_behind_an_event_of_another_worker_waits(database: Database) -> None:
    await tell(database, "first", "second", object_id="one")
    await tell(database, "other", object_id="two")
    recorder, another = Recorder(), Recorder()

    async def meanwhile(tx: Tx, batch: Sequence[StoredEvent]) -> None:
        await another(tx, batch)
        if another.heard == ["first"]:
            await relay_once(database, recorder)

    assert await relay_once(database, meanwhile, limit=1) == 1
    assert recorder.heard == ["other"]
    assert await relay_once(database, recorder) == 1
    assert recorder.heard == ["other", "second"]


class RolledBack(Exception):
    """Nothing of what was done is to stay."""


async def rows_read(db: Database, limit: int) -> int:
    """How many rows of the outbox a turn reads that handles what is next."""
    read = (
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'outbox'"
    )
    numbers: list[int] = []
    with suppress(RolledBack):
        async with db.begin() as tx:
            numbers.append(await tx.fetchval(read))
            await outbox._take(tx, Recorder(), limit, None)
            numbers.append(await tx.fetchval(read))
            raise RolledBack
    return numbers[1] - numbers[0]


async def test_a_turn_looks_at_a_few_rows_however_many_wait_behind_each_other(
    database: Database,
) -> None:
    many, limit = 400, 10
    at_most = 6 * limit
    # Given plans that were made while nothing waited, by the same connection
    async with database.pool.acquire() as connection:
        await connection.execute("VACUUM ANALYZE outbox")
    for _ in range(8):
        assert await relay_once(database, Recorder(), limit) == 0
        await rows_read(database, limit)
    await tell(database, *(f"{number:03}" for number in range(many)), object_id="busy")
    await tell(database, "other", object_id="quiet")
    read = [await rows_read(database, limit)]
    recorder = Recorder()
    while await relay_once(database, recorder, limit):
        read.append(await rows_read(database, limit))
    assert max(read) <= at_most < many
    assert recorder.heard.index("other") <= 2 * ROUNDS * many / (limit * LOOKED_AT)
    recorder.heard.remove("other")
    assert recorder.heard == [f"{number:03}" for number in range(many)]


async def test_what_waits_behind_poison_is_set_aside_and_comes_back(
    database: Database, clock: FakeClock
) -> None:
    await tell(database, "bad", *(f"{number:02}" for number in range(40)), object_id="one")
    recorder = Recorder(failing="bad")
    assert await relay_once(database, recorder, limit=2) == 0
    await tell(database, "other", object_id="two")
    assert await relay_once(database, recorder, limit=2) == 1
    assert recorder.heard == ["other"]
    recorder.failing = None
    clock.advance(60)
    while await relay_once(database, recorder, limit=2):
        pass
    assert recorder.heard == ["other", "bad", *(f"{number:02}" for number in range(40))]


async def test_only_what_is_told_to_ourselves_wakes_the_relay(database: Database) -> None:
    woken: asyncio.Queue[str] = asyncio.Queue()
    tenant = Tenant(database.ids.merchant_id(), Mode.TEST)
    async with database.pool.acquire() as connection:
        await connection.add_listener(CHANNEL, lambda *told: woken.put_nowait(told[2]))
        async with database.begin() as tx:
            tx.tell(Event("session.created", "sess_1", {}, tenant=tenant))
        await tell(database, "chain.payment_seen")
        async with asyncio.timeout(60):
            await woken.get()
        assert woken.empty()
        await connection.reset()
