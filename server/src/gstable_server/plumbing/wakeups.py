"""Notifications of the database (LISTEN and NOTIFY): sooner than the clock, and never instead of
it, because one that is sent while nobody listens is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import structlog

from gstable_server.plumbing.db import Database

log = structlog.get_logger(__name__)

RECONNECT_SECONDS = 1.0
_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


async def listen(db: Database, channel: str, heard: Callable[[], None]) -> None:
    """Call ``heard`` for every notification of ``channel``, and once whenever listening begins,
    until it is cancelled. Holds a connection of the pool; one that is lost is opened again."""
    task = asyncio.current_task()
    assert task is not None
    # Asked, because a connection that is lost while it is given back hides the cancellation.
    while not task.cancelling():
        try:
            await _listen_once(db, channel, heard)
        except _LOST as failure:
            log.warning("listening lost the database", channel=channel, error=str(failure))
        await asyncio.sleep(RECONNECT_SECONDS)


async def _listen_once(db: Database, channel: str, heard: Callable[[], None]) -> None:
    lost = asyncio.Event()

    def on_notification(*_: object) -> None:
        heard()

    def on_end(*_: object) -> None:
        lost.set()

    async with db.pool.acquire() as connection:
        connection.add_termination_listener(on_end)
        await connection.add_listener(channel, on_notification)
        try:
            heard()
            await lost.wait()
        finally:
            connection.remove_termination_listener(on_end)
            if not connection.is_closed():
                await connection.remove_listener(channel, on_notification)
