"""Endpoints, messages and attempts in SQL.

Locks are taken in one order, endpoint before message, so that no two transactions wait for each
other. Management names the tenant in every query; delivery starts from a message's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import EventId, WebhookId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.webhooks.model import (
    Attempt,
    Delivery,
    Endpoint,
    EndpointStatus,
    Health,
    Keys,
    MessageState,
    Target,
)

_REQUIRE = """
SELECT * FROM webhook_endpoints
WHERE merchant_id = $1 AND mode = $2 AND webhook_id = $3 AND removed_at IS NULL
"""
_REQUIRE_LOCKED = _REQUIRE + "FOR UPDATE"


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
    """Mark a locked endpoint removed and stop what is pending to it."""
    await tx.execute(
        "UPDATE webhook_endpoints SET removed_at = $4, updated_at = $4"
        " WHERE merchant_id = $1 AND mode = $2 AND webhook_id = $3 AND removed_at IS NULL",
        endpoint.tenant.merchant_id,
        endpoint.tenant.mode,
        endpoint.webhook_id,
        tx.now,
    )
    await tx.execute(
        "UPDATE webhook_messages SET state = 'stopped', next_attempt_at = NULL"
        " WHERE webhook_id = $1 AND state = 'pending'",
        endpoint.webhook_id,
    )


async def release_held(tx: Tx, webhook_id: WebhookId) -> list[tuple[int, int]]:
    """Make the held messages of a locked endpoint due now: (message number, attempts) of each."""
    rows = await tx.fetch(
        "UPDATE webhook_messages SET next_attempt_at = $2"
        " WHERE webhook_id = $1 AND state = 'pending' AND next_attempt_at IS NULL"
        " RETURNING message_number, attempts",
        webhook_id,
        tx.now,
    )
    return [(row["message_number"], row["attempts"]) for row in rows]


async def insert_messages(
    tx: Tx, tenant: Tenant, event_type: str, event_id: EventId, body: bytes
) -> Sequence[int]:
    """One message to each subscribed endpoint that is not inactive; their numbers."""
    rows = await tx.fetch(
        "INSERT INTO webhook_messages"
        " (webhook_id, event_id, body, state, next_attempt_at, created_at)"
        " SELECT webhook_id, $4, $5, 'pending', $6, $6 FROM webhook_endpoints"
        " WHERE merchant_id = $1 AND mode = $2 AND removed_at IS NULL"
        " AND status IN ('active', 'paused') AND $3 = ANY(events)"
        " ORDER BY sequence ON CONFLICT (webhook_id, event_id) DO NOTHING"
        " RETURNING message_number",
        tenant.merchant_id,
        tenant.mode,
        event_type,
        event_id,
        body,
        tx.now,
    )
    return [row["message_number"] for row in rows]


async def find_delivery(tx: Tx, message_number: int) -> Delivery | None:
    """The pending message with its endpoint as it is now; a removed one counts as inactive."""
    row = await tx.fetchrow(
        "SELECT m.message_number, m.event_id, m.body, m.attempts, e.webhook_id, e.url, e.key,"
        " e.previous_key, e.previous_key_until,"
        " CASE WHEN e.removed_at IS NULL THEN e.status ELSE 'inactive' END AS status"
        " FROM webhook_messages m JOIN webhook_endpoints e USING (webhook_id)"
        " WHERE m.message_number = $1 AND m.state = 'pending'",
        message_number,
    )
    if row is None:
        return None
    return Delivery(
        message_number=row["message_number"],
        event_id=EventId(row["event_id"]),
        body=row["body"],
        attempts=row["attempts"],
        webhook_id=WebhookId(row["webhook_id"]),
        url=row["url"],
        keys=Keys(row["key"], row["previous_key"], row["previous_key_until"]),
        status=EndpointStatus(row["status"]),
    )


async def lock_status(tx: Tx, webhook_id: WebhookId) -> EndpointStatus | None:
    """The status of the endpoint, locked; None when it was removed."""
    row = await tx.fetchrow(
        "SELECT status, removed_at FROM webhook_endpoints WHERE webhook_id = $1 FOR UPDATE",
        webhook_id,
    )
    assert row is not None, "messages reference their endpoint"
    return None if row["removed_at"] else EndpointStatus(row["status"])


async def lock_health(tx: Tx, webhook_id: WebhookId) -> Health:
    row = await tx.fetchrow(
        "SELECT failures, failing_since FROM webhook_endpoints WHERE webhook_id = $1 FOR UPDATE",
        webhook_id,
    )
    assert row is not None, "messages reference their endpoint"
    return Health(row["failures"], row["failing_since"])


async def save_health(tx: Tx, webhook_id: WebhookId, health: Health) -> None:
    """Write the health of a locked endpoint."""
    await tx.execute(
        "UPDATE webhook_endpoints SET failures = $2, failing_since = $3 WHERE webhook_id = $1",
        webhook_id,
        health.failures,
        health.since,
    )


async def clear_health(tx: Tx, webhook_id: WebhookId) -> None:
    """Forget failures; touches no row of a healthy endpoint."""
    await tx.execute(
        "UPDATE webhook_endpoints SET failures = 0, failing_since = NULL"
        " WHERE webhook_id = $1 AND failures > 0",
        webhook_id,
    )


async def pause(tx: Tx, webhook_id: WebhookId) -> None:
    """Pause an active endpoint; what the merchant disabled stays disabled."""
    await tx.execute(
        "UPDATE webhook_endpoints SET status = 'paused', updated_at = $2"
        " WHERE webhook_id = $1 AND status = 'active'",
        webhook_id,
        tx.now,
    )


async def park(tx: Tx, delivery: Delivery, state: MessageState) -> None:
    """Leave the message without a next try: held (``pending``) or ``stopped``."""
    await tx.execute(
        "UPDATE webhook_messages SET state = $3, next_attempt_at = NULL"
        " WHERE message_number = $1 AND state = 'pending' AND attempts = $2",
        delivery.message_number,
        delivery.attempts,
        state,
    )


async def insert_attempt(tx: Tx, message_number: int, attempt: Attempt) -> None:
    await tx.execute(
        "INSERT INTO webhook_attempts"
        " (message_number, started_at, duration_ms, status_code, error, response)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        message_number,
        attempt.started_at,
        attempt.duration_ms,
        attempt.status_code,
        attempt.error,
        attempt.response,
    )


async def move(
    tx: Tx, delivery: Delivery, state: MessageState, next_attempt_at: datetime | None
) -> bool:
    """Take the message past the try that ``delivery`` was; False when another try did already.

    A success always counts, also that of a try whose twin has failed meanwhile.
    """
    done = await tx.execute(
        "UPDATE webhook_messages SET state = $3, next_attempt_at = $4, attempts = attempts + 1"
        " WHERE message_number = $1 AND state = 'pending' AND (attempts = $2 OR $5)",
        delivery.message_number,
        delivery.attempts,
        state,
        next_attempt_at,
        state is MessageState.DELIVERED,
    )
    return done == "UPDATE 1"


async def disable_gone(tx: Tx, delivery: Delivery) -> None:
    """Disable the endpoint that answered 410, unless its URL was changed meanwhile."""
    await tx.execute(
        "UPDATE webhook_endpoints SET status = 'inactive', updated_at = $3"
        " WHERE webhook_id = $1 AND url = $2 AND status <> 'inactive' AND removed_at IS NULL",
        delivery.webhook_id,
        delivery.url,
        tx.now,
    )
