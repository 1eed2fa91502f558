"""A merchant's events as they were told: by page, by identifier, and as a feed.

The feed is in the order of (writing transaction, sequence) and ends before the oldest transaction
that is still open. Whatever commits later was written by that transaction or a younger one, so it
stands behind every position that was given out: an event that commits late is late, never
skipped. Transaction numbers belong to a cluster of PostgreSQL and do not travel with a dump: see
Backup in docs/guide/operate.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gstable_server.kernel.ids import EventId
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import StoredEvent, stored_event

_BEHIND = """
WHERE merchant_id = $1 AND mode = $2
  AND (written_by, sequence) > ($3::text::xid8, $4)
  AND written_by < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY written_by, sequence LIMIT $5
"""
_FEED = f"SELECT *, written_by::text AS writer FROM events {_BEHIND}"  # noqa: S608
_ABOUT = f"SELECT object_id, written_by::text AS writer, sequence FROM events {_BEHIND}"  # noqa: S608
_LATEST = """
SELECT * FROM events WHERE merchant_id = $1 AND mode = $2 AND sequence < $3
ORDER BY sequence DESC LIMIT $4
"""
_LATEST_ABOUT = """
SELECT * FROM events WHERE merchant_id = $1 AND mode = $2 AND sequence < $3 AND object_id = $5
ORDER BY sequence DESC LIMIT $4
"""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in every merchant's feed: behind the event of this transaction and sequence."""

    transaction: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.transaction:x}-{self.sequence:x}"


FIRST = Position(0, 0)
"""Before the first event that ever was."""
_POSITION = re.compile(r"([0-9a-f]{1,15})-([0-9a-f]{1,15})")


def position_from_text(text: str) -> Position | None:
    """A position as ``str`` wrote it, None for other text."""
    match = _POSITION.fullmatch(text)
    return Position(int(match[1], 16), int(match[2], 16)) if match else None


async def page_of(tx: Tx, tenant: Tenant, page: Page) -> tuple[int, list[StoredEvent]]:
    """The number of the tenant's events, and one page of them, newest first."""
    owner = tenant.merchant_id, tenant.mode
    total: int = await tx.fetchval(
        "SELECT count(*) FROM events WHERE merchant_id = $1 AND mode = $2", *owner
    )
    rows = await tx.fetch(
        "SELECT * FROM events WHERE merchant_id = $1 AND mode = $2"
        " ORDER BY sequence DESC LIMIT $3 OFFSET $4",
        *owner,
        page.size,
        page.offset,
    )
    return total, [stored_event(row) for row in rows]


async def latest(tx: Tx, tenant: Tenant, about: str, before: int, limit: int) -> list[StoredEvent]:
    """The tenant's events whose sequence is below ``before``, newest first; with ``about`` those of
    that object only. Each reads no more of its index than it answers."""
    # Two statements, because one for both would be planned for neither.
    rows = await tx.fetch(
        _LATEST_ABOUT if about else _LATEST,
        tenant.merchant_id,
        tenant.mode,
        before,
        limit,
        *([about] if about else []),
    )
    return [stored_event(row) for row in rows]


async def find(tx: Tx, tenant: Tenant, event_id: EventId) -> StoredEvent | None:
    """The tenant's event of that identifier."""
    row = await tx.fetchrow(
        "SELECT * FROM events WHERE event_id = $3 AND merchant_id = $1 AND mode = $2",
        tenant.merchant_id,
        tenant.mode,
        event_id,
    )
    return stored_event(row) if row else None


async def after(
    tx: Tx, tenant: Tenant, position: Position, limit: int
) -> tuple[list[StoredEvent], Position]:
    """The tenant's next events behind ``position``, oldest first, and the position behind them.

    Events of one object are in their order within an answer. Over two answers they may not be: a
    transaction that began early may have changed the object last.
    """
    rows = await tx.fetch(
        _FEED,
        tenant.merchant_id,
        tenant.mode,
        str(position.transaction),
        position.sequence,
        limit,
    )
    if rows:
        position = Position(int(rows[-1]["writer"]), rows[-1]["sequence"])
    events = [stored_event(row) for row in rows]
    return sorted(events, key=lambda stored: stored.sequence), position


async def about_after(
    tx: Tx, tenant: Tenant, position: Position, limit: int
) -> tuple[list[str], Position]:
    """What the next events behind ``position`` are about, each object once, and the position
    behind them."""
    values = tenant.merchant_id, tenant.mode, str(position.transaction), position.sequence, limit
    rows = await tx.fetch(_ABOUT, *values)
    if rows:
        position = Position(int(rows[-1]["writer"]), rows[-1]["sequence"])
    return list(dict.fromkeys(row["object_id"] for row in rows)), position


async def end(tx: Tx) -> Position:
    """The position behind everything that the feed shows now. While a transaction is open, what
    younger ones have committed is not shown yet, so it comes after this position."""
    oldest: str = await tx.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
    return Position(int(oldest), 0)


async def origins(tx: Tx, object_ids: Sequence[str]) -> dict[str, str]:
    """Of each object that has one, the ``traceparent`` in which it was first told of."""
    rows = await tx.fetch(
        "SELECT DISTINCT ON (object_id) object_id, trace_parent FROM events"
        " WHERE object_id = ANY($1) ORDER BY object_id, sequence",
        object_ids,
    )
    return {row["object_id"]: row["trace_parent"] for row in rows if row["trace_parent"]}


async def is_given(tx: Tx, position: Position) -> bool:
    """False for a position that no answer can have had: its transaction has yet to begin. So it
    was made up, or belongs to the cluster that this database was restored from."""
    given: bool = await tx.fetchval(
        "SELECT $1::text::xid8 <= pg_snapshot_xmax(pg_current_snapshot())",
        str(position.transaction),
    )
    return given
