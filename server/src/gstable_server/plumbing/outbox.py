"""The relay of events, which were written in the transaction of the change that they tell of.

An event is a row of ``events`` (append only) and, until its handlers ran, a row of ``outbox``.
Handlers run in the transaction that removes the outbox row: a process that dies in between
leaves the row, and the next relay turn of any worker takes it up again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import asyncpg
import structlog

from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import StoredEvent, stored_event

log = structlog.get_logger(__name__)

BATCH = 50
RETRY_SECONDS_MAX = 60


Handler = Callable[[Tx, StoredEvent], Awaitable[None]]

# An event waits while an earlier one of its object does: merchants see an object's events in
# order.
_NEXT = """
SELECT e.*, o.attempts FROM outbox o JOIN events e USING (sequence)
WHERE o.not_before <= $1
  AND NOT EXISTS (
    SELECT 1 FROM outbox earlier
    WHERE earlier.object_id = o.object_id AND earlier.sequence < o.sequence)
ORDER BY o.sequence LIMIT $2 FOR UPDATE OF o SKIP LOCKED
"""


class HandlerFailed(Exception):
    """A handler raised; carries which event, so that it alone is put back."""

    def __init__(self, sequence: int, attempts: int) -> None:
        self.sequence = sequence
        self.attempts = attempts
        super().__init__(f"event {sequence} failed, attempt {attempts + 1}")


async def relay_once(db: Database, handle: Handler, limit: int = BATCH) -> int:
    """Hand up to ``limit`` waiting events to ``handle``; returns how many were handled.

    One transaction holds the handlers' work and the removal of the outbox rows. If a handler
    fails the whole turn is rolled back, and its event waits longer before the next try.
    """
    try:
        async with db.begin() as tx:
            rows = await tx.fetch(_NEXT, tx.now, limit)
            for row in rows:
                await _handle_one(tx, row, handle)
            if rows:
                await tx.execute(
                    "DELETE FROM outbox WHERE sequence = ANY($1)", [row["sequence"] for row in rows]
                )
            return len(rows)
    except HandlerFailed as failure:
        await _put_back(db, failure)
        return 0


async def _handle_one(tx: Tx, row: asyncpg.Record, handle: Handler) -> None:
    try:
        await handle(tx, stored_event(row))
        # What the handler told is part of its work: if that cannot be written, it is this event
        # that failed.
        await tx.flush()
    except asyncio.CancelledError:
        raise
    except Exception as failure:
        log.exception("event handler failed", sequence=row["sequence"], event_type=row["type"])
        raise HandlerFailed(row["sequence"], row["attempts"]) from failure


async def _put_back(db: Database, failure: HandlerFailed) -> None:
    wait = min(2**failure.attempts, RETRY_SECONDS_MAX)
    async with db.begin() as tx:
        await tx.execute(
            "UPDATE outbox SET attempts = attempts + 1, not_before = $2 WHERE sequence = $1",
            failure.sequence,
            tx.now + timedelta(seconds=wait),
        )
