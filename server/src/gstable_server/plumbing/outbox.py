"""Events, written in the transaction of the change that they tell of, and relayed afterwards.

An event is a row of ``events`` (append only) and, until its handlers ran, a row of ``outbox``.
Handlers run in the transaction that removes the outbox row: a process that dies in between
leaves the row, and the next relay turn of any worker takes it up again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from gstable_server.kernel.ids import EventId
from gstable_server.kernel.tenant import Mode, Tenant

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    from gstable_server.kernel.ids import IdMint
    from gstable_server.plumbing.db import Database, Tx

log = structlog.get_logger(__name__)

BATCH = 50
RETRY_SECONDS_MAX = 60


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an object, with the letter that tells of it.

    ``payload`` is the JSON value sent to merchants as it is (spec 9, Payload); events without a
    ``tenant`` are internal and reach only the handlers of ``flow``.
    """

    type: str
    object_id: str
    payload: Mapping[str, Any]
    tenant: Tenant | None = None
    business_type: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the outbox hands it to its handlers.

    ``sequence`` increases over the events of one object (spec 15, Webhooks).
    """

    event_id: EventId
    sequence: int
    occurred_at: datetime
    event: Event


Handler = Callable[["Tx", StoredEvent], Awaitable[None]]

# Due at once, whatever the clock says: it may have been ahead when the event was told.
_INSERT = """
WITH new AS (
    INSERT INTO events
        (event_id, type, object_id, merchant_id, mode, business_type, payload, occurred_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    RETURNING sequence, object_id
)
INSERT INTO outbox (sequence, object_id, not_before)
SELECT sequence, object_id, '-infinity' FROM new
"""

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


async def write(
    connection: asyncpg.Connection[Any], events: list[Event], now: datetime, ids: IdMint
) -> None:
    """Store ``events`` and mark them as not yet handled, in the open transaction.

    One statement an event: nearly every transaction has one, and arrays for many cost more.
    """
    for event in events:
        await connection.execute(
            _INSERT,
            ids.mint(EventId),
            event.type,
            event.object_id,
            event.tenant.merchant_id if event.tenant else None,
            event.tenant.mode.value if event.tenant else None,
            event.business_type,
            event.payload,
            now,
        )


def _stored(row: asyncpg.Record) -> StoredEvent:
    tenant = Tenant(row["merchant_id"], Mode(row["mode"])) if row["merchant_id"] else None
    return StoredEvent(
        event_id=EventId(row["event_id"]),
        sequence=row["sequence"],
        occurred_at=row["occurred_at"],
        event=Event(
            type=row["type"],
            object_id=row["object_id"],
            payload=row["payload"],
            tenant=tenant,
            business_type=row["business_type"],
        ),
    )


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
        await handle(tx, _stored(row))
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
