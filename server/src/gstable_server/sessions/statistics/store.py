"""SQL of the counts; both are answered by an index alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import asyncpg

from gstable_server.kernel.ids import LinkId, ProductId, SessionId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.model import SessionState
from gstable_server.sessions.statistics.model import StateCount

_BY_DAY = """
SELECT (created_at AT TIME ZONE 'UTC')::date AS day, state, count(*) AS sessions
FROM sessions
WHERE merchant_id = $1 AND mode = $2 AND created_at >= $3 AND created_at < $4
GROUP BY 1, 2 ORDER BY 1, 2
"""
_OF_LINK = """
SELECT (created_at AT TIME ZONE 'UTC')::date AS day, state, count(*) AS sessions
FROM sessions
WHERE business_type = 'payment_link' AND business_id = $1
    AND created_at >= $2 AND created_at < $3
GROUP BY 1, 2 ORDER BY 1, 2
"""
_LATEST_WITH = """
SELECT session_id FROM session_products JOIN sessions USING (session_id)
WHERE session_products.product_id = $1 AND merchant_id = $2 AND mode = $3
ORDER BY session_products.sequence DESC LIMIT $4
"""


async def by_day(tx: Tx, tenant: Tenant, since: date, until: date) -> list[StateCount]:
    """Of a merchant, by day and state; both days included."""
    begin, end = _bounds(since, until)
    return _counts(await tx.fetch(_BY_DAY, tenant.merchant_id, tenant.mode, begin, end))


async def of_link(tx: Tx, link_id: LinkId, since: date, until: date) -> list[StateCount]:
    """Of one link."""
    begin, end = _bounds(since, until)
    return _counts(await tx.fetch(_OF_LINK, link_id, begin, end))


async def latest_with(tx: Tx, tenant: Tenant, product_id: ProductId, most: int) -> list[SessionId]:
    """The newest sessions that sell the product."""
    given = (product_id, tenant.merchant_id, tenant.mode, most)
    return [SessionId(row["session_id"]) for row in await tx.fetch(_LATEST_WITH, *given)]


async def latest(tx: Tx, tenant: Tenant, most: int) -> list[SessionId]:
    """The newest sessions, without counting them all."""
    rows = await tx.fetch(
        "SELECT session_id FROM sessions WHERE merchant_id = $1 AND mode = $2"
        " ORDER BY sequence DESC LIMIT $3",
        tenant.merchant_id,
        tenant.mode,
        most,
    )
    return [SessionId(row["session_id"]) for row in rows]


def _bounds(since: date, until: date) -> tuple[datetime, datetime]:
    begin = datetime.combine(since, time(), UTC)
    return begin, datetime.combine(until + timedelta(days=1), time(), UTC)


def _counts(rows: Sequence[asyncpg.Record]) -> list[StateCount]:
    return [StateCount(row["day"], SessionState(row["state"]), row["sessions"]) for row in rows]
