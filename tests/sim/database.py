"""The database as the application sees it: a real PostgreSQL behind connections that fail.

``SimPool`` stands where ``Database`` keeps asyncpg's pool, so that ``Database`` itself, with its
BEGIN, COMMIT and second attempts, is under test too. The functions of PostgreSQL that tell the
time are shadowed by functions that tell the simulation's.

Every history begins with an empty database, on one connection. One transaction runs at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from types import TracebackType
from typing import Any

import asyncpg

from gstable_server.plumbing.db import Database, _prepare
from tests.sim.kernel import Crash, Kernel, Process, Violation
from tests.sim.line import Line

SHADOWS = """
CREATE SCHEMA IF NOT EXISTS sim;
CREATE OR REPLACE FUNCTION sim.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT current_setting('sim.now')::timestamptz $$;
CREATE OR REPLACE FUNCTION sim.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT current_setting('sim.now')::timestamptz $$;
CREATE OR REPLACE FUNCTION sim.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT current_setting('sim.now')::timestamptz $$;
"""
QUIET = """
DO $$
DECLARE one regclass;
BEGIN
    FOR one IN SELECT oid FROM pg_class WHERE relkind = 'r'
        AND relnamespace = 'public'::regnamespace
    LOOP EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', one); END LOOP;
END
$$
"""
"""Nothing happens in the database that the seed did not decide."""
USED = """
SELECT string_agg(format('%I', relname), ', ' ORDER BY relname) FROM pg_class
WHERE relkind = 'r' AND relname <> 'alembic_version' AND relnamespace = 'public'::regnamespace
AND pg_relation_size(oid) > 0
"""
RESTART = "SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence"
FAILED_STATEMENTS = ("crash", "lost", "deadlock", "serialization")
FAILED_COMMITS = ("crash", "crash after", "lost", "lost after", "serialization")


@dataclass
class DatabaseFaults:
    """How often the database fails: one of so many statements, and one of so many commits.

    0 is never. ``crashes`` says whether a process may die there too.
    """

    chance: Random
    statements: int = 0
    commits: int = 0
    crashes: bool = True

    def at_statement(self) -> str | None:
        return self._draw(self.statements, FAILED_STATEMENTS)

    def at_commit(self) -> str | None:
        return self._draw(self.commits, FAILED_COMMITS)

    def _draw(self, one_of: int, kinds: tuple[str, ...]) -> str | None:
        if not one_of or self.chance.randrange(one_of):
            return None
        kind = self.chance.choice(kinds)
        return kind if self.crashes or not kind.startswith("crash") else None


class Server:
    """The one real connection, and what all processes share of it."""

    def __init__(self, kernel: Kernel, connection: Any, faults: DatabaseFaults) -> None:
        self.kernel = kernel
        self.connection = connection
        self.line: Line = connection._transport
        self.faults = faults
        self.told = 0
        """Commits that told events."""
        self.posted = 0
        """Commits that posted letters."""
        self.settled = 0
        """Commits that moved crossings."""
        self.intended = 0
        """Commits that want something sent."""
        self._told: datetime | None = None

    def note_commit(self, statements: Sequence[str]) -> None:
        """Which loops have something to do again."""
        self.told += any("INTO outbox" in sql for sql in statements)
        self.posted += any("INTO webhook_messages" in sql for sql in statements)
        self.settled += any("INTO settlements" in sql for sql in statements)
        self.intended += any("INTO executor_intents" in sql for sql in statements)

    @property
    def setting(self) -> str:
        """The statement that tells the server the time, empty when it knows."""
        wanted = self.kernel.now
        if wanted is self._told:
            return ""
        self._told = wanted
        return f"SET sim.now = '{wanted.isoformat()}'"

    def forget_setting(self) -> None:
        """A rollback undoes settings too."""
        self._told = None


async def connect(url: str) -> Any:
    """The connection of all histories, one after the other."""
    connection = await asyncpg.connect(
        url,
        # Every statement of the product is prepared once.
        statement_cache_size=1000,
        max_cached_statement_lifetime=0,
        server_settings={
            "application_name": "gstable-sim",
            "timezone": "UTC",
            "search_path": "sim, pg_catalog, public",
            "synchronous_commit": "off",
            "jit": "off",
            # A plan must not depend on how often a statement was asked before.
            "plan_cache_mode": "force_generic_plan",
        },
    )
    await _prepare(connection)
    return connection


async def empty(connection: Any) -> None:
    """No rows, and sequences from the start. Truncated, because what is deleted leaves holes that
    decide where the next history's rows are put, and so their order."""
    tables = await connection.fetchval(USED)
    if tables is not None:
        # The triggers of append-only tables do not fire for a replica.
        await connection.execute(
            "SET session_replication_role = replica;"
            f"TRUNCATE {tables} CASCADE;"
            "SET session_replication_role = origin"
        )
    await connection.execute(RESTART)


def database_of(server: Server, process: Process, ids: Any) -> Database:
    """The application's own ``Database``, over the failing pool."""
    return Database(SimPool(server, process), process.clock, ids)  # type: ignore[arg-type]


class SimPool:
    """What ``Database`` asks of asyncpg's pool."""

    def __init__(self, server: Server, process: Process) -> None:
        self._server = server
        self._process = process

    def acquire(self) -> _Lease:
        return _Lease(self)

    async def take(self) -> SimConnection:
        """Wait for the turn to be in the database."""
        kernel = self._server.kernel
        if kernel.holder is not None and kernel.holder is asyncio.current_task():
            raise Violation("S4", f"{self._process.name} opens a connection in a transaction")
        await kernel.park(self._process, "database")
        kernel.enter_database()
        return SimConnection(self._server, self._process)

    async def release(self, _connection: SimConnection) -> None:
        self._server.kernel.leave_database()


class _Lease:
    """What ``acquire`` answers: to be awaited, or entered."""

    def __init__(self, pool: SimPool) -> None:
        self._pool = pool
        self._connection: SimConnection | None = None

    def __await__(self) -> Generator[Any, None, SimConnection]:
        return self._pool.take().__await__()

    async def __aenter__(self) -> SimConnection:
        self._connection = await self._pool.take()
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        assert self._connection is not None
        await self._pool.release(self._connection)


class SimConnection:
    """A connection that may end, and a process that may die, at any statement."""

    def __init__(self, server: Server, process: Process) -> None:
        self._server = server
        self._process = process
        self._real = server.connection
        self._line = server.line
        self._in_transaction = False
        self._lost = False
        self._failed = False
        self._statements: list[str] = []

    # What the application calls.

    async def fetch(self, sql: str, *values: Any) -> Any:
        return self._do(self._rows, sql, values)

    async def fetchrow(self, sql: str, *values: Any) -> Any:
        return self._do(self._row, sql, values)

    async def fetchval(self, sql: str, *values: Any) -> Any:
        row = self._do(self._row, sql, values)
        return None if row is None else row[0]

    async def execute(self, sql: str, *values: Any) -> Any:
        # Nobody asks what a setting answers.
        ask = self._set if sql.startswith("SET LOCAL") else self._status
        return self._do(ask, sql, values)

    def _rows(self, sql: str, values: tuple[Any, ...]) -> Any:
        return self._line.ask(self._real, sql, values)[0]

    def _row(self, sql: str, values: tuple[Any, ...]) -> Any:
        rows, _ = self._line.ask(self._real, sql, values, limit=1)
        return rows[0] if rows else None

    def _status(self, sql: str, values: tuple[Any, ...]) -> str:
        return self._line.ask(self._real, sql, values)[1].decode()

    def _set(self, sql: str, _values: tuple[Any, ...]) -> None:
        for setting in sql.split(";"):
            self._line.send_ahead(setting)

    def transaction(self) -> SimTransaction:
        return SimTransaction(self)

    def is_closed(self) -> bool:
        return self._lost

    def _do(self, ask: Any, sql: str, values: tuple[Any, ...]) -> Any:
        self._statements.append(sql)
        self._check()
        if not self._in_transaction and (setting := self._server.setting):
            self._line.set_ahead(setting)
        fault = self._server.faults.at_statement()
        if fault is None:
            return self._ask(ask, sql, values)
        answered = fault.split()[0] not in {"crash", "lost"}
        if not (self._in_transaction or answered) and self._server.faults.chance.random() < 0.5:
            # Without a transaction nobody knows whether the statement was still done, unless the
            # database itself says that it was not.
            self._ask(ask, sql, values)
            self._server.kernel.note("done all the same")
        return self._fail(fault, f"statement {len(self._statements)}")

    def _ask(self, ask: Any, sql: str, values: tuple[Any, ...]) -> Any:
        try:
            return ask(sql, values)
        except asyncpg.PostgresError:
            self._failed = True
            raise

    def _check(self) -> None:
        if self._process.dead:
            raise Crash
        if self._lost:
            raise asyncpg.InterfaceError("connection is closed")
        if self._failed and self._in_transaction:
            raise asyncpg.InFailedSQLTransactionError("current transaction is aborted")

    def _fail(self, fault: str, where: str) -> None:
        kernel = self._server.kernel
        kernel.note(f"{fault} at {where}")
        self._failed = True
        match fault.split()[0]:
            case "crash":
                kernel.kill(self._process)
                raise Crash
            case "lost":
                self._lost = True
                raise asyncpg.ConnectionDoesNotExistError("connection was closed")
            case "deadlock":
                raise asyncpg.DeadlockDetectedError("deadlock detected")
            case _:
                raise asyncpg.SerializationError("could not serialize access")

    # What a transaction calls.

    async def begin(self) -> None:
        self._check()
        self._line.send_ahead("BEGIN")
        if setting := self._server.setting:
            self._line.set_ahead(setting)
        self._in_transaction = True

    async def commit(self) -> None:
        if self._lost:
            await self.roll_back()
            raise asyncpg.InterfaceError("connection is closed")
        if self._failed or self._process.dead:
            # PostgreSQL answers the COMMIT of a failed transaction with a rollback.
            await self.roll_back()
            return
        fault = self._server.faults.at_commit()
        if fault is None or fault.endswith("after"):
            # No constraint of ours is deferred to the commit, so that it cannot fail.
            self._line.send_ahead("COMMIT")
            self._server.note_commit(self._statements)
            self._end("committed")
        else:
            await self.roll_back()
        if fault is not None:
            self._fail(fault, "the commit")

    async def roll_back(self) -> None:
        self._line.send_ahead("ROLLBACK")
        self._server.forget_setting()
        self._end("rolled back")

    def _end(self, outcome: str) -> None:
        self._in_transaction = False
        self._server.kernel.note(f"{len(self._statements)} statements {outcome}")


class SimTransaction:
    """BEGIN, and COMMIT or ROLLBACK."""

    def __init__(self, connection: SimConnection) -> None:
        self._connection = connection

    async def __aenter__(self) -> None:
        await self._connection.begin()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self._connection.commit()
        else:
            await self._connection.roll_back()
