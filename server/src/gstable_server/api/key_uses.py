"""When each key was used last: written beside the requests, at most once a minute for each.

What is lost when the process dies is a minute of a date that nothing depends on.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

from gstable_server.accounts import operations as accounts
from gstable_server.kernel.ids import ApiKeyId
from gstable_server.plumbing.db import DATABASE_FAILED, Database

log = structlog.get_logger(__name__)

SECONDS_BETWEEN = 60.0
REMEMBERED_MAX = 10_000


class KeyUses:
    """Takes a note of every request in memory; one task at a time writes what is new."""

    def __init__(self, db: Database, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._monotonic = monotonic
        self._written: OrderedDict[ApiKeyId, float] = OrderedDict()
        self._waiting: dict[ApiKeyId, str] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, key_id: ApiKeyId, address: str) -> None:
        """A request with that key came from ``address``. Waits for nothing."""
        now = self._monotonic()
        before = self._written.get(key_id)
        if before is not None and now - before < SECONDS_BETWEEN:
            return
        self._written[key_id] = now
        self._written.move_to_end(key_id)
        if len(self._written) > REMEMBERED_MAX:
            self._written.popitem(last=False)
        self._waiting[key_id] = address
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def settle(self) -> None:
        """Wait until everything noted so far is written."""
        if self._task is not None:
            await self._task

    async def _write(self) -> None:
        while self._waiting:  # bounded: a key comes once a minute
            uses, self._waiting = self._waiting, {}
            try:
                await self._db.run(accounts.note_key_uses, uses)
            except DATABASE_FAILED as failure:
                log.warning("the last use of keys was not written", reason=str(failure))
