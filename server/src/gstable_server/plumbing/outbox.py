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
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import structlog

from gstable_server.plumbing import metrics
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import StoredEvent, stored_event

log = structlog.get_logger(__name__)

BATCH = 200
LOOKED_AT = 4
"""How many events are looked at for one that is handled: other workers handle some of them, and
some wait behind others."""
LOOKS_MAX = 20
"""How often a turn looks again when all that it saw had to be set aside."""
RETRY_SECONDS_MAX = 60


Handler = Callable[[Tx, Sequence[StoredEvent]], Awaitable[None]]
"""Handles events of different objects, in the order of ``sequence``."""

# An event waits while an earlier one of its object does: merchants see an object's events in
# order. So no two of a batch are of one object. Only so many rows are looked at: those that wait
# behind others are set aside when they are too many to be seen through in one look. What failed
# before comes after what was not tried yet.
#
# Whether there is an earlier one is asked of the row before it in (object, sequence), which is one
# step in that index whatever the planner believes about objects.
_BEFORE = """
    SELECT object_id, sequence FROM outbox
    WHERE (object_id, sequence) < (looked.object_id, looked.sequence)
    ORDER BY object_id DESC, sequence DESC LIMIT 1
"""

_LOOK = f"""
SELECT array_agg(looked.sequence)
        FILTER (WHERE before.object_id IS DISTINCT FROM looked.object_id) AS first,
    array_agg(looked.sequence) FILTER (WHERE before.object_id = looked.object_id) AS behind
FROM (
    SELECT object_id, sequence FROM outbox WHERE NOT set_aside AND not_before <= $1
    ORDER BY not_before, sequence LIMIT $2
) looked LEFT JOIN LATERAL ({_BEFORE}) before ON true
"""  # noqa: S608

# Plans are kept, and one that is made while nothing waits would read the whole table for each row.
_BY_INDEX = (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
)

_TAKE = """
SELECT e.*, o.attempts FROM outbox o JOIN events e USING (sequence)
WHERE o.sequence = ANY($1) AND o.not_before <= $2
ORDER BY o.sequence LIMIT $3 FOR UPDATE OF o SKIP LOCKED
"""

_BEHIND = f"""
SELECT looked.sequence, before.sequence AS before
FROM outbox looked CROSS JOIN LATERAL ({_BEFORE}) before
WHERE looked.sequence = ANY($1) AND before.object_id = looked.object_id
"""  # noqa: S608

_LOCK = "SELECT sequence FROM outbox WHERE sequence = ANY($1) FOR UPDATE SKIP LOCKED"

_REMOVE = """
WITH removed AS (DELETE FROM outbox WHERE sequence = ANY($1) RETURNING object_id, sequence)
UPDATE outbox SET set_aside = false
FROM removed CROSS JOIN LATERAL (
    SELECT following.object_id, following.sequence FROM outbox following
    WHERE (following.object_id, following.sequence) > (removed.object_id, removed.sequence)
    ORDER BY following.object_id, following.sequence LIMIT 1
) next
WHERE next.object_id = removed.object_id AND outbox.sequence = next.sequence AND outbox.set_aside
"""


class BatchFailed(Exception):
    """A handler raised; carries which events it was given, and how often the first was tried."""

    def __init__(self, sequences: Sequence[int], attempts: int) -> None:
        self.sequences = sequences
        self.attempts = attempts
        super().__init__(f"{len(sequences)} events from {sequences[0]} on failed")


@dataclass(frozen=True, slots=True)
class _Seen:
    """Waiting events, the oldest first: those that may be handled, and those behind others of
    their object; and whether there may be more than were looked at."""

    first: Sequence[int]
    behind: Sequence[int]
    is_all: bool


async def relay_once(db: Database, handle: Handler, limit: int = BATCH) -> int:
    """Hand up to ``limit`` waiting events to ``handle``; returns how many were handled.

    One transaction holds the handlers' work and the removal of the outbox rows. An event that
    fails by itself waits longer before each next try.
    """
    for _ in range(LOOKS_MAX):
        seen = await db.run(_look, limit)
        handled = await _relay(db, handle, limit, seen.first) if seen.first else 0
        if seen.is_all or not seen.behind:
            return handled
        set_aside = await db.run(_set_aside, seen.behind)
        if handled or not set_aside:
            return handled
    return 0


async def _look(tx: Tx, limit: int) -> _Seen:
    await tx.execute(_BY_INDEX)
    row = await tx.fetchrow(_LOOK, tx.now, limit * LOOKED_AT)
    assert row is not None, "aggregates always answer"
    first, behind = row["first"] or [], row["behind"] or []
    return _Seen(first, behind, is_all=len(first) + len(behind) < limit * LOOKED_AT)


async def _set_aside(tx: Tx, behind: Sequence[int]) -> int:
    """Look no more at those of ``behind`` that are behind others still, until those are removed;
    returns how many. In a transaction of its own, which waits for nobody: so nobody who removes
    events waits for long, or in a circle."""
    # What is set aside comes back when the one right before it is removed. So that one must be
    # there and stay there until this is committed: it is locked, and where it is another worker's,
    # who may be removing it, what is behind it is left alone.
    await tx.execute(_BY_INDEX)
    pairs = [(row["sequence"], row["before"]) for row in await tx.fetch(_BEHIND, behind)]
    held = {
        row["sequence"]
        for row in await tx.fetch(_LOCK, sorted({one for pair in pairs for one in pair}))
    }
    chosen = [one for one, before in pairs if one in held and before in held]
    await tx.execute("UPDATE outbox SET set_aside = true WHERE sequence = ANY($1)", chosen)
    return len(chosen)


async def _relay(db: Database, handle: Handler, limit: int, among: Sequence[int]) -> int:
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


async def _take(tx: Tx, handle: Handler, limit: int, among: Sequence[int]) -> int:
    rows = await tx.fetch(_TAKE, among, tx.now, limit)
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
    await tx.execute(_BY_INDEX)
    await tx.execute(_REMOVE, sequences)
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


async def is_waiting(tx: Tx, types: Sequence[str]) -> bool:
    """Whether an event of one of these types has not been handled yet."""
    waiting: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM outbox JOIN events USING (sequence) WHERE type = ANY($1))",
        types,
    )
    return waiting
