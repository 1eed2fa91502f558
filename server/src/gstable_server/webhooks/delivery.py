"""One try: a letter signed, sent, and its answer judged; and what a batch of tries comes to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from gstable_server.kernel.clock import Clock, unix_seconds
from gstable_server.kernel.ids import WebhookId
from gstable_server.plumbing import metrics, tracing
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.http_client import FetchFailed, HttpClient, Response
from gstable_server.webhooks import operations, store, store_queue
from gstable_server.webhooks.machine import Decision, after_attempt, decide
from gstable_server.webhooks.model import (
    DISABLED_EVENT,
    PAUSED_EVENT,
    Attempt,
    Delivery,
    EndpointStatus,
    Health,
    MessageState,
)
from gstable_server.webhooks.signing import signature_headers
from gstable_server.webhooks.store_queue import LockedEndpoint, Result

log = structlog.get_logger(__name__)

RESPONSE_BYTES_MAX = 64 * 1024
SNIPPET_CHARACTERS = 1_000

Tried = tuple[Delivery, Attempt]


async def send(
    http: HttpClient, clock: Clock, delivery: Delivery, timeout_seconds: float
) -> Attempt:
    """One request, outside any transaction: a slow receiver must not hold a connection. The
    bytes that are signed are the bytes that are sent."""
    with tracing.span(
        "webhook attempt",
        parent=delivery.trace_parent,
        event_id=delivery.event_id,
        webhook_id=delivery.webhook_id,
        attempt=delivery.round_attempts + 1,
    ) as span:
        attempt = await _send(http, clock, delivery, timeout_seconds)
        span.note(status=attempt.status_code or 0, duration_ms=attempt.duration_ms)
    metrics.webhook_attempt(attempt.duration_ms, delivered=attempt.succeeded)
    return attempt


async def _send(
    http: HttpClient, clock: Clock, delivery: Delivery, timeout_seconds: float
) -> Attempt:
    started = clock.now()
    keys = delivery.keys.valid_at(started)
    at = unix_seconds(started)
    headers = signature_headers(keys, delivery.event_id, at, delivery.body)
    headers["content-type"] = "application/json"
    if (trace_parent := tracing.current()) is not None:
        headers["traceparent"] = trace_parent
    try:
        response = await http.fetch(
            "POST",
            delivery.url,
            headers,
            delivery.body,
            max_bytes=RESPONSE_BYTES_MAX,
            timeout=timeout_seconds,
        )
    except FetchFailed as failure:
        return Attempt(started, _elapsed(clock, started), error=_storable(str(failure)))
    return Attempt(
        started_at=started,
        duration_ms=_elapsed(clock, started),
        status_code=response.status,
        retry_after=response.headers.get("retry-after"),
        response=_snippet(response),
        response_headers=_header_lines(response),
    )


def _elapsed(clock: Clock, started: datetime) -> int:
    """Milliseconds; never negative, even when the machine's clock was set back meanwhile."""
    return max(0, (clock.now() - started) // timedelta(milliseconds=1))


def _snippet(response: Response) -> str:
    # A character has four bytes at most, so no more of a long answer needs to be decoded.
    return _storable(response.body[: 4 * SNIPPET_CHARACTERS].decode("utf-8", "replace"))


def _header_lines(response: Response) -> str:
    lines = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
    # Bytes that are no UTF-8 come as lone surrogates, which no database takes.
    return _storable(lines[: 4 * SNIPPET_CHARACTERS].encode("utf-8", "replace").decode())


def _storable(text: str) -> str:
    """The beginning, as text that PostgreSQL can keep."""
    return text[:SNIPPET_CHARACTERS].replace("\x00", "\ufffd")


async def record(tx: Tx, tried: Sequence[Tried]) -> Sequence[Tried]:
    """Write a batch of tries, and where their messages and endpoints go from here. Returns those
    that have to wait, because somebody else is changing their endpoint.

    Dying before the commit loses the batch: the leases pass, and the letters are sent a second
    time with the same ``webhook-id``, by which the receiver knows them.
    """
    decided = [
        (delivery, attempt, decide(delivery.message_number, delivery.round_attempts, attempt))
        for delivery, attempt in tried
    ]
    failing = {
        delivery.webhook_id
        for delivery, _, decision in decided
        if decision.state is not MessageState.DELIVERED
    }
    everyone = {delivery.webhook_id for delivery, _ in tried}
    locked, busy = await store_queue.lock_endpoints(tx, list(everyone), list(failing))
    decided = [one for one in decided if one[0].webhook_id not in busy]
    closed = await _judge(tx, locked, decided) if locked else frozenset()
    await store_queue.record(tx, [_result(tx.now, locked, closed, one) for one in decided])
    metrics.letters_given_up(sum(one.state is MessageState.EXHAUSTED for _, _, one in decided))
    return [one for one in tried if one[0].webhook_id in busy] if busy else ()


async def _judge(
    tx: Tx,
    locked: dict[str, LockedEndpoint],
    decided: Sequence[tuple[Delivery, Attempt, Decision]],
) -> frozenset[str]:
    """Write the health of the endpoints that fail or recover, in the order of the tries; pause or
    disable those that have failed for too long or are gone. Returns which are not active."""
    healths: dict[str, Health] = {}
    closing: dict[str, EndpointStatus] = {}
    for delivery, attempt, decision in decided:
        endpoint = locked.get(delivery.webhook_id)
        if endpoint is None:
            continue
        before = healths.get(delivery.webhook_id, endpoint.health)
        healths[delivery.webhook_id], pauses = after_attempt(before, attempt, tx.now)
        # What was answered at an address that was changed meanwhile says nothing of the new one.
        if decision.disables_endpoint and endpoint.url == delivery.url:
            closing[delivery.webhook_id] = EndpointStatus.INACTIVE
        elif pauses:
            closing.setdefault(delivery.webhook_id, EndpointStatus.PAUSED)
    await store_queue.save_health(tx, list(healths.items()))
    active = {key for key, one in locked.items() if one.status is EndpointStatus.ACTIVE}
    for webhook_id, status in closing.items():
        endpoint = locked[webhook_id]
        if webhook_id in active and not endpoint.removed:
            await _close(tx, endpoint, webhook_id, status)
    return frozenset(locked.keys() - active | closing.keys())


async def _close(tx: Tx, endpoint: LockedEndpoint, webhook_id: str, status: EndpointStatus) -> None:
    """Send nothing more to an active endpoint, and tell its merchant's other endpoints."""
    await store_queue.set_status(tx, webhook_id, status)
    await store_queue.hold(tx, webhook_id)
    shown = await store.require(tx, endpoint.tenant, WebhookId(webhook_id))
    event_type = PAUSED_EVENT if status is EndpointStatus.PAUSED else DISABLED_EVENT
    tx.tell(operations.notice(event_type, shown))
    log.warning("webhook endpoint closed", webhook_id=webhook_id, status=status.value)


def _result(
    now: datetime,
    locked: dict[str, LockedEndpoint],
    closed: frozenset[str],
    decided: tuple[Delivery, Attempt, Decision],
) -> Result:
    delivery, attempt, decision = decided
    state, wait = decision.state, decision.wait
    endpoint = locked.get(delivery.webhook_id)
    if wait is not None and endpoint is not None:
        if endpoint.removed:
            state, wait = MessageState.STOPPED, None
        elif delivery.webhook_id in closed:
            wait = None
    return Result(delivery, attempt, state, now + wait if wait is not None else None)
