"""SQL of exports: through a cursor of the server, so that neither side ever holds them whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any

from gstable_server.kernel.ids import SessionId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.lists.model import Filter, Way
from gstable_server.sessions.lists.store import (
    REFERENCE,
    Bounds,
    Statement,
    candidates,
    conditions,
)

Exported = Mapping[str, Any]
"""A row by the names of its columns."""

FETCHED = 500
"""Rows that are asked for at a time."""

_SESSIONS = f"""
SELECT s.session_id, s.created_at, s.state, s.session_type, s.business_type, s.business_id,
    {REFERENCE} AS reference, s.line_items -> 0 -> 'product' ->> 'name' AS what,
    jsonb_array_length(s.line_items) AS lines, s.payer_email, s.amount, s.settlement_token,
    s.account_id, s.recipient, s.expires_at, s.paid_at, s.completed_at,
    p.network, p.tx_hash, p.payer, p.token_id, p.decimals, p.settlement_decimals, p.fee_received,
    CASE WHEN p.hold_capture_before IS NOT NULL THEN p.hold_received
        ELSE coalesce(p.delivery_received, p.merchant_received) END AS received,
    p.promised, p.state AS payment_state,
    (SELECT string_agg(DISTINCT flag, ' ' ORDER BY flag) FROM payments u, unnest(u.flags) flag
        WHERE u.session_id = s.session_id) AS flags,
    (SELECT sum(r.token_amount) FROM refunds r
        WHERE r.session_id = s.session_id AND r.state = 'completed'
        AND r.payment_id = p.payment_id) AS refunded
FROM ({{}}) c
CROSS JOIN LATERAL (SELECT * FROM sessions WHERE session_id = c.session_id OFFSET 0) s
LEFT JOIN LATERAL (
    SELECT * FROM payments WHERE session_id = c.session_id AND pays
    AND state IN ('seen', 'final') LIMIT 1) p ON true
WHERE {{}} ORDER BY c.sequence DESC
"""  # noqa: S608 - our own expression

_REFUNDS = """
SELECT r.* FROM refunds r JOIN sessions s USING (session_id)
WHERE s.merchant_id = $1 AND s.mode = $2
    AND ($3::timestamptz IS NULL OR r.created_at >= $3)
    AND ($4::timestamptz IS NULL OR r.created_at < $4)
ORDER BY r.sequence
"""


async def sessions(
    tx: Tx, tenant: Tenant, wanted: Filter, among: Sequence[SessionId] | None, bounds: Bounds
) -> AsyncGenerator[Exported, None]:
    statement = Statement()
    chosen = candidates(statement, tenant, wanted, among, bounds, Way.OLDER)
    passing = conditions(statement, tenant, wanted, "c.")
    sql = _SESSIONS.format(chosen, passing)
    async for row in tx.connection.cursor(sql, *statement.values, prefetch=FETCHED):
        yield row


async def refunds(
    tx: Tx, tenant: Tenant, since: datetime | None, until: datetime | None
) -> AsyncGenerator[Exported, None]:
    values = tenant.merchant_id, tenant.mode, since, until
    async for row in tx.connection.cursor(_REFUNDS, *values, prefetch=FETCHED):
        yield row
