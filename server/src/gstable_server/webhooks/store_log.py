"""What the console shows of deliveries, in SQL: health, tries and messages, newest first.

Every query reads one endpoint of one tenant by an index and stops after so many rows; pages go on
behind a number (keyset), so a long log costs what is shown of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gstable_server.kernel.ids import EventId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.webhooks.model import (
    Condition,
    Endpoint,
    LogLine,
    MessageState,
    View,
)

JUDGED = 1_000
"""The latest tries of an endpoint that its success rate is of."""

_CONDITIONS = """
SELECT e.webhook_id, e.failures, e.failing_since, late.tries, late.successes, late.latest,
    (SELECT a.started_at FROM webhook_attempts a WHERE a.webhook_id = e.webhook_id
     AND a.status_code BETWEEN 200 AND 299 ORDER BY a.attempt_number DESC LIMIT 1) AS last_success,
    trouble.status_code, trouble.error,
    (SELECT count(*) FROM (SELECT FROM webhook_messages m WHERE m.webhook_id = e.webhook_id
     AND m.next_attempt_at IS NOT NULL LIMIT $4) counted) AS waiting,
    (SELECT count(*) FROM (SELECT FROM webhook_messages m WHERE m.webhook_id = e.webhook_id
     AND m.state = 'pending' AND m.next_attempt_at IS NULL LIMIT $4) counted) AS held,
    (SELECT count(*) FROM (SELECT FROM webhook_messages m WHERE m.webhook_id = e.webhook_id
     AND m.state = 'exhausted' LIMIT $4) counted) AS given_up
FROM webhook_endpoints e
CROSS JOIN LATERAL (
    SELECT count(*) AS tries, max(started_at) AS latest,
        count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS successes
    FROM (SELECT status_code, started_at FROM webhook_attempts a
          WHERE a.webhook_id = e.webhook_id ORDER BY a.attempt_number DESC LIMIT $3) latest
) late
LEFT JOIN LATERAL (
    SELECT a.status_code, a.error FROM webhook_attempts a WHERE a.webhook_id = e.webhook_id
    AND (a.status_code IS NULL OR a.status_code NOT BETWEEN 200 AND 299)
    ORDER BY a.attempt_number DESC LIMIT 1
) trouble ON true
WHERE e.merchant_id = $1 AND e.mode = $2 AND e.removed_at IS NULL
"""


async def conditions(tx: Tx, tenant: Tenant) -> dict[str, Condition]:
    """How each endpoint of ``tenant`` is doing, by its id; counts end at ``JUDGED``."""
    rows = await tx.fetch(_CONDITIONS, tenant.merchant_id, tenant.mode, JUDGED, JUDGED)
    return {
        row["webhook_id"]: Condition(
            tries=row["tries"],
            successes=row["successes"],
            failures=row["failures"],
            latest=row["latest"],
            last_success=row["last_success"],
            failing_since=row["failing_since"],
            trouble_status=row["status_code"],
            trouble=row["error"],
            waiting=row["waiting"],
            held=row["held"],
            given_up=row["given_up"],
        )
        for row in rows
    }


_TRIES = """
SELECT a.attempt_number AS number, m.event_id, v.type, m.state, m.next_attempt_at, m.attempts,
    a.started_at, a.duration_ms, a.status_code, a.error
FROM webhook_attempts a JOIN webhook_messages m USING (message_number)
JOIN events v ON v.event_id = m.event_id
WHERE a.webhook_id = $1 AND a.attempt_number < $2
"""
_IN_VIEW = {
    View.ALL: "",
    View.FAILED: " AND (a.status_code IS NULL OR a.status_code NOT BETWEEN 200 AND 299)",
    View.DELIVERED: " AND a.status_code BETWEEN 200 AND 299",
}
_MESSAGES = """
SELECT m.message_number AS number, m.event_id, v.type, m.state, m.next_attempt_at, m.attempts,
    last.started_at, last.duration_ms, last.status_code, last.error
FROM webhook_messages m JOIN events v ON v.event_id = m.event_id
LEFT JOIN LATERAL (
    SELECT * FROM webhook_attempts a WHERE a.message_number = m.message_number
    ORDER BY a.attempt_number DESC LIMIT 1
) last ON true
WHERE m.webhook_id = $1 AND m.message_number < $2
"""
_OF_STATE = {
    View.WAITING: " AND m.next_attempt_at IS NOT NULL",
    View.HELD: " AND m.state = 'pending' AND m.next_attempt_at IS NULL",
    View.GIVEN_UP: " AND m.state = 'exhausted'",
}


async def log_of(tx: Tx, endpoint: Endpoint, view: View, before: int, limit: int) -> list[LogLine]:
    """Up to ``limit`` lines numbered below ``before``, the newest first."""
    if view in _IN_VIEW:
        query = f"{_TRIES}{_IN_VIEW[view]} ORDER BY a.attempt_number DESC LIMIT $3"
    else:
        query = f"{_MESSAGES}{_OF_STATE[view]} ORDER BY m.message_number DESC LIMIT $3"
    return [_line(row) for row in await tx.fetch(query, endpoint.webhook_id, before, limit)]


def _line(row: Any) -> LogLine:
    return LogLine(
        number=row["number"],
        event_id=EventId(row["event_id"]),
        event_type=row["type"],
        state=MessageState(row["state"]),
        next_attempt_at=row["next_attempt_at"],
        tries=row["attempts"],
        started_at=row["started_at"],
        duration_ms=row["duration_ms"],
        status_code=row["status_code"],
        error=row["error"],
    )


async def names_of(tx: Tx, tenant: Tenant, webhook_ids: Sequence[str]) -> dict[str, str]:
    """Names of the tenant's endpoints, removed ones too."""
    rows = await tx.fetch(
        "SELECT webhook_id, name FROM webhook_endpoints"
        " WHERE merchant_id = $1 AND mode = $2 AND webhook_id = ANY($3)",
        tenant.merchant_id,
        tenant.mode,
        webhook_ids,
    )
    return {row["webhook_id"]: row["name"] for row in rows}
