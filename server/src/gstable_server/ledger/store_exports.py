"""SQL of the book's exports: through a cursor of the server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Any

from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx

FETCHED = 500

# In the order in which they were booked, which is that of the entries' own index.
_ENTRIES = """
SELECT e.entry_number, t.posted_at, t.transfer_id, t.kind, t.cause, t.session_id, e.account,
    e.token_id, e.amount
FROM ledger_entries e CROSS JOIN LATERAL (
    SELECT * FROM ledger_transfers WHERE transfer_id = e.transfer_id OFFSET 0) t
WHERE t.merchant_id = $1 AND t.mode = $2 AND ($3::text IS NULL OR e.account = $3)
    AND ($4::timestamptz IS NULL OR t.posted_at >= $4)
    AND ($5::timestamptz IS NULL OR t.posted_at < $5)
ORDER BY e.entry_number
"""


async def entries(
    tx: Tx,
    tenant: Tenant,
    account: str | None,
    since: datetime | None,
    until: datetime | None,
) -> AsyncGenerator[Mapping[str, Any], None]:
    """The entries of a tenant's transfers, of one account or all."""
    values = tenant.merchant_id, tenant.mode, account, since, until
    async for row in tx.connection.cursor(_ENTRIES, *values, prefetch=FETCHED):
        yield row
