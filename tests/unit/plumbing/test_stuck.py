"""A connection whose process does not read on is ended; others are left alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from gstable_server.plumbing import stuck
from gstable_server.plumbing.db import DRIVER_FAILED, SILENCE_SECONDS, Database
from tests.running import eventually_async

pytestmark = pytest.mark.anyio

HUGE = "SELECT repeat('x', 1000) FROM generate_series(1, 3000)"


@pytest.mark.parametrize(("name", "ends"), [("gstable worker", True), ("pg_dump", False)])
async def test_a_frozen_process_in_the_middle_of_an_answer_lets_go(
    database_url: str, database: Database, name: str, ends: bool
) -> None:
    frozen = await asyncpg.connect(database_url, server_settings={"application_name": name})
    await frozen.execute("BEGIN; SELECT pg_advisory_xact_lock(7)")
    statement = await frozen.prepare(HUGE)
    frozen._transport.pause_reading()
    reading = asyncio.create_task(statement.fetch())
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'"
    async with database.read() as tx:
        await eventually_async(lambda: tx.fetchval(waiting), "the server waits for the reader", 10)
        assert await stuck.end(tx, timedelta(minutes=1)) == 0, "it may only be slow"
        assert await stuck.end(tx, timedelta(0)) == int(ends)
        if ends:
            taken = "SELECT pg_try_advisory_xact_lock(7)"
            await eventually_async(lambda: tx.fetchval(taken), "its lock is free")
    if not ends:
        frozen._transport.resume_reading()
        await reading
        await frozen.close()
        return
    frozen.terminate()
    with pytest.raises((asyncpg.PostgresError, OSError, *DRIVER_FAILED)):
        await reading


async def test_a_transaction_without_a_sign_of_life_is_ended_soon(database: Database) -> None:
    async with database.read() as tx:
        shown = await tx.fetchval("SHOW idle_in_transaction_session_timeout")
    assert shown == f"{SILENCE_SECONDS}s"
    assert SILENCE_SECONDS + 2 < 10, "an appointment later, others have taken over"
