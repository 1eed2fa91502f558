"""The pool hands out connections on which nothing is open."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.events import Event
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


async def test_a_look_and_one_write_with_its_event_are_two_statements(database: Database) -> None:
    asked: list[str] = []
    async with database.begin() as tx:
        await tx.execute("CREATE TABLE things (name text PRIMARY KEY)")
    async with database.begin() as tx:
        with tx.connection.query_logger(lambda query: asked.append(query.query.split()[0])):
            assert await tx.look_up("SELECT name FROM things") is None
            await tx.write("INSERT INTO things VALUES ($1)", "one")
            tx.tell(Event("thing.made", "one", {"name": "one"}))
            await tx.finish()
    # The driver asks for types besides, the first time.
    assert "BEGIN;" not in asked
    assert "INSERT" not in asked
    async with database.read() as tx:
        assert await tx.fetchval("SELECT name FROM things") == "one"
        assert await tx.fetchval("SELECT payload->>'name' FROM events") == "one"
        assert await tx.fetchval("SELECT count(*) FROM outbox") == 1


@pytest.mark.parametrize("last", ["write", "execute", "execute_beside"])
async def test_of_several_writes_all_are_done_or_none(database: Database, last: str) -> None:
    async with database.begin() as tx:
        await tx.execute("CREATE TABLE things (name text PRIMARY KEY)")

    async def write(two: str) -> None:
        async with database.begin() as tx:
            await tx.write("INSERT INTO things VALUES ($1)", "one")
            await getattr(tx, last)("INSERT INTO things SELECT $1", two)
            tx.tell(Event("thing.made", "one", {}))

    with pytest.raises(asyncpg.UniqueViolationError):
        await write("one")
    async with database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM things") == 0
    await write("two")
    async with database.read() as tx:
        assert await tx.fetchval("SELECT array_agg(name ORDER BY name) FROM things") == [
            "one",
            "two",
        ]
        assert await tx.fetchval("SELECT count(*) FROM events") == 1


async def test_what_was_to_be_written_is_there_for_the_next_statement(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute("CREATE TABLE things (name text PRIMARY KEY)")
    with pytest.raises(ValueError, match="no"):
        async with database.begin() as tx:
            await tx.write("INSERT INTO things VALUES ($1)", "one")
            assert await tx.look_up("SELECT name FROM things") is not None
            raise ValueError("no")
    async with database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM things") == 0


async def test_nothing_is_compiled_whatever_the_database_does_by_default(
    database_url: str, database: Database
) -> None:
    async with database.pool.acquire() as connection:
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(f"ALTER DATABASE {name} SET jit = on")
        try:
            one = await Database.connect(database_url, clock=database.clock, ids=database.ids)
            async with one.read() as tx:
                compiles = await tx.fetchval("SHOW jit")
            await one.close()
        finally:
            await connection.execute(f"ALTER DATABASE {name} RESET jit")
    assert compiles == "off"
