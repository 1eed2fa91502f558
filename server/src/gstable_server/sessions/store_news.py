"""Which sessions of a merchant are new or changed, for pages that are open."""

from __future__ import annotations

from collections.abc import Sequence

from gstable_server.kernel.ids import SessionId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx


async def own(
    tx: Tx, tenants: Sequence[Tenant], session_ids: Sequence[SessionId]
) -> list[tuple[Tenant, SessionId]]:
    """Those of ``session_ids`` that belong to one of ``tenants``, with whose they are."""
    rows = await tx.fetch(
        "SELECT merchant_id, mode, session_id FROM sessions WHERE session_id = ANY($1)",
        list(session_ids),
    )
    of = {(tenant.merchant_id, tenant.mode.value): tenant for tenant in tenants}
    return [
        (of[row["merchant_id"], row["mode"]], SessionId(row["session_id"]))
        for row in rows
        if (row["merchant_id"], row["mode"]) in of
    ]
