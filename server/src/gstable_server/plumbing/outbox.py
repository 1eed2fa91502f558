"""The relay of events, which were written in the transaction of the change that they tell of.

An event is a row of ``events`` (append only) and, until its handlers ran, a row of ``outbox``.
Handlers run in the transaction that removes the outbox row: a process that dies in between
leaves the row, and the next relay turn of any worker takes it up again.

Events are handled in batches, because most of an event's cost is the statements that handle it,
and those of many can be one. If a batch fails, it is rolled back and its halves are handled each
by itself, until the event that fails stands alone: only that one waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import asyncpg
import structlog

from gstable_server.plumbing import metrics
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import StoredEvent, stored_event

log = structlog.get_logger(__name__)

BATCH = 200
RETRY_SECONDS_MAX = 60


Handler = Callable[[Tx, Sequence[StoredEvent]], Awaitable[None]]
"""Handles events of different objects, in the order of ``sequence``."""

# An event waits while an earlier one of its object does: merchants see an object's events in
# order. So no two of a batch are of one object.
_NEXT = """
SELECT e.*, o.attempts FROM outbox o JOIN events e USING (sequence)
WHERE o.not_before <= $1 AND ($3::bigint[] IS NULL OR o.sequence = ANY($3))
  AND NOT EXISTS (
    SELECT 1 FROM outbox earlier
    WHERE earlier.object_id = o.object_id AND earlier.sequence < o.sequence)
ORDER BY o.sequence LIMIT $2 FOR UPDATE OF o SKIP LOCKED
"""


class BatchFailed(Exception):
    """A handler raised; carries which events it was given, and how often the first was tried."""

    def __init__(self, sequences: Sequence[int], attempts: int) -> None:
        self.sequences = sequences
        self.attempts = attempts
        super().__init__(f"{len(sequences)} events from {sequences[0]} on failed")


async def relay_once(db: Database, handle: Handler, limit: int = BATCH) -> int:
    """Hand up to ``limit`` waiting events to ``handle``; returns how many were handled.

    One transaction holds the handlers' work and the removal of the outbox rows. An event that
    fails by itself waits longer before each next try.
    """
    return await _relay(db, handle, limit, None)


async def _relay(db: Database, handle: Handler, limit: int, among: Sequence[int] | None) -> int:
    try:
        handled = await db.run(_take, handle, limit, among)
    except BatchFailed as failure:
        if len(failure.sequences) == 1:
            metrics.event_failed()
            await db.run(_put_back, failure)
            return 0
        middle = len(failure.sequences) // 2
        halves = failure.sequences[:middle], failure.sequences[middle:]
    else:
        metrics.events_handled(handled)
        return handled
    return sum([await _relay(db, handle, len(half), half) for half in halves])


async def _take(tx: Tx, handle: Handler, limit: int, among: Sequence[int] | None) -> int:
    rows = await tx.fetch(_NEXT, tx.now, limit, among)
    if not rows:
        return 0
    sequences = [row["sequence"] for row in rows]
    try:
        await handle(tx, [stored_event(row) for row in rows])
        # What the handlers told is part of their work: if that cannot be written, they failed.
        await tx.flush()
    except (asyncio.CancelledError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
        raise
    except Exception as failure:
        types = sorted({row["type"] for row in rows})
        log.exception("events not handled", first=sequences[0], count=len(rows), types=types)
        raise BatchFailed(sequences, rows[0]["attempts"]) from failure
    await tx.execute("DELETE FROM outbox WHERE sequence = ANY($1)", sequences)
    return len(rows)


async def _put_back(tx: Tx, failure: BatchFailed) -> None:
    wait = min(2**failure.attempts, RETRY_SECONDS_MAX)
    await tx.execute(
        "UPDATE outbox SET attempts = attempts + 1, not_before = $2 WHERE sequence = ANY($1)",
        failure.sequences,
        tx.now + timedelta(seconds=wait),
    )


async def waiting_objects(tx: Tx) -> set[str]:
    """The objects of all events whose handlers have not run yet."""
    return {row["object_id"] for row in await tx.fetch("SELECT DISTINCT object_id FROM outbox")}
