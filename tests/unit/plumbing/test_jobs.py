"""What only the real queue has: its tables, its worker's reconnecting and its bounded appetite."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from gstable_server import migrations
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.jobs import QUEUE, install_sql, run_worker

pytestmark = pytest.mark.anyio


def test_the_migration_creates_what_the_installed_queue_would() -> None:
    """When this fails after an upgrade of PgQueuer, a new revision has to follow its upgrade."""
    migration = Path(migrations.VERSIONS, "0009_jobs.sql").read_text()
    assert migration == install_sql()


async def test_tables_are_the_ones_the_queue_needs(database_url: str) -> None:
    stop = asyncio.Event()
    stop.set()
    await run_worker(database_url, {}, stop)
    connection = await asyncpg.connect(database_url)
    unlogged = await connection.fetchval(
        "SELECT count(*) FROM pg_class WHERE relname LIKE 'pgqueuer%' AND relpersistence <> 'p'"
    )
    await connection.close()
    assert unlogged == 0


async def test_variables_of_the_environment_do_not_rename_the_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHANNEL", "elsewhere")
    monkeypatch.setenv("PGQUEUER_PREFIX", "other_")
    from gstable_server.plumbing.jobs import _Names

    assert _Names().channel == "ch_pgqueuer"
    assert _Names().queue_table == "pgqueuer"


async def _enqueue(database: Database, number: int) -> None:
    async with database.begin() as tx:
        for index in range(number):
            await QUEUE.enqueue(tx, "count", str(index))


async def _until(condition: asyncio.Event) -> None:
    await asyncio.wait_for(condition.wait(), 60)


async def test_a_worker_opens_a_lost_connection_again(
    database: Database, database_url: str
) -> None:
    stop, ran = asyncio.Event(), asyncio.Event()

    async def handler(_payload: bytes) -> None:
        ran.set()

    worker = asyncio.create_task(run_worker(database_url, {"count": handler}, stop))
    await _enqueue(database, 1)
    await _until(ran)
    ran.clear()
    async with database.read() as tx:
        killed = await tx.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'gstable-jobs' AND datname = current_database()"
        )
    assert killed == 1
    await _enqueue(database, 1)
    await _until(ran)
    stop.set()
    await worker


async def test_no_more_jobs_run_at_a_time_than_allowed(
    database: Database, database_url: str
) -> None:
    stop, done, two = asyncio.Event(), asyncio.Event(), asyncio.Event()
    running = most = finished = 0

    async def handler(_payload: bytes) -> None:
        nonlocal running, most, finished
        running += 1
        most = max(most, running)
        if running == 2:
            two.set()
        await _until(two)
        await asyncio.sleep(0.05)
        running -= 1
        finished += 1
        if finished == 20:
            done.set()

    await _enqueue(database, 20)
    worker = asyncio.create_task(run_worker(database_url, {"count": handler}, stop, concurrency=4))
    await _until(done)
    stop.set()
    await worker
    assert 2 <= most <= 4


async def test_a_stopping_worker_lets_its_jobs_finish(
    database: Database, database_url: str
) -> None:
    stop, started = asyncio.Event(), asyncio.Event()
    finished = []

    async def handler(payload: bytes) -> None:
        started.set()
        await asyncio.sleep(0.5)
        finished.append(payload)

    await _enqueue(database, 1)
    worker = asyncio.create_task(run_worker(database_url, {"count": handler}, stop))
    await _until(started)
    stop.set()
    await worker
    assert finished == [b"0"]
