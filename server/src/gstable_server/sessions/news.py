"""What changes for merchants while they look: their new and changed sessions.

Read in the order of their feed of events, which skips nothing that commits late (decision 0014), so
a page says at which place it was made and hears of everything behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gstable_server.kernel.ids import SessionId, id_or_none
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing import event_log
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.event_log import Position
from gstable_server.sessions import store_news

EVENTS_MAX = 500
"""Events that are read at once of one merchant; of more the rest is left out, because a page says
only that there are many."""


async def position(tx: Tx) -> Position:
    """Where a page that reads after this begins to listen."""
    return await event_log.end(tx)


async def missed(tx: Tx, tenant: Tenant, known: Position) -> tuple[list[SessionId], Position]:
    """What a page missed that was made at ``known``, and where the tenant's feed ends now. A
    position that was never given is taken for the end."""
    if not await event_log.is_given(tx, known):
        return [], await event_log.end(tx)
    return await _since(tx, tenant, known)


async def _since(tx: Tx, tenant: Tenant, known: Position) -> tuple[list[SessionId], Position]:
    """The tenant's sessions that were told of behind ``known``, and where its feed ends now."""
    end = await event_log.end(tx)
    objects, reached = await event_log.about_after(tx, tenant, known, EVENTS_MAX)
    found = [one for text in objects if (one := id_or_none(SessionId, text)) is not None]
    return found, max(reached, end)


async def read(
    tx: Tx, known: Mapping[Tenant, Position], changed: Collection[SessionId]
) -> dict[Tenant, tuple[Position, list[SessionId]]]:
    """By tenant: where its feed ends now, and which sessions were told of since ``known`` or are
    among ``changed``. Sessions of others stay out."""
    found: dict[Tenant, tuple[Position, list[SessionId]]] = {}
    for tenant, behind in known.items():
        told, reached = await _since(tx, tenant, behind)
        found[tenant] = (reached, told)
    if changed:
        for tenant, session_id in await store_news.own(tx, list(known), list(changed)):
            if session_id not in found[tenant][1]:
                found[tenant][1].append(session_id)
    return found
