"""Events: rows of the transaction that makes the change they tell of (see ``outbox``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, TypeVar

import asyncpg

from gstable_server.kernel.ids import ALPHABET, EventId, IdMint, mint_all
from gstable_server.kernel.tenant import Mode, Tenant

T = TypeVar("T")


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
    event_id: EventId | None = None
    """Minted by whoever tells it and must answer with it; by default when it is written."""
    trace_parent: str | None = None
    """The span in which it was told (``tracing``); None where nothing is traced."""
    first_id: EventId | None = None
    """Its identifier unless an event has it already (``first_id``)."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the outbox hands it to its handlers.

    ``sequence`` increases over the events of one object (spec 15, Webhooks).
    """

    event_id: EventId
    sequence: int
    occurred_at: datetime
    event: Event
    _read: dict[Callable[[Mapping[str, Any]], Any], Any] = field(
        default_factory=dict, compare=False, repr=False
    )

    def read(self, parse: Callable[[Mapping[str, Any]], T]) -> T:
        """What ``parse`` makes of the payload: made once, however many handlers ask for it."""
        if parse not in self._read:
            self._read[parse] = parse(self.event.payload)
        found: T = self._read[parse]
        return found


def stored_event(row: asyncpg.Record) -> StoredEvent:
    """A row of ``events`` with all its columns."""
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
            trace_parent=row["trace_parent"],
        ),
    )


def first_id(event_type: str, subject: str) -> EventId:
    """The identifier of the first event of that type about that session, refund or log.

    Not drawn but derived: a server that was restored from a backup reads the chain again and tells
    what it had told before. With the same identifiers, and so the same ``webhook-id``, receivers
    know it again.
    """
    digest = int.from_bytes(sha256(f"{event_type} {subject}".encode()).digest())
    letters = []
    for _ in range(EventId.random_length):
        digest, place = divmod(digest, len(ALPHABET))
        letters.append(ALPHABET[place])
    return EventId(EventId.prefix + "".join(letters))


CHANNEL = "gstable_events"
"""What is notified when a transaction that told of something internal is committed."""

# Due at once, whatever the clock says: it may have been ahead when the event was told. Sorted,
# because `sequence` is given out in the order of the rows.
_INSERT = """
WITH new AS (
    INSERT INTO events (event_id, type, object_id, merchant_id, mode, business_type, payload,
        trace_parent, occurred_at)
    SELECT CASE WHEN first_id IS NULL
            OR EXISTS (SELECT FROM events known WHERE known.event_id = told.first_id)
            THEN event_id ELSE first_id END,
        type, object_id, merchant_id, mode, business_type, payload, trace_parent, $9
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
        $7::jsonb[], $8::text[], $12::text[]) WITH ORDINALITY
        AS told (event_id, type, object_id, merchant_id, mode, business_type, payload,
            trace_parent, first_id, place)
    ORDER BY place
    RETURNING sequence, object_id
), waiting AS (
    INSERT INTO outbox (sequence, object_id, not_before)
    SELECT sequence, object_id, '-infinity' FROM new
)
SELECT pg_notify($10, '') WHERE $11
"""


@dataclass(frozen=True, slots=True)
class Write:
    """A statement that answers nothing, and its values."""

    sql: str
    values: Sequence[Any]


_VALUES = 12
"""How many ``_INSERT`` takes."""


@cache
def beside(sql: str, other: str, values: int) -> str:
    """``other`` and ``sql``, which takes so many values, in one statement; the values of ``other``
    come last. Neither sees what the other does."""
    moved = re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + values}", other)
    if sql.lstrip().startswith("WITH "):
        return sql.replace("WITH ", f"WITH written AS ({moved}), ", 1)
    return f"WITH written AS ({moved}) {sql}"


async def write(
    connection: asyncpg.Connection[Any],
    events: Sequence[Event],
    now: datetime,
    ids: IdMint,
    written: Write | None = None,
) -> None:
    """Store ``events`` and mark them as not yet handled, and do ``written``: in one statement, so
    that it is all or nothing also without an open transaction.

    Those that only we hear, who have a payment to bring further, wake the relay at the commit.
    Not those that are told to merchants alone: commits that notify wait for each other, and
    requests make many.
    """
    tenants = [event.tenant for event in events]
    await connection.execute(
        beside(_INSERT, written.sql, _VALUES) if written else _INSERT,
        _event_ids(events, ids),
        [event.type for event in events],
        [event.object_id for event in events],
        [tenant.merchant_id if tenant else None for tenant in tenants],
        [tenant.mode.value if tenant else None for tenant in tenants],
        [event.business_type for event in events],
        [event.payload for event in events],
        [event.trace_parent for event in events],
        now,
        CHANNEL,
        None in tenants,
        _first_ids(events),
        *(written.values if written else ()),
    )


def _event_ids(events: Sequence[Event], ids: IdMint) -> list[EventId]:
    minted = iter(mint_all(ids, EventId, sum(event.event_id is None for event in events)))
    return [event.event_id or next(minted) for event in events]


def _first_ids(events: Sequence[Event]) -> list[EventId | None]:
    """Only the first of those that are told together can be the first there is."""
    given: set[EventId | None] = set()
    first: list[EventId | None] = []
    for event in events:
        first.append(None if event.first_id in given else event.first_id)
        given.add(event.first_id)
    return first
