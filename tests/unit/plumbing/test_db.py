"""The pool hands out connections on which nothing is open."""

from __future__ import annotations

import asyncpg
import pytest

from gstable_server.plumbing.db import Database

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
