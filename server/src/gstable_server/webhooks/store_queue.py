"""The queue of deliveries in SQL: messages are claimed under a lease, sent, and moved on.

A sender's own messages are those under its lease; everybody else leaves them alone until the
lease has passed, so that nobody waits for another's transaction. Locks are taken in one order,
endpoint before message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gstable_server.kernel.ids import WebhookId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import stored_event
from gstable_server.webhooks import wire
from gstable_server.webhooks.letters import letter
from gstable_server.webhooks.model import (
    Attempt,
    Backlog,
    Delivery,
    EndpointStatus,
    Health,
    Keys,
    MessageState,
)

CHANNEL = "gstable_webhooks"
"""Notified when messages have become due."""

AT_ONCE = 2_000
"""Messages that one transaction takes off the schedule."""

RELEASED_AT_ONCE = 20_000
"""Messages that one statement puts on the schedule."""

# Endpoints with scheduled messages are lanes, visited one after the other from a cursor on: a
# backlog of one costs the others nothing, and nothing is read behind the last message taken. Of a
# lane only the first so many due messages may be under way, whoever sends them, which makes the
# leases themselves the count of what is in flight at the endpoint.
_CLAIM = """
WITH RECURSIVE lanes AS (
    (SELECT webhook_id FROM webhook_messages
     WHERE next_attempt_at IS NOT NULL AND webhook_id > $1
     ORDER BY webhook_id, next_attempt_at, message_number LIMIT 1)
    UNION ALL
    SELECT following.webhook_id FROM lanes CROSS JOIN LATERAL (
        SELECT m.webhook_id FROM webhook_messages m
        WHERE m.next_attempt_at IS NOT NULL AND m.webhook_id > lanes.webhook_id
        ORDER BY m.webhook_id, m.next_attempt_at, m.message_number LIMIT 1
    ) following
), taken AS (
    SELECT one.message_number FROM lanes
    CROSS JOIN LATERAL (
        SELECT e.webhook_id, e.unanswered FROM webhook_endpoints e
        WHERE e.webhook_id = lanes.webhook_id AND e.status = 'active' AND e.removed_at IS NULL
        AND e.webhook_id <> ALL($5) AND (e.unanswered = 0 OR NOT $6) LIMIT 1
    ) lane
    CROSS JOIN LATERAL (
        SELECT m.message_number FROM (
            SELECT due.message_number, due.leased_until FROM webhook_messages due
            WHERE due.webhook_id = lane.webhook_id AND due.next_attempt_at <= $2
            ORDER BY due.next_attempt_at, due.message_number
            LIMIT CASE WHEN lane.unanswered > 0 THEN 1 ELSE $3 END
        ) m WHERE (m.leased_until IS NULL OR m.leased_until <= statement_timestamp()) LIMIT $4
    ) one
    LIMIT $7
), locked AS (
    SELECT m.message_number FROM webhook_messages m
    WHERE m.message_number = ANY(ARRAY(SELECT message_number FROM taken))
    AND m.next_attempt_at <= $2
    AND (m.leased_until IS NULL OR m.leased_until <= statement_timestamp())
    FOR UPDATE SKIP LOCKED
)
UPDATE webhook_messages m SET leased_until = statement_timestamp() + $8
FROM events v, webhook_endpoints e, locked
WHERE m.message_number = locked.message_number
AND e.webhook_id = m.webhook_id AND v.event_id = m.event_id
RETURNING m.message_number, m.attempts, m.attempts_before_round, m.leased_until,
    m.webhook_id, e.url, e.key, e.previous_key, e.previous_key_until,
    v.event_id, v.sequence, v.type, v.object_id, v.merchant_id, v.mode, v.business_type,
    v.payload, v.occurred_at, v.trace_parent
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """What to take: at most ``limit`` messages, ``share`` of an endpoint, of which no more than
    ``per_endpoint`` are under way anywhere; none of ``except_for``, and with ``answering_only``
    none of an endpoint that did not answer last."""

    limit: int
    share: int
    per_endpoint: int
    lease: timedelta
    except_for: Sequence[str] = ()
    answering_only: bool = False


async def claim(tx: Tx, behind: str, wanted: Claim) -> list[Delivery]:
    """Take due messages of the endpoints behind ``behind`` under a lease; the letters are
    rendered here, with the addresses and keys of this moment."""
    rows = await tx.fetch(
        _CLAIM,
        behind,
        tx.now,
        wanted.per_endpoint,
        wanted.share,
        wanted.except_for,
        wanted.answering_only,
        wanted.limit,
        wanted.lease,
    )
    return [_delivery(row) for row in rows]


def _delivery(row: Any) -> Delivery:
    stored = stored_event(row)
    return Delivery(
        message_number=row["message_number"],
        event_id=stored.event_id,
        body=wire.seal(letter(stored)),
        round_attempts=row["attempts"] - row["attempts_before_round"],
        webhook_id=WebhookId(row["webhook_id"]),
        url=row["url"],
        keys=Keys(row["key"], row["previous_key"], row["previous_key_until"]),
        leased_until=row["leased_until"],
        trace_parent=stored.event.trace_parent,
    )


async def give_back(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    """End the leases of messages that were not sent to the end; others may take them at once."""
    await tx.execute(
        "UPDATE webhook_messages m SET leased_until = NULL"
        " FROM unnest($1::bigint[], $2::timestamptz[]) AS mine (message_number, leased_until)"
        " WHERE m.message_number = mine.message_number"
        " AND m.leased_until = mine.leased_until",
        [each.message_number for each in deliveries],
        [each.leased_until for each in deliveries],
    )
    await wake(tx)


async def wake(tx: Tx) -> None:
    """Tell every worker, with this transaction's commit, that messages are due."""
    await tx.execute("SELECT pg_notify($1, '')", CHANNEL)


@dataclass(frozen=True, slots=True)
class LockedEndpoint:
    """What the results of a batch need to know of an endpoint, locked."""

    tenant: Tenant
    url: str
    status: EndpointStatus
    removed: bool
    health: Health


# Not waited for: who holds such a lock may be putting a long backlog in order, and the results
# of all other endpoints would wait with it.
_LOCK = """
WITH wanted AS (
    SELECT webhook_id FROM webhook_endpoints
    WHERE webhook_id = ANY($1) AND (failures > 0 OR webhook_id = ANY($2))
), locked AS (
    SELECT * FROM webhook_endpoints WHERE webhook_id IN (SELECT webhook_id FROM wanted)
    ORDER BY webhook_id FOR NO KEY UPDATE SKIP LOCKED
)
SELECT wanted.webhook_id AS wanted_id, locked.* FROM wanted LEFT JOIN locked USING (webhook_id)
"""


async def lock_endpoints(
    tx: Tx, tried: Sequence[str], failing: Sequence[str]
) -> tuple[dict[str, LockedEndpoint], frozenset[str]]:
    """Lock of the endpoints that were ``tried`` those that have failed before, and all that are
    ``failing`` now; a healthy endpoint that answers costs no lock. Also answers which of them
    somebody else has locked at the moment."""
    rows = await tx.fetch(_LOCK, tried, failing)
    locked = {row["wanted_id"]: _locked(row) for row in rows if row["url"] is not None}
    return locked, frozenset(row["wanted_id"] for row in rows if row["url"] is None)


def _locked(row: Any) -> LockedEndpoint:
    return LockedEndpoint(
        tenant=Tenant(row["merchant_id"], Mode(row["mode"])),
        url=row["url"],
        status=EndpointStatus(row["status"]),
        removed=row["removed_at"] is not None,
        health=Health(row["failures"], row["failing_since"], row["unanswered"]),
    )


async def save_health(tx: Tx, healths: Sequence[tuple[str, Health]]) -> None:
    """Write the health of locked endpoints."""
    await tx.execute(
        "UPDATE webhook_endpoints e"
        " SET failures = h.failures, failing_since = h.since, unanswered = h.unanswered"
        " FROM unnest($1::text[], $2::integer[], $3::timestamptz[], $4::integer[])"
        " AS h (webhook_id, failures, since, unanswered) WHERE e.webhook_id = h.webhook_id",
        [webhook_id for webhook_id, _ in healths],
        [health.failures for _, health in healths],
        [health.since for _, health in healths],
        [health.unanswered for _, health in healths],
    )


async def set_status(tx: Tx, webhook_id: str, status: EndpointStatus) -> None:
    """Write the status of a locked endpoint that the platform decided."""
    await tx.execute(
        "UPDATE webhook_endpoints SET status = $2, updated_at = $3 WHERE webhook_id = $1",
        webhook_id,
        status,
        tx.now,
    )


@dataclass(frozen=True, slots=True)
class Result:
    """A finished try, and where its message goes."""

    delivery: Delivery
    attempt: Attempt
    state: MessageState
    next_attempt_at: datetime | None


# A failure moves the message only under its own lease: when that has passed, another sender may be
# at it, and decides. A success always counts. Where a new round began while the try was under way,
# a failure says nothing of it, and its first try is due.
_MOVE = """
UPDATE webhook_messages m SET (state, next_attempt_at) = (
        SELECT CASE WHEN due THEN 'pending' ELSE r.state END,
            CASE WHEN due THEN $6 ELSE r.next_attempt_at END
        FROM (SELECT m.attempts - m.attempts_before_round < r.round_attempts
            AND (r.state = 'exhausted' OR r.next_attempt_at IS NOT NULL)) AS round (due)),
    attempts = m.attempts + 1, leased_until = NULL
FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::timestamptz[], $5::integer[])
    AS r (message_number, leased_until, state, next_attempt_at, round_attempts)
WHERE m.message_number = r.message_number AND m.state = 'pending'
AND (m.leased_until = r.leased_until OR r.state = 'delivered')
"""
_INSERT_ATTEMPTS = """
INSERT INTO webhook_attempts
    (message_number, webhook_id, started_at, duration_ms, status_code, error, response,
     response_headers, url)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::integer[], $5::integer[],
    $6::text[], $7::text[], $8::text[], $9::text[])
"""


async def record(tx: Tx, results: Sequence[Result]) -> None:
    """Write the tries and move their messages."""
    attempts = [result.attempt for result in results]
    numbers = [result.delivery.message_number for result in results]
    await tx.execute(
        _MOVE,
        numbers,
        [result.delivery.leased_until for result in results],
        [result.state for result in results],
        [result.next_attempt_at for result in results],
        [result.delivery.round_attempts for result in results],
        tx.now,
    )
    await tx.execute(
        _INSERT_ATTEMPTS,
        numbers,
        [result.delivery.webhook_id for result in results],
        [attempt.started_at for attempt in attempts],
        [attempt.duration_ms for attempt in attempts],
        [attempt.status_code for attempt in attempts],
        [attempt.error for attempt in attempts],
        [attempt.response for attempt in attempts],
        [attempt.response_headers for attempt in attempts],
        [result.delivery.url for result in results],
    )


async def hold(tx: Tx, webhook_id: str) -> None:
    """Take messages of a locked endpoint that is not active off the schedule, except those under
    way, which are held or done by whoever sends them. ``AT_ONCE`` of them: nobody sends the rest,
    and ``settle_stranded`` comes by."""
    await tx.execute(
        "UPDATE webhook_messages SET next_attempt_at = NULL WHERE message_number IN ("
        "SELECT message_number FROM webhook_messages"
        " WHERE webhook_id = $1 AND next_attempt_at IS NOT NULL"
        " AND (leased_until IS NULL OR leased_until <= statement_timestamp()) LIMIT $2)"
        " AND (leased_until IS NULL OR leased_until <= statement_timestamp())",
        webhook_id,
        AT_ONCE,
    )


# Held and scheduled ones apart, as each has its index: nothing is read of what was delivered.
_STOP = """
UPDATE webhook_messages SET state = 'stopped', next_attempt_at = NULL, leased_until = NULL
WHERE message_number IN (
    (SELECT message_number FROM webhook_messages
     WHERE webhook_id = $1 AND state = 'pending' AND next_attempt_at IS NULL LIMIT $2)
    UNION ALL
    (SELECT message_number FROM webhook_messages
     WHERE webhook_id = $1 AND next_attempt_at IS NOT NULL
     AND (leased_until IS NULL OR leased_until <= statement_timestamp()) LIMIT $2)
) AND (leased_until IS NULL OR leased_until <= statement_timestamp())
"""


async def stop(tx: Tx, webhook_id: str) -> None:
    """End pending messages of a locked, removed endpoint, as ``hold`` holds them."""
    await tx.execute(_STOP, webhook_id, AT_ONCE)


_RELEASE = """
UPDATE webhook_messages m SET attempts_before_round = attempts,
    (next_attempt_at, leased_until) = (
        SELECT CASE WHEN under_way THEN m.next_attempt_at
            ELSE queue.first_at + queue.place * $3::interval END,
        CASE WHEN under_way THEN m.leased_until END
        FROM (SELECT m.leased_until > statement_timestamp()) AS now (under_way))
FROM (
    SELECT message_number, row_number() OVER (ORDER BY message_number) - 1 AS place,
        greatest($2::timestamptz, (SELECT max(next_attempt_at) + $3 FROM webhook_messages
            WHERE $4 AND webhook_id = $1 AND next_attempt_at IS NOT NULL
            AND attempts = attempts_before_round)) AS first_at
    FROM (
        (SELECT message_number FROM webhook_messages
         WHERE webhook_id = $1 AND state = 'pending' AND next_attempt_at IS NULL
         ORDER BY message_number LIMIT $5)
        UNION ALL
        SELECT message_number FROM webhook_messages
        WHERE webhook_id = $1 AND next_attempt_at IS NOT NULL AND NOT $4
    ) pending ORDER BY message_number LIMIT $5
) queue WHERE m.message_number = queue.message_number
"""


async def release(tx: Tx, webhook_id: str, spacing: timedelta, *, only_held: bool = False) -> None:
    """Put pending messages of a locked, active endpoint on the schedule again, the oldest first
    and ``spacing`` apart, each with all its tries. ``RELEASED_AT_ONCE`` of them: a statement has
    its time, and ``settle_stranded`` comes by for the rest. ``only_held``: behind those that are
    waiting for their first try already."""
    await tx.execute(_RELEASE, webhook_id, tx.now, spacing, only_held, RELEASED_AT_ONCE)
    await wake(tx)


# A message may be posted in the moment in which its endpoint is enabled, disabled or removed, a
# sender may die while that happens, and a backlog may be too long to be moved at once: such
# messages are on the schedule of an endpoint that nobody sends to, or on nobody's.
_STRANDED = """
SELECT e.webhook_id, e.status, e.removed_at FROM webhook_endpoints e
WHERE ((e.removed_at IS NOT NULL OR e.status = 'active') AND EXISTS (
    SELECT FROM webhook_messages m WHERE m.webhook_id = e.webhook_id
    AND m.next_attempt_at IS NULL AND m.state = 'pending'))
OR ((e.removed_at IS NOT NULL OR e.status <> 'active') AND EXISTS (
    SELECT FROM webhook_messages m WHERE m.webhook_id = e.webhook_id
    AND m.next_attempt_at IS NOT NULL))
ORDER BY e.webhook_id FOR NO KEY UPDATE OF e SKIP LOCKED
"""


async def settle_stranded(tx: Tx, spacing: timedelta) -> None:
    """Hold or stop what is scheduled for endpoints that are not active, and release what is held
    for those that are."""
    for row in await tx.fetch(_STRANDED):
        if row["removed_at"]:
            await stop(tx, row["webhook_id"])
        elif row["status"] == EndpointStatus.ACTIVE:
            await release(tx, row["webhook_id"], spacing, only_held=True)
        else:
            await hold(tx, row["webhook_id"])


# Counted up to a bound: how much more than that it is changes nothing.
_BACKLOG = """
SELECT (SELECT count(*) FROM webhook_messages WHERE state = 'exhausted') AS exhausted,
(SELECT count(*) FROM webhook_endpoints
 WHERE removed_at IS NULL AND status <> 'active' AND failures > 0) AS closed, late.*
FROM (SELECT count(*) AS due, min(next_attempt_at) AS due_since FROM (
    SELECT m.next_attempt_at FROM webhook_endpoints e JOIN webhook_messages m USING (webhook_id)
    WHERE e.status = 'active' AND e.removed_at IS NULL AND e.failures = 0
    AND m.next_attempt_at <= $1 LIMIT $2) counted) late
"""


async def backlog(tx: Tx, at_most: int) -> Backlog:
    """What waits now, counted up to ``at_most``."""
    row = await tx.fetchrow(_BACKLOG, tx.now, at_most)
    assert row is not None, "aggregates always answer"
    return Backlog(row["due"], row["due_since"], row["exhausted"], row["closed"])
