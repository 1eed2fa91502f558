"""Notifications of the database (LISTEN and NOTIFY): sooner than the clock, and never instead of
it, because one that is sent while nobody listens is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import asyncpg
import structlog

from gstable_server.plumbing.db import Database

log = structlog.get_logger(__name__)

RECONNECT_SECONDS = 1.0
_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


async def listen(db: Database, channel: str, heard: Callable[[], None]) -> None:
    """Call ``heard`` for every notification of ``channel``, and once whenever listening begins,
    until it is cancelled. Holds a connection of the pool; one that is lost is opened again."""

    def on_notification(_: str) -> None:
        heard()

    await listen_to(db, {channel: on_notification}, heard)


async def listen_to(
    db: Database, channels: Mapping[str, Callable[[str], None]], began: Callable[[], None]
) -> None:
    """The same for several channels on one connection: each one's own function gets what the
    notification says, and ``began`` is called whenever listening begins."""
    task = asyncio.current_task()
    assert task is not None
    # Asked, because a connection that is lost while it is given back hides the cancellation.
    while not task.cancelling():
        try:
            await _listen_once(db, channels, began)
        except _LOST as failure:
            log.warning("listening lost the database", channels=[*channels], error=str(failure))
        await asyncio.sleep(RECONNECT_SECONDS)


async def _listen_once(
    db: Database, channels: Mapping[str, Callable[[str], None]], began: Callable[[], None]
) -> None:
    lost = asyncio.Event()

    def on_notification(_connection: object, _pid: int, channel: str, payload: object) -> None:
        channels[channel](str(payload))

    def on_end(*_: object) -> None:
        lost.set()

    async with db.pool.acquire() as connection:
        connection.add_termination_listener(on_end)
        try:
            for channel in channels:
                await connection.add_listener(channel, on_notification)
            began()
            await lost.wait()
        finally:
            connection.remove_termination_listener(on_end)
            for channel in channels:
                if not connection.is_closed():
                    await connection.remove_listener(channel, on_notification)
