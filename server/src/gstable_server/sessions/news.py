"""What changes for merchants while they look: their new and changed sessions."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gstable_server.kernel.ids import SessionId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import store_news

NEW_MAX = 50
"""New sessions that are told of at once; a page then says that there are many."""


async def newest(tx: Tx, tenant: Tenant) -> int:
    """Where to begin with ``read``."""
    return await store_news.newest(tx, tenant)


async def read(
    tx: Tx, known: Mapping[Tenant, int], changed: Collection[SessionId]
) -> dict[Tenant, tuple[int, list[SessionId]]]:
    """By tenant: where its sessions end now, and which are new since ``known`` or among
    ``changed``. Sessions of others stay out."""
    found: dict[Tenant, tuple[int, list[SessionId]]] = {}
    for tenant, sequence in known.items():
        rows = await store_news.since(tx, tenant, sequence, NEW_MAX)
        found[tenant] = (rows[0][0] if rows else sequence, [name for _, name in rows])
    if changed:
        for tenant, session_id in await store_news.own(tx, list(known), list(changed)):
            if session_id not in found[tenant][1]:
                found[tenant][1].append(session_id)
    return found
