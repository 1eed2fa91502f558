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
ROUNDS = 4
"""How many events of one object are handled in one transaction, one after the other."""
LOOKED_AT = 4
"""How many events are looked at for one of a batch when some are to be set aside."""
LOOKS_MAX = 20
"""How often a turn looks again when all that it saw had to be set aside."""
RETRY_SECONDS_MAX = 60


Handler = Callable[[Tx, Sequence[StoredEvent]], Awaitable[None]]
"""Handles events of different objects, in the order of ``sequence``."""

# An event waits while an earlier one of its object does: merchants see an object's events in
# order. What failed before comes after what was not tried yet.
#
# Whether there is an earlier one is asked of the row before it in (object, sequence), which is one
# step in that index whatever the planner believes about objects.
_BEFORE = """
    SELECT object_id, sequence FROM outbox
    WHERE (object_id, sequence) < (looked.object_id, looked.sequence)
    ORDER BY object_id DESC, sequence DESC LIMIT 1
"""

# Only so many rows are looked at: those that wait behind others are set aside when they crowd out
# what could be handled.
_NEXT = """
    SELECT object_id, sequence, attempts FROM outbox WHERE NOT set_aside AND not_before <= $1
    ORDER BY not_before, sequence LIMIT $2
"""
_THESE = """
    SELECT object_id, sequence, attempts FROM outbox WHERE sequence = ANY($2) AND not_before <= $1
"""

# The rows are locked before their events are read, so that nothing is read of what others handle.
# The object is asked for too, so that either index of events finds one at once: of an empty table
# both cost the same, and a plan that was made then would read the whole of one for each event.
_TAKE = """
WITH looked AS ({} FOR UPDATE SKIP LOCKED)
SELECT event.*, looked.attempts, before.sequence AS behind
FROM looked CROSS JOIN LATERAL (
    SELECT * FROM events WHERE (events.object_id, events.sequence)
        = (looked.object_id, looked.sequence) OFFSET 0) event
LEFT JOIN LATERAL ({}) before ON before.object_id = looked.object_id
ORDER BY looked.sequence
"""
_TAKE_NEXT, _TAKE_THESE = _TAKE.format(_NEXT, _BEFORE), _TAKE.format(_THESE, _BEFORE)

# Plans are kept, and one that is made while nothing waits would read the whole table for each row.
_BY_INDEX = (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
)
_AS_USUAL = _BY_INDEX.replace("off", "on")

_BEHIND = f"""
SELECT looked.sequence, before.sequence AS before
FROM ({_NEXT}) looked CROSS JOIN LATERAL ({_BEFORE}) before
WHERE before.object_id = looked.object_id
"""  # noqa: S608

_LOCK = "SELECT sequence FROM outbox WHERE sequence = ANY($1) FOR UPDATE SKIP LOCKED"

_REMOVE = """
WITH removed AS (DELETE FROM outbox WHERE sequence = ANY($1) RETURNING object_id, sequence)
UPDATE outbox SET set_aside = false WHERE set_aside AND sequence = ANY(ARRAY(
    SELECT next.sequence FROM removed CROSS JOIN LATERAL (
        SELECT object_id, sequence FROM outbox
        WHERE (object_id, sequence) > (removed.object_id, removed.sequence)
        ORDER BY object_id, sequence LIMIT 1
    ) next WHERE next.object_id = removed.object_id))
"""


class BatchFailed(Exception):
    """A handler raised; carries which events it was given, of which types, and how often the first
    was tried."""

    def __init__(self, sequences: Sequence[int], types: Sequence[str], attempts: int) -> None:
        self.sequences = sequences
        self.types = types
        self.attempts = attempts
        super().__init__(f"{len(sequences)} events from {sequences[0]} on failed")


@dataclass(frozen=True, slots=True)
class _Turn:
    """How many events were handled in a transaction, and whether so many of those that it took
    wait behind others that there was hardly room for them."""

    handled: int
    is_crowded: bool = False


async def relay_once(db: Database, handle: Handler, limit: int = BATCH) -> int:
    """Hand up to ``limit`` waiting events to ``handle``; returns how many were handled.

    One transaction holds the handlers' work and the removal of the outbox rows. An event that
    fails by itself waits longer before each next try.
    """
    for _ in range(LOOKS_MAX):
        turn = await _relay(db, handle, limit)
        if not turn.is_crowded:
            return turn.handled
        set_aside = await db.run(_set_aside, limit * LOOKED_AT)
        if turn.handled or not set_aside:
            return turn.handled
    return 0


async def _set_aside(tx: Tx, looked_at: int) -> int:
    """Look no more at those of the next events that are behind others still, until those are
    removed; returns how many. In a transaction of its own, which waits for nobody: so nobody who
    removes events waits for long, or in a circle."""
    # What is set aside comes back when the one right before it is removed. So that one must be
    # there and stay there until this is committed: it is locked, and where it is another worker's,
    # who may be removing it, what is behind it is left alone.
    await tx.execute(_BY_INDEX)
    pairs = [(row["sequence"], row["before"]) for row in await tx.fetch(_BEHIND, tx.now, looked_at)]
    held = {
        row["sequence"]
        for row in await tx.fetch(_LOCK, sorted({one for pair in pairs for one in pair}))
    }
    chosen = [one for one, before in pairs if one in held and before in held]
    await tx.execute("UPDATE outbox SET set_aside = true WHERE sequence = ANY($1)", chosen)
    return len(chosen)


async def _relay(
    db: Database, handle: Handler, limit: int, among: Sequence[int] | None = None
) -> _Turn:
    try:
        turn = await db.run(_take, handle, limit, among)
    except BatchFailed as failure:
        # Not before, while the transaction was open: a long line takes a while to write.
        first, count = failure.sequences[0], len(failure.sequences)
        log.exception("events not handled", first=first, count=count, types=failure.types)
        if count == 1:
            metrics.event_failed()
            await db.run(_put_back, failure)
            return _Turn(0)
        middle = count // 2
        halves = failure.sequences[:middle], failure.sequences[middle:]
    else:
        metrics.events_handled(turn.handled)
        return turn
    return _Turn(sum([(await _relay(db, handle, limit, half)).handled for half in halves]))


async def _take(tx: Tx, handle: Handler, limit: int, among: Sequence[int] | None) -> _Turn:
    """Take the next events, or those ``among`` them, and have them handled."""
    await tx.execute(_BY_INDEX)
    if among is None:
        rows = await tx.fetch(_TAKE_NEXT, tx.now, limit)
    else:
        rows = await tx.fetch(_TAKE_THESE, tx.now, among)
    rounds = _rounds(rows)
    taken = [row for one in rounds for row in one]
    if taken:
        await tx.execute(_AS_USUAL)
        await _handle(tx, handle, rounds)
        await tx.execute(_BY_INDEX)
        await tx.execute(_REMOVE, [row["sequence"] for row in taken])
    return _Turn(len(taken), is_crowded=len(rows) == limit and 2 * len(taken) < limit)


def _rounds(rows: Sequence[asyncpg.Record]) -> list[list[asyncpg.Record]]:
    """Those of ``rows`` that may be handled: the first of each object, then those right behind
    them, and so on. Whose predecessor waits and is not among them waits, too."""
    round_of: dict[int, int] = {}
    rounds: list[list[asyncpg.Record]] = []
    for row in rows:
        number = 0 if row["behind"] is None else round_of.get(row["behind"], ROUNDS) + 1
        if number < ROUNDS:
            round_of[row["sequence"]] = number
            if number == len(rounds):
                rounds.append([])
            rounds[number].append(row)
    return rounds


async def _handle(tx: Tx, handle: Handler, rounds: Sequence[Sequence[asyncpg.Record]]) -> None:
    try:
        for one in rounds:
            await handle(tx, [stored_event(row) for row in one])
        # What the handlers told is part of their work: if that cannot be written, they failed.
        await tx.flush()
    except (asyncio.CancelledError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
        raise
    except Exception as failure:
        rows = sorted((row for one in rounds for row in one), key=lambda row: row["sequence"])
        types = sorted({row["type"] for row in rows})
        sequences = [row["sequence"] for row in rows]
        raise BatchFailed(sequences, types, rows[0]["attempts"]) from failure


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
