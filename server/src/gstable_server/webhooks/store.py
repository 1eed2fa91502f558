"""Endpoints, and what a merchant sees of messages and attempts, in SQL.

Locks are taken in one order, endpoint before message, so that no two transactions wait for each
other. Every query that a merchant's request leads to names the tenant or a locked endpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import EventId, WebhookId
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.webhooks.model import (
    Audience,
    Delivered,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    Keys,
    RecordedAttempt,
    Target,
)

_REQUIRE = """
SELECT * FROM webhook_endpoints
WHERE merchant_id = $1 AND mode = $2 AND webhook_id = $3 AND removed_at IS NULL
"""
# No key is changed under this lock. FOR UPDATE would make whoever posts a message to the endpoint,
# and with it the letters of all merchants, wait for the end of a long backlog's transaction.
_REQUIRE_LOCKED = _REQUIRE + "FOR NO KEY UPDATE"


def _endpoint(row: Any, tenant: Tenant) -> Endpoint:
    return Endpoint(
        webhook_id=WebhookId(row["webhook_id"]),
        tenant=tenant,
        target=Target(row["name"], row["url"], row["description"], tuple(row["events"])),
        keys=Keys(row["key"], row["previous_key"], row["previous_key_until"]),
        status=EndpointStatus(row["status"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def lock_tenant(tx: Tx, tenant: Tenant) -> None:
    """Let one transaction at a time count and add endpoints of ``tenant``."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
        f"webhooks:{tenant.merchant_id}:{tenant.mode}",
    )


async def count(tx: Tx, tenant: Tenant) -> int:
    number: int = await tx.fetchval(
        "SELECT count(*) FROM webhook_endpoints"
        " WHERE merchant_id = $1 AND mode = $2 AND removed_at IS NULL",
        tenant.merchant_id,
        tenant.mode,
    )
    return number


async def insert(tx: Tx, endpoint: Endpoint) -> None:
    target = endpoint.target
    await tx.execute(
        "INSERT INTO webhook_endpoints (webhook_id, merchant_id, mode, name, url, description,"
        " events, key, status, created_at, updated_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
        endpoint.webhook_id,
        endpoint.tenant.merchant_id,
        endpoint.tenant.mode,
        target.name,
        target.url,
        target.description,
        list(target.events),
        endpoint.keys.current,
        endpoint.status,
        endpoint.created_at,
    )


async def require(tx: Tx, tenant: Tenant, webhook_id: WebhookId, *, lock: bool = False) -> Endpoint:
    """The endpoint. Raises ``Refused(WEBHOOK_NOT_FOUND)``, also for removed and foreign ones."""
    row = await tx.fetchrow(
        _REQUIRE_LOCKED if lock else _REQUIRE,
        tenant.merchant_id,
        tenant.mode,
        webhook_id,
    )
    if row is None:
        raise Refused(Code.WEBHOOK_NOT_FOUND)
    return _endpoint(row, tenant)


async def list_all(tx: Tx, tenant: Tenant) -> list[Endpoint]:
    """All endpoints, the newest first."""
    rows = await tx.fetch(
        "SELECT * FROM webhook_endpoints"
        " WHERE merchant_id = $1 AND mode = $2 AND removed_at IS NULL ORDER BY sequence DESC",
        tenant.merchant_id,
        tenant.mode,
    )
    return [_endpoint(row, tenant) for row in rows]


async def save(tx: Tx, endpoint: Endpoint) -> None:
    """Write what may change of a locked endpoint."""
    target, keys = endpoint.target, endpoint.keys
    await tx.execute(
        "UPDATE webhook_endpoints SET name = $4, url = $5, description = $6, events = $7,"
        " key = $8, previous_key = $9, previous_key_until = $10, status = $11,"
        " updated_at = $12"
        " WHERE merchant_id = $1 AND mode = $2 AND webhook_id = $3 AND removed_at IS NULL",
        endpoint.tenant.merchant_id,
        endpoint.tenant.mode,
        endpoint.webhook_id,
        target.name,
        target.url,
        target.description,
        list(target.events),
        keys.current,
        keys.previous,
        keys.previous_until,
        endpoint.status,
        endpoint.updated_at,
    )


async def remove(tx: Tx, endpoint: Endpoint) -> None:
    """Mark a locked endpoint removed."""
    await tx.execute(
        "UPDATE webhook_endpoints SET removed_at = $4, updated_at = $4"
        " WHERE merchant_id = $1 AND mode = $2 AND webhook_id = $3 AND removed_at IS NULL",
        endpoint.tenant.merchant_id,
        endpoint.tenant.mode,
        endpoint.webhook_id,
        tx.now,
    )


async def clear_health(tx: Tx, webhook_id: WebhookId) -> None:
    """Forget the failures of a locked endpoint."""
    await tx.execute(
        "UPDATE webhook_endpoints SET failures = 0, failing_since = NULL, unanswered = 0"
        " WHERE webhook_id = $1 AND failures > 0",
        webhook_id,
    )


_INSERT_MESSAGES = """
INSERT INTO webhook_messages (webhook_id, event_id, state, next_attempt_at, created_at)
SELECT e.webhook_id, v.event_id, 'pending',
    CASE WHEN e.status = 'active' THEN $7::timestamptz END, $7::timestamptz
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
    WITH ORDINALITY AS v (event_id, type, merchant_id, mode, object_id, audience, place)
JOIN webhook_endpoints e ON e.merchant_id = v.merchant_id AND e.mode = v.mode
    AND e.removed_at IS NULL
    AND CASE v.audience WHEN 'itself' THEN e.webhook_id = v.object_id
        WHEN 'others' THEN e.webhook_id <> v.object_id AND e.status = 'active'
        ELSE e.status IN ('active', 'paused') AND v.type = ANY(e.events) END
ORDER BY v.place, e.sequence ON CONFLICT (webhook_id, event_id) DO NOTHING
"""


async def insert_messages(tx: Tx, letters: Sequence[tuple[StoredEvent, Audience]]) -> bool:
    """One message for each event and each endpoint of its audience; whether there was one. A
    paused endpoint's are held."""
    tenants = [stored.event.tenant for stored, _ in letters]
    done = await tx.execute(
        _INSERT_MESSAGES,
        [stored.event_id for stored, _ in letters],
        [stored.event.type for stored, _ in letters],
        [tenant.merchant_id if tenant else None for tenant in tenants],
        [tenant.mode if tenant else None for tenant in tenants],
        [stored.event.object_id for stored, _ in letters],
        [audience for _, audience in letters],
        tx.now,
    )
    return done != "INSERT 0 0"


async def find_recipients(tx: Tx, tenant: Tenant, event_id: EventId, event_type: str) -> list[str]:
    """The endpoints that have a message for the event or are subscribed to its type, and are not
    removed, locked."""
    rows = await tx.fetch(
        "SELECT webhook_id FROM webhook_endpoints e WHERE merchant_id = $1 AND mode = $2"
        " AND removed_at IS NULL AND (($4 = ANY(events) AND status <> 'inactive') OR EXISTS ("
        "SELECT FROM webhook_messages m WHERE m.webhook_id = e.webhook_id AND m.event_id = $3))"
        " ORDER BY webhook_id FOR NO KEY UPDATE",
        tenant.merchant_id,
        tenant.mode,
        event_id,
        event_type,
    )
    return [row["webhook_id"] for row in rows]


# What is under way is not sent beside itself: it begins a new round, which ``store_queue.record``
# sees when the try fails.
_AGAIN = """
ON CONFLICT (webhook_id, event_id) DO UPDATE SET state = 'pending',
    attempts_before_round = webhook_messages.attempts,
    (next_attempt_at, leased_until) = (
        SELECT CASE WHEN under_way THEN webhook_messages.next_attempt_at
            ELSE excluded.next_attempt_at END,
        CASE WHEN under_way THEN webhook_messages.leased_until END
        FROM (SELECT webhook_messages.leased_until > statement_timestamp()) AS now (under_way))
"""


_POST = """
INSERT INTO webhook_messages (webhook_id, event_id, state, next_attempt_at, created_at)
SELECT webhook_id, $2, 'pending', CASE WHEN status = 'active' THEN $3::timestamptz END,
    $3::timestamptz
FROM webhook_endpoints WHERE webhook_id = ANY($1) ORDER BY webhook_id
"""


async def post_again(tx: Tx, webhook_ids: Sequence[str], event_id: EventId) -> None:
    """Make the messages of an event to locked endpoints, old or new, due now; one that is under
    way, as soon as that try has failed."""
    await tx.execute(_POST + _AGAIN, webhook_ids, event_id, tx.now)


# What the relay has yet to post is left to it: it would wait for the end of a long range.
_POST_RANGE = """
WITH chosen AS (
    SELECT v.event_id, row_number() OVER (ORDER BY v.sequence) - 1 AS place
    FROM events v
    WHERE v.merchant_id = $1 AND v.mode = $2 AND v.occurred_at >= $5 AND v.occurred_at < $6
    AND (v.type = ANY($4) OR EXISTS (
        SELECT FROM webhook_messages m WHERE m.webhook_id = $3 AND m.event_id = v.event_id))
    AND NOT EXISTS (SELECT FROM outbox o WHERE o.sequence = v.sequence)
), posted AS (
    INSERT INTO webhook_messages (webhook_id, event_id, state, next_attempt_at, created_at)
    SELECT $3, event_id, 'pending',
        CASE WHEN $8 THEN $7::timestamptz + place * $9::interval END, $7::timestamptz
    FROM chosen ORDER BY place
"""
_COUNT_RANGE = ") SELECT count(*) FROM chosen"


async def post_range_again(
    tx: Tx, endpoint: Endpoint, since: datetime, until: datetime, spacing: timedelta
) -> int:
    """Make the messages of all events of a time to a locked endpoint due, ``spacing`` apart; how
    many there are."""
    number: int = await tx.fetchval(
        _POST_RANGE + _AGAIN + _COUNT_RANGE,
        endpoint.tenant.merchant_id,
        endpoint.tenant.mode,
        endpoint.webhook_id,
        endpoint.target.events,
        since,
        until,
        tx.now,
        endpoint.status is EndpointStatus.ACTIVE,
        spacing,
    )
    return number


_ATTEMPTS = """
SELECT a.*, m.event_id, (SELECT count(*) FROM webhook_attempts earlier
    WHERE earlier.message_number = a.message_number
    AND earlier.attempt_number <= a.attempt_number) AS ordinal
FROM webhook_attempts a JOIN webhook_messages m USING (message_number)
"""


def _recorded(row: Any) -> RecordedAttempt:
    return RecordedAttempt(
        event_id=EventId(row["event_id"]),
        webhook_id=WebhookId(row["webhook_id"]),
        ordinal=row["ordinal"],
        started_at=row["started_at"],
        duration_ms=row["duration_ms"],
        status_code=row["status_code"],
        error=row["error"],
        response=row["response"],
        response_headers=row["response_headers"],
        url=row["url"],
    )


async def find_deliveries(tx: Tx, tenant: Tenant, event_id: EventId) -> list[Delivered]:
    """The event's messages to the tenant's endpoints, removed ones too, with their tries."""
    rows = await tx.fetch(
        "SELECT m.*, e.status AS endpoint_status, e.removed_at"
        " FROM webhook_endpoints e JOIN webhook_messages m USING (webhook_id)"
        " WHERE e.merchant_id = $1 AND e.mode = $2 AND m.event_id = $3 ORDER BY e.sequence",
        tenant.merchant_id,
        tenant.mode,
        event_id,
    )
    tries = await tx.fetch(
        _ATTEMPTS + "WHERE a.message_number = ANY($1) ORDER BY a.attempt_number",
        [row["message_number"] for row in rows],
    )
    return [_delivered(row, tries) for row in rows]


def _delivered(row: Any, tries: Sequence[Any]) -> Delivered:
    status = DeliveryStatus(row["state"])
    if status is DeliveryStatus.PENDING:
        if row["removed_at"] is not None:
            status = DeliveryStatus.STOPPED
        elif row["endpoint_status"] != EndpointStatus.ACTIVE:
            status = DeliveryStatus.HELD
    own = [one for one in tries if one["message_number"] == row["message_number"]]
    return Delivered(
        webhook_id=WebhookId(row["webhook_id"]),
        status=status,
        next_attempt_at=row["next_attempt_at"] if status is DeliveryStatus.PENDING else None,
        attempts=tuple(_recorded(one) for one in own),
    )


async def list_attempts(
    tx: Tx, endpoint: Endpoint, page: Page
) -> tuple[int, list[RecordedAttempt]]:
    """The number of tries at an endpoint, and a page of them, the newest first."""
    total: int = await tx.fetchval(
        "SELECT count(*) FROM webhook_attempts WHERE webhook_id = $1", endpoint.webhook_id
    )
    rows = await tx.fetch(
        _ATTEMPTS + "WHERE a.webhook_id = $1 ORDER BY a.attempt_number DESC LIMIT $2 OFFSET $3",
        endpoint.webhook_id,
        page.size,
        page.offset,
    )
    return total, [_recorded(row) for row in rows]
