"""One suite judges the real queue and its fake: what both promise, and what only rows can show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

import pytest

from gstable_server.plumbing import jobs as jobs_module
from gstable_server.plumbing import testing_jobs
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.jobs import JobHandler, Jobs, PgQueuerJobs, run_worker
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from gstable_server.plumbing.testing import FakeClock, FakeIdMint
from gstable_server.plumbing.testing_jobs import InMemoryJobs

pytestmark = pytest.mark.anyio


Done = Callable[[], bool]


def at_once() -> bool:
    return True


class Harness(Protocol):
    """A queue and the means to let its time pass."""

    @property
    def jobs(self) -> Jobs: ...

    def begin(self) -> AbstractAsyncContextManager[Tx]: ...

    def now(self) -> datetime: ...

    async def work(
        self, handlers: dict[str, JobHandler], seconds: int, until: Done = at_once
    ) -> None:
        """Work for so long; a real queue on a busy machine for longer, ``until`` it is done."""

    async def held(self) -> list[bytes]: ...


class FakeHarness:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.jobs = InMemoryJobs(self.clock, FakeIdMint())

    def begin(self) -> AbstractAsyncContextManager[Tx]:
        return self.jobs.begin()

    def now(self) -> datetime:
        return self.clock.now()

    async def work(
        self, handlers: dict[str, JobHandler], seconds: int, until: Done = at_once
    ) -> None:
        await self.jobs.run_due(handlers)
        for _ in range(seconds):
            self.clock.advance(1)
            await self.jobs.run_due(handlers)

    async def held(self) -> list[bytes]:
        return self.jobs.held


class RealHarness:
    def __init__(self, db: Database, url: str) -> None:
        self.db = db
        self.url = url
        self.jobs = PgQueuerJobs()

    def begin(self) -> AbstractAsyncContextManager[Tx]:
        return self.db.begin()

    def now(self) -> datetime:
        return self.db.clock.now()

    async def work(
        self, handlers: dict[str, JobHandler], seconds: int, until: Done = at_once
    ) -> None:
        stop = asyncio.Event()
        worker = asyncio.create_task(run_worker(self.url, handlers, stop, concurrency=10))
        await asyncio.sleep(seconds + 0.5)
        async with asyncio.timeout(60):
            while not until():
                await asyncio.sleep(0.05)
        stop.set()
        await worker

    async def held(self) -> list[bytes]:
        async with self.db.read() as tx:
            rows = await tx.fetch("SELECT payload FROM pgqueuer WHERE status = 'failed'")
        return [row["payload"] for row in rows]


@pytest.fixture(params=["fake", "real"])
async def harness(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Harness]:
    if request.param == "fake":
        yield FakeHarness()
        return
    db = await Database.connect(database_url, clock=SystemClock(), ids=SystemIdMint())
    yield RealHarness(db, database_url)
    await db.close()


class Recorder:
    def __init__(self, failures: int = 0) -> None:
        self.payloads: list[bytes] = []
        self.failures = failures

    def has(self, count: int) -> Done:
        return lambda: len(self.payloads) >= count

    async def __call__(self, payload: bytes) -> None:
        self.payloads.append(payload)
        if len(self.payloads) <= self.failures:
            raise RuntimeError("failed on purpose")


async def test_a_job_runs_once_with_its_payload(harness: Harness) -> None:
    async with harness.begin() as tx:
        assert await harness.jobs.enqueue(tx, "count", "12:0 ü")
        assert await harness.jobs.enqueue(tx, "other", b"\x00\xff")
    count, other = Recorder(), Recorder()
    await harness.work(
        {"count": count, "other": other}, 1, lambda: bool(count.payloads and other.payloads)
    )
    assert count.payloads == ["12:0 ü".encode()]
    assert other.payloads == [b"\x00\xff"]


async def test_whk_11_a_rolled_back_transaction_leaves_no_job(harness: Harness) -> None:
    async def change_mind() -> None:
        async with harness.begin() as tx:
            await harness.jobs.enqueue(tx, "count", "1")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await change_mind()
    recorder = Recorder()
    await harness.work({"count": recorder}, 1)
    assert recorder.payloads == []


async def test_a_job_waits_until_its_time(harness: Harness) -> None:
    async with harness.begin() as tx:
        due = tx.now + timedelta(seconds=3)
        await harness.jobs.enqueue(tx, "count", "later", run_at=due)
        await harness.jobs.enqueue(tx, "count", "past", run_at=tx.now - timedelta(days=1))
    recorder = Recorder()
    ran: list[datetime] = []

    async def handler(payload: bytes) -> None:
        ran.append(harness.now())
        await recorder(payload)

    await harness.work({"count": handler}, 1, recorder.has(1))
    await harness.work({"count": handler}, 3, recorder.has(2))
    assert recorder.payloads == [b"past", b"later"]
    assert ran[1] >= due


async def test_a_dedupe_key_is_taken_while_its_job_waits_and_free_afterwards(
    harness: Harness,
) -> None:
    async with harness.begin() as tx:
        assert await harness.jobs.enqueue(tx, "count", "1", dedupe_key="k")
        assert not await harness.jobs.enqueue(tx, "count", "2", dedupe_key="k")
    async with harness.begin() as tx:
        assert not await harness.jobs.enqueue(tx, "count", "3", dedupe_key="k")
    recorder = Recorder()
    await harness.work({"count": recorder}, 1, recorder.has(1))
    async with harness.begin() as tx:
        assert await harness.jobs.enqueue(tx, "count", "4", dedupe_key="k")
    await harness.work({"count": recorder}, 1, recorder.has(2))
    assert recorder.payloads == [b"1", b"4"]


async def test_a_failing_job_is_tried_again_later(harness: Harness) -> None:
    async with harness.begin() as tx:
        await harness.jobs.enqueue(tx, "count", "1")
    recorder = Recorder(failures=1)
    await harness.work({"count": recorder}, 2, recorder.has(2))
    assert recorder.payloads == [b"1", b"1"]
    assert await harness.held() == []


async def test_a_job_that_keeps_failing_is_held_not_deleted(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (jobs_module, testing_jobs):
        monkeypatch.setattr(module, "ATTEMPTS", 2)
    async with harness.begin() as tx:
        await harness.jobs.enqueue(tx, "count", "bad")
    recorder = Recorder(failures=99)
    await harness.work({"count": recorder}, 3, recorder.has(2))
    assert recorder.payloads == [b"bad", b"bad"]
    assert await harness.held() == [b"bad"]


async def test_a_job_without_a_handler_stays_queued(harness: Harness) -> None:
    async with harness.begin() as tx:
        await harness.jobs.enqueue(tx, "unknown", "1")
    await harness.work({"count": Recorder()}, 1)
    recorder = Recorder()
    await harness.work({"unknown": recorder}, 1, recorder.has(1))
    assert recorder.payloads == [b"1"]


async def test_a_handler_may_enqueue(harness: Harness) -> None:
    second = Recorder()

    async def first(payload: bytes) -> None:
        async with harness.begin() as tx:
            await harness.jobs.enqueue(tx, "second", payload)

    async with harness.begin() as tx:
        await harness.jobs.enqueue(tx, "first", "1")
    await harness.work({"first": first, "second": second}, 1, second.has(1))
    assert second.payloads == [b"1"]
