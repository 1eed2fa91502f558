"""The pool hands out connections on which nothing is open."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SharedClock, SystemClock
from gstable_server.plumbing.testing import FakeClock

pytestmark = pytest.mark.anyio


async def test_a_transaction_left_open_is_not_handed_to_the_next_user(
    database_url: str, database: Database
) -> None:
    one = await Database.connect(database_url, clock=database.clock, ids=database.ids, size=1)
    try:
        async with one.pool.acquire() as connection:
            # What a rollback leaves behind that was itself cancelled.
            await connection.execute("BEGIN")
            await connection.execute("CREATE TABLE half_done ()")
        async with one.begin() as tx:
            assert await tx.fetchval("SELECT to_regclass('half_done')") is None
            await tx.execute("CREATE TABLE whole ()")
        async with database.read() as tx:
            assert await tx.fetchval("SELECT to_regclass('whole')") is not None
    finally:
        await one.close()


async def test_ops_02_a_deadlock_is_run_again(database: Database) -> None:
    tries = 0

    async def deadlocks_once(tx: object) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise asyncpg.DeadlockDetectedError
        return tries

    assert await database.run(deadlocks_once) == 2


@pytest.mark.parametrize("hours", [-1, 1])
async def test_api_34_machines_whose_clocks_are_wrong_go_by_the_databases(
    database_url: str, database: Database, hours: int
) -> None:
    wrong = FakeClock(SystemClock().now() + timedelta(hours=hours))
    clock = SharedClock(wrong)
    one = await Database.connect(database_url, clock=clock, ids=database.ids, size=1)
    try:
        async with one.begin() as tx:
            told, asked = tx.now, await tx.fetchval("SELECT clock_timestamp()")
        wrong.advance(3600)
        async with one.read() as tx:
            later = tx.now
    finally:
        await one.close()
    assert told <= asked < told + timedelta(minutes=30)
    assert told <= later < told + timedelta(minutes=30)
