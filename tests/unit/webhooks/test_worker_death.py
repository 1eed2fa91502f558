"""A worker that dies in the middle of a delivery: another one takes it over."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gstable_server.plumbing.db import Database
from tests.unit.webhooks.support import (
    attempts,
    hang,
    messages,
    new_endpoint,
    new_tenant,
    receiving,
    status,
    tell,
)

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def worker(database_url: str, repository: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process; ended without warning at the latest with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("worker.py")),
        database_url,
        env={**os.environ, "PYTHONPATH": str(repository / "server" / "src")},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def workers_connected(db: Database) -> int:
    async with db.read() as tx:
        number: int = await tx.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'gstable-jobs' AND datname = current_database()"
        )
    return number


async def test_whk_10_another_worker_delivers_what_a_killed_one_had_sent(
    database: Database, database_url: str, repository: Path
) -> None:
    async def second_is_up() -> bool:
        return await workers_connected(database) == 2

    async def delivered() -> bool:
        return [message.state for message in await messages(database)] == ["delivered"]

    async with (
        receiving(hang, status(200)) as receiver,
        worker(database_url, repository) as first,
    ):
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await asyncio.wait_for(receiver.arrived.wait(), 20)
        async with worker(database_url, repository):
            await eventually(second_is_up, 20)
            first.kill()
            await first.wait()
            await eventually(delivered, 10)
        one, two = receiver.letters
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert one.body == two.body
    assert [row["status_code"] for row in await attempts(database)] == [200]


async def test_a_worker_delivers_and_tries_again_by_itself(
    database: Database, database_url: str, repository: Path
) -> None:
    async def delivered() -> bool:
        return [message.state for message in await messages(database)] == ["delivered"]

    async with receiving(status(500), status(200)) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        async with worker(database_url, repository):
            await eventually(delivered, 20)
        assert len(receiver.letters) == 2
    assert [row["status_code"] for row in await attempts(database)] == [500, 200]
