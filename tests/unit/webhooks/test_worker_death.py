"""A worker that dies in the middle of a delivery: another one takes it over."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from gstable_server.plumbing.db import Database
from gstable_server.webhooks.store_queue import Claim, claim
from tests.unit.webhooks.support import (
    attempts,
    hang,
    lapse_leases,
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


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while not await condition():
            await asyncio.sleep(0.05)


async def delivered(db: Database) -> bool:
    return {message.state for message in await messages(db)} == {"delivered"}


async def test_whk_10_another_worker_delivers_what_a_killed_one_was_sending(
    database: Database, database_url: str, repository: Path
) -> None:
    async with (
        receiving(hang, status(200)) as receiver,
        worker(database_url, repository) as first,
    ):
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        await asyncio.wait_for(receiver.arrived.wait(), 60)
        first.kill()
        await first.wait()
        await lapse_leases(database)
        async with worker(database_url, repository):
            await eventually(lambda: delivered(database))
        one, two = receiver.letters
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert one.body == two.body
    assert [row["status_code"] for row in await attempts(database)] == [200]


async def test_whk_10_another_worker_sends_what_a_killed_one_had_only_claimed(
    database: Database, database_url: str, repository: Path
) -> None:
    async with receiving() as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        async with database.begin() as tx:
            [claimed] = await claim(tx, "", Claim(1, 1, 1, timedelta(seconds=0.5)))
        async with worker(database_url, repository):
            await eventually(lambda: delivered(database))
        [letter] = receiver.letters
    assert letter.headers["webhook-id"] == claimed.event_id


async def test_whk_10_a_worker_killed_while_it_records_is_followed_by_a_second_letter(
    database: Database, database_url: str, repository: Path
) -> None:
    async def waits_for_our_lock() -> bool:
        async with database.read() as tx:
            waiting: bool = await tx.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
            )
        return waiting

    async with receiving() as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        async with database.begin() as tx:
            await tx.execute("LOCK TABLE webhook_attempts IN EXCLUSIVE MODE")
            async with worker(database_url, repository) as first:
                await asyncio.wait_for(receiver.arrived.wait(), 60)
                await eventually(waits_for_our_lock)
                first.kill()
                await first.wait()
            assert len(receiver.letters) == 1
            assert [message.state for message in await messages(database)] == ["pending"]
        await lapse_leases(database)
        async with worker(database_url, repository):
            await eventually(lambda: delivered(database))
        one, two = receiver.letters
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert len(await attempts(database)) == 1


async def test_a_worker_delivers_and_tries_again_by_itself(
    database: Database, database_url: str, repository: Path
) -> None:
    async with receiving(status(500), status(200)) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        async with worker(database_url, repository):
            await eventually(lambda: delivered(database))
        assert len(receiver.letters) == 2
    assert [row["status_code"] for row in await attempts(database)] == [500, 200]
