"""The verbs of webhooks: endpoints managed, letters posted, letters delivered.

Nothing here knows what a letter says: the noun rendered it at the moment of truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from gstable_server.kernel.clock import unix_seconds, wire_time
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import EventId, WebhookId
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.destinations import destination_problem
from gstable_server.plumbing.events import StoredEvent
from gstable_server.plumbing.http_client import FetchFailed, HttpClient, Response
from gstable_server.plumbing.jobs import QUEUE, JobHandler, Jobs
from gstable_server.webhooks import store, wire
from gstable_server.webhooks.machine import after_failure, decide
from gstable_server.webhooks.model import (
    ENDPOINTS_MAX,
    KEY_PREFIX,
    KEY_RANDOM_LENGTH,
    Attempt,
    Delivered,
    Delivery,
    Endpoint,
    EndpointStatus,
    Keys,
    MessageState,
    RecordedAttempt,
    Target,
)
from gstable_server.webhooks.signing import signature_headers

DELIVER = "webhook.deliver"
"""The name of the delivery job; its payload is ``<message number>:<attempts before it>``."""

TIMEOUT_SECONDS = 15.0
RESPONSE_BYTES_MAX = 64 * 1024
SNIPPET_CHARACTERS = 1_000


# --- endpoints -----------------------------------------------------------------------------


async def create(tx: Tx, tenant: Tenant, target: Target) -> Endpoint:
    """A new active endpoint with its key.

    Raises ``Refused``: 400101 for a URL that deliveries must not go to, 300102 when the tenant
    has ``ENDPOINTS_MAX`` already.
    """
    _require_reachable(tenant, target)
    await store.lock_tenant(tx, tenant)
    if await store.count(tx, tenant) >= ENDPOINTS_MAX:
        raise Refused(Code.WEBHOOK_LIMIT, f"at most {ENDPOINTS_MAX} webhooks")
    endpoint = Endpoint(
        webhook_id=tx.mint(WebhookId),
        tenant=tenant,
        target=target,
        keys=Keys(_new_key(tx)),
        status=EndpointStatus.ACTIVE,
        created_at=tx.now,
        updated_at=tx.now,
    )
    await store.insert(tx, endpoint)
    return endpoint


async def update(tx: Tx, tenant: Tenant, webhook_id: WebhookId, target: Target) -> Endpoint:
    """Replace what the merchant says of the endpoint; key and status stay. Tries that begin
    after the commit go to the new URL. Raises ``Refused`` 400101, 300101."""
    _require_reachable(tenant, target)
    endpoint = await store.require(tx, tenant, webhook_id, lock=True)
    return await _save(tx, replace(endpoint, target=target))


async def list_webhooks(tx: Tx, tenant: Tenant) -> list[Endpoint]:
    """All endpoints, the newest first."""
    return await store.list_all(tx, tenant)


async def detail(tx: Tx, tenant: Tenant, webhook_id: WebhookId) -> Endpoint:
    """Raises ``Refused`` 300101."""
    return await store.require(tx, tenant, webhook_id)


async def disable(tx: Tx, tenant: Tenant, webhook_id: WebhookId) -> None:
    """Deliveries stop: no new messages, and pending ones are held. Raises ``Refused`` 300101."""
    endpoint = await store.require(tx, tenant, webhook_id, lock=True)
    await _save(tx, replace(endpoint, status=EndpointStatus.INACTIVE))


async def enable(tx: Tx, tenant: Tenant, webhook_id: WebhookId, *, jobs: Jobs = QUEUE) -> None:
    """Make a disabled or paused endpoint active; held messages go on. Raises ``Refused``
    300101."""
    endpoint = await store.require(tx, tenant, webhook_id, lock=True)
    await _save(tx, replace(endpoint, status=EndpointStatus.ACTIVE))
    await store.clear_health(tx, webhook_id)
    for message_number, attempts in await store.release_held(tx, webhook_id):
        # No dedupe key: the job that found the endpoint disabled may not have ended yet, and
        # each message is released once, because this transaction holds the endpoint's lock.
        await jobs.enqueue(tx, DELIVER, f"{message_number}:{attempts}")


async def refresh_key(tx: Tx, tenant: Tenant, webhook_id: WebhookId, grace_seconds: int = 0) -> str:
    """A new signing key; the old one dies at once, or after ``grace_seconds``. Raises
    ``Refused`` 300101."""
    endpoint = await store.require(tx, tenant, webhook_id, lock=True)
    keys = Keys(_new_key(tx))
    if grace_seconds:
        until = tx.now + timedelta(seconds=grace_seconds)
        keys = replace(keys, previous=endpoint.keys.current, previous_until=until)
    await _save(tx, replace(endpoint, keys=keys))
    return keys.current


async def remove(tx: Tx, tenant: Tenant, webhook_id: WebhookId) -> None:
    """Irreversible; pending messages are stopped. Raises ``Refused`` 300101."""
    await store.remove(tx, await store.require(tx, tenant, webhook_id, lock=True))


def _require_reachable(tenant: Tenant, target: Target) -> None:
    """The first of two guards, on the text of the URL; the second is the HTTP client's, at every
    connection. Loopback and plain http to it are for test mode only (spec 15, Field limits)."""
    problem = destination_problem(target.url, allow_loopback=tenant.mode is Mode.TEST)
    if problem:
        raise invalid_field("webhookUrl", problem)


def _new_key(tx: Tx) -> str:
    return KEY_PREFIX + tx.ids.token(KEY_RANDOM_LENGTH)


async def _save(tx: Tx, endpoint: Endpoint) -> Endpoint:
    changed = replace(endpoint, updated_at=tx.now)
    await store.save(tx, changed)
    return changed


# --- posting -------------------------------------------------------------------------------


async def post(tx: Tx, stored: StoredEvent, *, jobs: Jobs = QUEUE) -> None:
    """Write one message to each endpoint that subscribed to the event's type, and queue its
    delivery, all in ``tx``: rolled back, nothing was ever posted."""
    tenant = stored.event.tenant
    if tenant is None:
        return
    body = wire.seal(_letter(stored))
    numbers = await store.insert_messages(tx, tenant, stored.event.type, stored.event_id, body)
    for message_number in numbers:
        await _queue_try(tx, jobs, message_number, 0, tx.now)


def _letter(stored: StoredEvent) -> wire.Envelope:
    return {
        "eventId": str(stored.event_id),
        "eventType": stored.event.type,
        "businessType": stored.event.business_type,
        "occurrence": wire_time(stored.occurred_at),
        "isSubscribable": True,
        "payload": stored.event.payload,
        "sequence": stored.sequence,
        "apiVersion": wire.API_VERSION,
    }


async def _queue_try(
    tx: Tx, jobs: Jobs, message_number: int, attempts: int, run_at: datetime
) -> None:
    """The key names the try, so that one try is never queued twice at a time."""
    payload = f"{message_number}:{attempts}"
    await jobs.enqueue(tx, DELIVER, payload, run_at=run_at, dedupe_key=f"{DELIVER}:{payload}")


# --- posting again -------------------------------------------------------------------------


async def redeliver(
    tx: Tx, tenant: Tenant, event_id: EventId, webhook_id: WebhookId | None = None
) -> int:
    """Send an event again, at once, with the same ``webhook-id``: to ``webhook_id``, or to every
    endpoint that has or would get it. Returns the number of messages. Those to an endpoint that
    is not active are held. Raises ``Refused``: 300201 for an event that is not the tenant's,
    300101."""
    raise NotImplementedError


async def redeliver_range(
    tx: Tx, tenant: Tenant, webhook_id: WebhookId, since: datetime, until: datetime
) -> int:
    """Send every event of ``since`` <= time < ``until`` that the endpoint subscribes to again,
    the oldest first and paced. Returns the number of messages. Raises ``Refused`` 300101."""
    raise NotImplementedError


async def send_test(tx: Tx, tenant: Tenant, webhook_id: WebhookId) -> EventId:
    """Tell an event of type ``webhook.test``, to that endpoint only. Raises ``Refused`` 300101."""
    raise NotImplementedError


async def attempts_of(tx: Tx, tenant: Tenant, event_id: EventId) -> list[Delivered]:
    """The event at each endpoint that it was posted to. Empty for an event of others."""
    raise NotImplementedError


async def attempts_on(
    tx: Tx, tenant: Tenant, webhook_id: WebhookId, page: Page
) -> tuple[int, list[RecordedAttempt]]:
    """The number of tries at an endpoint, and one page of them, the newest first. Raises
    ``Refused`` 300101."""
    raise NotImplementedError


# --- delivery ------------------------------------------------------------------------------


def job_handlers(
    db: Database,
    http: HttpClient,
    *,
    jobs: Jobs = QUEUE,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Mapping[str, JobHandler]:
    """What a worker runs for this slice, by job name."""

    async def run(payload: bytes) -> None:
        message_number, attempts = map(int, payload.split(b":"))
        await deliver(
            db, http, message_number, attempts, jobs=jobs, timeout_seconds=timeout_seconds
        )

    return {DELIVER: run}


async def deliver(
    db: Database,
    http: HttpClient,
    message_number: int,
    attempts: int,
    *,
    jobs: Jobs = QUEUE,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> None:
    """Try once to deliver a message that was tried ``attempts`` times before.

    Does nothing when the message was delivered, ended, or tried again meanwhile, so that a job
    may run twice. An endpoint that is not active holds its messages.
    """
    async with db.read() as tx:
        delivery = await store.find_delivery(tx, message_number)
    if delivery is None or delivery.attempts != attempts:
        return
    if delivery.status is not EndpointStatus.ACTIVE:
        await db.run(partial(_hold, jobs=jobs), delivery)
        return
    # Death before the request: nothing was sent and nothing recorded; the queue hands the job to
    # another worker, which sends.
    attempt = await _send(db, http, delivery, timeout_seconds)
    # Death here, after the request and before the record: the job runs again and the letter is
    # sent a second time with the same webhook-id, by which the receiver knows it.
    await db.run(partial(_record, jobs=jobs), delivery, attempt)


async def _hold(tx: Tx, delivery: Delivery, *, jobs: Jobs) -> None:
    """Park the message of an endpoint that is not active; look again under its lock, because it
    may have been enabled a moment ago."""
    status = await store.lock_status(tx, delivery.webhook_id)
    if status is None:
        await store.park(tx, delivery, MessageState.STOPPED)
    elif status is EndpointStatus.ACTIVE:
        await jobs.enqueue(tx, DELIVER, f"{delivery.message_number}:{delivery.attempts}")
    else:
        await store.park(tx, delivery, MessageState.PENDING)


async def _send(
    db: Database, http: HttpClient, delivery: Delivery, timeout_seconds: float
) -> Attempt:
    """One request, outside any transaction: a slow receiver must not hold a connection."""
    started = db.clock.now()
    headers = {
        "content-type": "application/json",
        **signature_headers(
            delivery.keys.valid_at(started),
            delivery.event_id,
            unix_seconds(started),
            delivery.body,
        ),
    }
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
        return Attempt(started, _milliseconds(db.clock.now() - started), error=str(failure))
    return Attempt(
        started_at=started,
        duration_ms=_milliseconds(db.clock.now() - started),
        status_code=response.status,
        retry_after=response.headers.get("retry-after"),
        response=_snippet(response),
    )


async def _record(tx: Tx, delivery: Delivery, attempt: Attempt, *, jobs: Jobs) -> None:
    """Write the try, and where the message goes from here."""
    decision = decide(delivery.message_number, delivery.attempts, attempt)
    await store.insert_attempt(tx, delivery.message_number, attempt)
    if decision.state is MessageState.DELIVERED:
        await store.clear_health(tx, delivery.webhook_id)
    else:
        await _count_failure(tx, delivery)
    if decision.disables_endpoint:
        await store.disable_gone(tx, delivery)
    next_at = tx.now + decision.wait if decision.wait is not None else None
    moved = await store.move(tx, delivery, decision.state, next_at)
    if moved and next_at is not None:
        await _queue_try(tx, jobs, delivery.message_number, delivery.attempts + 1, next_at)


async def _count_failure(tx: Tx, delivery: Delivery) -> None:
    """Pause the endpoint when it has failed for too long; its messages are held from then on."""
    health = await store.lock_health(tx, delivery.webhook_id)
    failed, pauses = after_failure(health, tx.now)
    await store.save_health(tx, delivery.webhook_id, failed)
    if pauses:
        await store.pause(tx, delivery.webhook_id)


def _milliseconds(duration: timedelta) -> int:
    """Never negative, even when the machine's clock was set back meanwhile."""
    return max(0, duration // timedelta(milliseconds=1))


def _snippet(response: Response) -> str:
    """The beginning of the answer as text that PostgreSQL can keep."""
    text = response.body.decode("utf-8", "replace").replace("\x00", "\ufffd")
    return text[:SNIPPET_CHARACTERS]
