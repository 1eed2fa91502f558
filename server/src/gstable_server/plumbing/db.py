"""PostgreSQL: the only BEGIN and COMMIT of the code base.

A ``Tx`` is one open transaction with everything an operation may need of the outside: the
connection, the time, the mint of identifiers, and ``tell``. Nothing is queued after the commit:
events are rows of the same transaction, so a crash loses both or neither.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

import asyncpg
import msgspec

from gstable_server.kernel.clock import Clock
from gstable_server.kernel.errors import Passing
from gstable_server.kernel.ids import I, IdMint
from gstable_server.plumbing import events, tracing
from gstable_server.plumbing.json_text import encode_json
from gstable_server.plumbing.system import SharedClock

P = ParamSpec("P")
R = TypeVar("R")

ATTEMPTS = 3
FREE_WITHIN_SECONDS = 10.0
ASKED_AGAIN_SECONDS = 30.0
"""How often the database is asked for its time, where all processes go by it."""

DRIVER_FAILED = (asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver itself raises when a connection ends in the middle of something."""


class DatabaseBusy(Passing):
    """No connection became free in time."""


DATABASE_FAILED = (OSError, asyncpg.PostgresError, DatabaseBusy, *DRIVER_FAILED)
"""What a lost, late or refusing database raises; a ``TimeoutError`` is an ``OSError``."""


SILENCE_SECONDS = 6
"""How long a process may keep locks without a sign of life; others take over within 10 seconds.
No transaction waits for anything outside, so an honest one is never silent for that long."""

# A process that is frozen keeps its connection; of a machine that is cut off nobody hears the end.
# The server closes both, and what they held is free. Without effect on Unix sockets, all but the
# first; what waits there to be read is the concern of ``stuck``.
LETS_GO = {
    "idle_in_transaction_session_timeout": str(SILENCE_SECONDS * 1000),
    "tcp_keepalives_idle": str(SILENCE_SECONDS // 2),
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": str(SILENCE_SECONDS // 2),
    "tcp_user_timeout": str(SILENCE_SECONDS * 1000),
}


# A plan is kept for minutes, and made once however many rows its statement is for: planning cost
# more than most statements do. In that time a table grows from nothing to thousands of rows, so
# what one page would make cheap to read whole is looked up in its index all the same. And nothing
# is compiled, which is done anew each time: a plan that must do what is switched off for a moment
# counts as so dear that each look at an empty outbox took a third of a second.
PLANS = {"plan_cache_mode": "force_generic_plan", "random_page_cost": "0.25", "jit": "off"}


class Tx:
    """One transaction. ``now`` is the same instant for the whole of it.

    ``begin`` opens it before the first statement that needs it open. What reads before that sees
    what is committed, as each statement of a transaction does; and what writes in a single
    statement is whole by itself. So a request that looks something up and then writes once pays
    for no BEGIN and COMMIT.
    """

    __slots__ = ("_begin", "_events", "_ids", "_written", "connection", "now")

    def __init__(
        self,
        connection: asyncpg.Connection[Any],
        now: datetime,
        ids: IdMint,
        begin: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.connection = connection
        self.now = now
        self._ids = ids
        self._begin = begin
        self._events: list[events.Event] = []
        self._written: events.Write | None = None

    def mint(self, kind: type[I]) -> I:
        """A new identifier of ``kind``."""
        return self._ids.mint(kind)

    @property
    def ids(self) -> IdMint:
        """The mint itself, for merchant identifiers and secrets."""
        return self._ids

    def tell(self, event: events.Event) -> None:
        """Stage ``event``; it is written with this transaction, or not at all."""
        if tracing.is_on():
            event = replace(event, trace_parent=tracing.current())
        self._events.append(event)

    async def write(self, sql: str, *values: Any) -> None:
        """Do one statement that answers nothing: before the next one, or with the events in one
        statement at the end."""
        if self._written is not None:
            await self._open()
        self._written = events.Write(sql, values)

    async def flush(self) -> None:
        """Write the staged events now, within the transaction; the relay does before its end."""
        if self._events:
            await self._open()
        await self.finish()

    async def finish(self) -> None:
        """Write what is still staged, right before the commit: in one statement, which needs no
        transaction when nothing was written before."""
        if self._events:
            written, self._written = self._written, None
            await events.write(self.connection, self._events, self.now, self._ids, written)
            self._events.clear()
        elif self._written is not None:
            await self._write()

    async def look_up(self, sql: str, *values: Any) -> asyncpg.Record | None:
        """The row of a plain SELECT, which locks nothing; no transaction is opened for it."""
        if self._written is not None:
            await self._open()
        return await self.connection.fetchrow(sql, *values)

    async def fetch(self, sql: str, *values: Any) -> list[asyncpg.Record]:
        await self._open()
        rows: list[asyncpg.Record] = await self.connection.fetch(sql, *values)
        return rows

    async def fetchrow(self, sql: str, *values: Any) -> asyncpg.Record | None:
        await self._open()
        return await self.connection.fetchrow(sql, *values)

    async def fetchval(self, sql: str, *values: Any) -> Any:
        await self._open()
        return await self.connection.fetchval(sql, *values)

    async def execute(self, sql: str, *values: Any) -> str:
        await self._open()
        status: str = await self.connection.execute(sql, *values)
        return status

    async def execute_beside(self, sql: str, *values: Any) -> str:
        """The same in one statement with what was to be done before it; neither needs the other."""
        written, self._written = self._written, None
        if written is None:
            return await self.execute(sql, *values)
        return await self.execute(
            events.beside(sql, written.sql, len(values)), *values, *written.values
        )

    async def _open(self) -> None:
        """Open the transaction, and do what was to be done before the next statement."""
        if self._begin is not None:
            begin, self._begin = self._begin, None
            await begin()
        if self._written is not None:
            await self._write()

    async def _write(self) -> None:
        assert self._written is not None, "asked before"
        written, self._written = self._written, None
        await self.connection.execute(written.sql, *written.values)


def _hear_of_the_end(connection: asyncpg.Connection[Any]) -> None:
    """Have the kernel end a connection whose server is cut off: without this the answer to a
    statement is waited for as long as the machine runs."""
    transport: asyncio.Transport = connection._transport
    line: socket.socket = transport.get_extra_info("socket")
    if line.family == socket.AF_UNIX:
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", SILENCE_SECONDS // 2),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", SILENCE_SECONDS // 2),
        ("TCP_USER_TIMEOUT", SILENCE_SECONDS * 1000),
    ):
        if hasattr(socket, name):  # not every system has each of them
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _prepare(connection: asyncpg.Connection[Any]) -> None:
    """JSON columns as Python values on both sides."""
    _hear_of_the_end(connection)
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name,
            schema="pg_catalog",
            format="text",
            encoder=lambda value: encode_json(value).decode(),
            decoder=msgspec.json.decode,
        )


async def _keep(_connection: asyncpg.Connection[Any]) -> None:
    """Nothing to reset on release: locks and settings are all of the transaction, never of the
    connection, and the pool's usual reset would cost every request a round trip."""


_NEVER = 2**62
"""So many queries until a connection is replaced by a new one."""


async def _open_pool(url: str, name: str, **sizes: float) -> asyncpg.Pool[Any]:
    """``name`` says in ``pg_stat_activity`` whose connections these are."""
    return await asyncpg.create_pool(
        url,
        init=_prepare,
        reset=_keep,
        server_settings={
            "application_name": name,
            "timezone": "UTC",
            "statement_timeout": "30000",
            **LETS_GO,
            **PLANS,
        },
        **sizes,
    )


class Database:
    """The pool of connections, and the one way to open a transaction."""

    def __init__(
        self, pool: asyncpg.Pool[Any], clock: Clock, ids: IdMint, url: str | None = None
    ) -> None:
        self.pool = pool
        self.clock = clock
        self.ids = ids
        self._url = url

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        clock: Clock,
        ids: IdMint,
        size: int = 10,
        name: str = "gstable",
        at_once: bool = True,
    ) -> Database:
        """Open the pool. ``name`` says in ``pg_stat_activity`` whose connections these are. Raises
        the driver's error when the server cannot be reached; without ``at_once`` whoever first
        needs a connection finds out."""
        pool = await _open_pool(url, name, min_size=1 if at_once else 0, max_size=size)
        return cls(pool, clock, ids, url)

    async def close(self) -> None:
        await self.pool.close()

    @asynccontextmanager
    async def apart(self, name: str) -> AsyncIterator[Database]:
        """One connection more, which is nobody else's and stays the same to the end: work that
        takes minutes leaves those of the pool to others, and its temporary tables last. When it is
        lost the next connection has none of them."""
        assert self._url is not None, "only what was connected can be connected again"
        pool = await _open_pool(
            self._url,
            name,
            min_size=0,
            max_size=1,
            max_queries=_NEVER,
            max_inactive_connection_lifetime=0,
        )
        try:
            yield Database(pool, self.clock, self.ids, self._url)
        finally:
            await pool.close()

    async def answers(self, *, within_seconds: float) -> bool:
        """True if the database answers a query in that time; for readiness checks."""
        try:
            async with asyncio.timeout(within_seconds), self.pool.acquire() as connection:
                await connection.fetchval("SELECT 1")
        except DATABASE_FAILED:
            return False
        return True

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """One of the pool. Raises ``DatabaseBusy`` when none is free for ``FREE_WITHIN_SECONDS``:
        who waits longer is better told to come again."""
        try:
            async with asyncio.timeout(FREE_WITHIN_SECONDS):
                connection = await self.pool.acquire()
        except TimeoutError:
            raise DatabaseBusy("no database connection is free", retry_after=1) from None
        try:
            if isinstance(self.clock, SharedClock) and self.clock.age_seconds > ASKED_AGAIN_SECONDS:
                asked_at = self.clock.passed()
                self.clock.tell(await connection.fetchval("SELECT clock_timestamp()"), asked_at)
            yield connection
        finally:
            await self.pool.release(connection)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        """A transaction: committed with its events at the end, rolled back on any exception."""
        async with self._connection() as connection, AsyncExitStack() as stack:

            async def begin() -> None:
                await stack.enter_async_context(connection.transaction())

            tx = Tx(connection, self.clock.now(), self.ids, begin)
            yield tx
            await tx.finish()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """A connection for single reads: no BEGIN and COMMIT to pay for, and nothing to tell."""
        async with self._connection() as connection:
            yield Tx(connection, self.clock.now(), self.ids)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Tx]:
        """Reads that all see the database as it is at the first of them; nothing can be written. It
        must not be idle for ``SILENCE_SECONDS``."""
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Tx(connection, self.clock.now(), self.ids)

    async def run(
        self,
        operation: Callable[Concatenate[Tx, P], Awaitable[R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run ``operation`` in a transaction of its own, again if the database asks for it.

        Deadlocks and serialization failures have changed nothing, so they are tried again; a
        connection lost during the commit is not, because the outcome is unknown: callers with an
        idempotency key find out by asking again.
        """
        for attempt in range(ATTEMPTS):
            try:
                async with self.begin() as tx:
                    return await operation(tx, *args, **kwargs)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")
