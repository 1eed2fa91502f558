"""Durable work, queued in the transaction that makes it necessary: a narrow port over PgQueuer.

A job is a row of the same database: rolled back with its transaction, run at least once after the
commit. Handlers must therefore be harmless when they run twice. A handler that raises is tried
again with a growing wait; after ``ATTEMPTS`` tries its job is held with status ``failed`` for an
operator, never deleted. The fake is ``plumbing.testing_jobs.InMemoryJobs``; one test suite
(``tests/ports/test_jobs.py``) judges both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import asyncpg
import structlog
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.executors import (
    AbstractEntrypointExecutor,
    DatabaseRetryEntrypointExecutor,
    EntrypointExecutorParameters,
)
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import FailingListenerError
from pgqueuer.domain.models import Job
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import Channel
from pydantic_settings import PydanticBaseSettingsSource

from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.regularly import pause

log = structlog.get_logger(__name__)

JobHandler = Callable[[bytes], Awaitable[None]]
"""Runs one job; gets the payload. Must be harmless when it runs twice."""

ATTEMPTS = 10
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=5)
RECONNECT_SECONDS = 1.0

# A dead worker's jobs are seen TAKEOVER after its last sign of life, at the next look of another
# worker, POLL later at most: together well below ten seconds.
TAKEOVER = timedelta(seconds=5)
POLL = timedelta(seconds=1)
LOG_KEPT = timedelta(days=7)

# The driver says InternalClientError when its connection is ended in the middle of an exchange.
_LOST = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    FailingListenerError,
)


class Jobs(Protocol):
    """Where work is queued."""

    async def enqueue(
        self,
        tx: Tx,
        name: str,
        payload: bytes | str,
        *,
        run_at: datetime | None = None,
        dedupe_key: str | None = None,
    ) -> bool:
        """Queue a job for the handler called ``name``, in ``tx``: committed or lost with it.

        ``payload`` is small (identifiers, never content); text is stored as UTF-8. ``run_at`` is
        the earliest instant, by default at once. Returns False, and queues nothing, while a job
        with the same ``dedupe_key`` waits or runs.
        """


class _Names(DBSettings):
    """PgQueuer's own names for its tables. Not read from the environment, as PgQueuer would:
    a variable called ``CHANNEL`` or ``FUNCTION`` must not redirect the queue."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[Any],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


_NAMES = _Names()
_ENQUEUE = QueryQueueBuilder(_NAMES).build_enqueue_query("skip")


def install_sql() -> str:
    """What the installed PgQueuer would create: the text of migration ``0009_jobs.sql``."""
    environment = QueryBuilderEnvironment(_NAMES)
    return (
        environment.build_install_query()
        + "\n\n"
        + environment.build_optimize_autovacuum_query()
        + "\n"
    )


class PgQueuerJobs:
    """The real port. It has no state: the transaction carries the connection."""

    async def enqueue(
        self,
        tx: Tx,
        name: str,
        payload: bytes | str,
        *,
        run_at: datetime | None = None,
        dedupe_key: str | None = None,
    ) -> bool:
        body = payload.encode() if isinstance(payload, str) else payload
        # A wait instead of an instant: the queue counts it on the database's clock, so a server
        # whose own clock is wrong still waits the right time.
        wait = max(run_at - tx.now, timedelta(0)) if run_at else timedelta(0)
        # PgQueuer's statement with our arguments, because its own `enqueue` hands JSON headers
        # over as text, which the JSON codec of our connections would encode a second time.
        rows = await tx.fetch(_ENQUEUE, [0], [name], [body], [wait], [dedupe_key], [None])
        return bool(rows)


QUEUE: Jobs = PgQueuerJobs()
"""What operations enqueue into when nobody hands them another port."""


async def forget(tx: Tx) -> None:
    """Remove what the queue has noted of jobs longer than ``LOG_KEPT`` ago; for the timetable."""
    await tx.execute("DELETE FROM pgqueuer_log WHERE created < $1", tx.now - LOG_KEPT)


async def run_worker(
    database_url: str,
    handlers: Mapping[str, JobHandler],
    stop: asyncio.Event,
    *,
    concurrency: int = 50,
) -> None:
    """Run jobs until ``stop`` is set, at most ``concurrency`` (4 or more) at a time, then let the
    running ones finish.

    Jobs of names without a handler stay queued. A lost database connection is opened again. If
    this process dies, any other worker takes its jobs over after ``TAKEOVER``.
    """
    while not stop.is_set():
        try:
            await _serve(database_url, handlers, stop, concurrency)
        except _LOST as failure:
            log.warning("job worker lost the database", error=str(failure))
            await pause(stop, RECONNECT_SECONDS)


async def _serve(
    database_url: str, handlers: Mapping[str, JobHandler], stop: asyncio.Event, concurrency: int
) -> None:
    # A connection of its own: it listens, and PgQueuer expects JSON columns as text.
    connection = await asyncpg.connect(
        database_url,
        timeout=10,
        command_timeout=30,
        server_settings={"application_name": "gstable-jobs", "timezone": "UTC"},
    )
    try:
        manager = _manager(connection, handlers)
        relay = asyncio.create_task(_relay(stop, manager.shutdown))
        try:
            await manager.run(
                dequeue_timeout=POLL,
                batch_size=max(1, min(10, concurrency // 2)),
                max_concurrent_tasks=concurrency,
                shutdown_on_listener_failure=True,
                heartbeat_timeout=TAKEOVER,
            )
        finally:
            relay.cancel()
    finally:
        await connection.close(timeout=5)


def _manager(connection: Any, handlers: Mapping[str, JobHandler]) -> QueueManager:
    queries = Queries(
        AsyncpgDriver(connection),
        qbe=QueryBuilderEnvironment(_NAMES),
        qbq=QueryQueueBuilder(_NAMES),
        qbs=QuerySchedulerBuilder(_NAMES),
    )
    manager = QueueManager(queries, Channel(_NAMES.channel))
    for name, handler in handlers.items():
        # PgQueuer's default is to delete a job that failed for good: evidence is never erased.
        manager.entrypoint(
            name, accepts_context=False, on_failure="hold", executor_factory=_retrying
        )(_runner(handler))
    return manager


def _retrying(parameters: EntrypointExecutorParameters) -> AbstractEntrypointExecutor:
    return DatabaseRetryEntrypointExecutor(
        parameters, max_attempts=ATTEMPTS - 1, initial_delay=FIRST_WAIT, max_delay=LONGEST_WAIT
    )


def _runner(handler: JobHandler) -> Callable[[Job], Awaitable[None]]:
    async def run(job: Job) -> None:
        await handler(job.payload or b"")

    return run


async def _relay(stop: asyncio.Event, shutdown: asyncio.Event) -> None:
    await stop.wait()
    shutdown.set()
