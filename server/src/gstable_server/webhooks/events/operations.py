"""The verbs of events: found, listed, followed. They are never changed."""

from __future__ import annotations

from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import EventId
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing import event_log
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.event_log import FIRST, Position, position_from_text
from gstable_server.plumbing.events import StoredEvent

START = "start"
"""The cursor of whoever wants to hear of what happens from now on."""
BEGIN = "begin"
"""The cursor before the first event."""


async def list_events(tx: Tx, tenant: Tenant, page: Page) -> tuple[int, list[StoredEvent]]:
    """The number of the tenant's events, and one page of them, newest first."""
    return await event_log.page_of(tx, tenant, page)


async def latest(tx: Tx, tenant: Tenant, about: str, before: int, limit: int) -> list[StoredEvent]:
    """Up to ``limit`` of the tenant's events numbered below ``before``, newest first: all, or those
    of the object that ``about`` names."""
    return await event_log.latest(tx, tenant, about, before, limit)


async def detail(tx: Tx, tenant: Tenant, event_id: EventId) -> StoredEvent:
    """The event. Refused: 300201, also for another tenant's."""
    stored = await event_log.find(tx, tenant, event_id)
    if stored is None:
        raise Refused(Code.EVENT_NOT_FOUND)
    return stored


async def feed(tx: Tx, tenant: Tenant, cursor: str, size: int) -> tuple[list[StoredEvent], str]:
    """Up to ``size`` events strictly behind ``cursor``, oldest first, and the cursor behind them.

    Whoever asks again and again with the cursor of the answer before sees each event once, also
    one whose transaction commits late. ``START`` gives no events, only a cursor. Refused: 400101
    for what no answer had as its cursor.
    """
    if cursor == START:
        return [], str(await event_log.end(tx))
    behind = _position(cursor)
    events, position = await event_log.after(tx, tenant, behind, size)
    if not events and not await event_log.is_given(tx, behind):
        raise _never_answered()
    return events, str(position)


def _position(cursor: str) -> Position:
    if cursor == BEGIN:
        return FIRST
    position = position_from_text(cursor)
    if position is None:
        raise _never_answered()
    return position


def _never_answered() -> Refused:
    return invalid_field("cursor", f"must be {START}, {BEGIN} or one that was answered")
