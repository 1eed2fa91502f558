"""When a worker relays events (``outbox``), and how many batches at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.events import CHANNEL
from gstable_server.plumbing.outbox import BATCH
from gstable_server.plumbing.regularly import pause
from gstable_server.plumbing.wakeups import listen

PAUSE_SECONDS = 0.1
MANY = BATCH // 2
"""Of a full batch some may wait behind events that fail, or are another's: so many are handled
while many wait, because the rest is set aside (``outbox``)."""

Turn = Callable[[], Awaitable[int | None]]
"""Relays one batch; answers how many events were handled, None where that failed."""


async def keep_relaying(db: Database, turn: Turn, stop: asyncio.Event) -> None:
    """Take one turn after the other until ``stop``. What is told of a chain is heard of at once,
    the rest at the latest after a pause.

    While many wait, two turns are taken at a time: on the events of one is decided here while the
    database reads or writes for the other.
    """
    told, many = asyncio.Event(), asyncio.Event()
    beside = [
        asyncio.create_task(listen(db, CHANNEL, told.set)),
        asyncio.create_task(_help(turn, many)),
    ]
    try:
        while not stop.is_set():
            told.clear()
            handled = await turn()
            if _is_many(handled):
                many.set()
            if not handled:
                await pause(told, PAUSE_SECONDS)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def _help(turn: Turn, many: asyncio.Event) -> None:
    """Take turns beside the other whenever there are ``many`` events, until cancelled: what is cut
    off is rolled back."""
    task = asyncio.current_task()
    assert task is not None
    # Asked, because a connection that is lost while it is given back hides the cancellation.
    while not task.cancelling():
        await many.wait()
        if not _is_many(await turn()):
            many.clear()


def _is_many(handled: int | None) -> bool:
    return handled is not None and handled >= MANY
