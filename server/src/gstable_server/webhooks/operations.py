"""The verbs of webhooks: endpoints managed, letters posted and posted again; ``dispatch`` sends.

Nothing here knows what a letter says: the noun rendered it at the moment of truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import EventId, WebhookId
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing import event_log
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.destinations import destination_problem
from gstable_server.plumbing.events import Event, StoredEvent
from gstable_server.webhooks import store, store_log, store_queue, wire
from gstable_server.webhooks.model import (
    AUDIENCES,
    ENDPOINTS_MAX,
    KEY_PREFIX,
    KEY_RANDOM_LENGTH,
    TEST_EVENT,
    Audience,
    Backlog,
    Condition,
    Delivered,
    Endpoint,
    EndpointStatus,
    Keys,
    LogLine,
    RecordedAttempt,
    Target,
    View,
)

SPACING = timedelta(milliseconds=20)
"""Between the messages of a backlog that is let go at once: 50 a second to one endpoint."""


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


async def lock(tx: Tx, tenant: Tenant, webhook_id: WebhookId) -> Endpoint:
    """The endpoint, which nobody else changes until the transaction ends. Raises ``Refused``
    300101."""
    return await store.require(tx, tenant, webhook_id, lock=True)


async def disable(tx: Tx, tenant: Tenant, webhook_id: WebhookId) -> bool:
    """Deliveries stop: no new messages, and pending ones are held. False if they had. Raises
    ``Refused`` 300101."""
    endpoint = await store.require(tx, tenant, webhook_id, lock=True)
    if endpoint.status is EndpointStatus.INACTIVE:
        return False
    await _save(tx, replace(endpoint, status=EndpointStatus.INACTIVE))
    await store_queue.hold(tx, webhook_id)
    return True


async def enable(tx: Tx, tenant: Tenant, webhook_id: WebhookId) -> bool:
    """Make a disabled or paused endpoint active. Everything held goes on, the oldest first and
    ``SPACING`` apart, so that the endpoint is not flooded in its first second. False if it was
    active. Raises ``Refused`` 300101."""
    endpoint = await store.require(tx, tenant, webhook_id, lock=True)
    await store.clear_health(tx, webhook_id)
    if endpoint.status is EndpointStatus.ACTIVE:
        return False
    await _save(tx, replace(endpoint, status=EndpointStatus.ACTIVE))
    await store_queue.release(tx, webhook_id, SPACING)
    return True


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
    await store_queue.stop(tx, webhook_id)


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


async def post_all(tx: Tx, batch: Sequence[StoredEvent]) -> None:
    """Write one message to each endpoint that is to get one of these events, in ``tx``: rolled
    back, nothing was ever posted. The row is its own place in the queue; workers are woken by the
    commit. Internal events have no tenant and are for nobody."""
    letters = [
        (stored, AUDIENCES.get(stored.event.type, Audience.SUBSCRIBED))
        for stored in batch
        if stored.event.tenant is not None
    ]
    if letters and await store.insert_messages(tx, letters):
        await store_queue.wake(tx)


async def redeliver(
    tx: Tx, tenant: Tenant, event_id: EventId, webhook_id: WebhookId | None = None
) -> int:
    """Send an event again, at once, with the same ``webhook-id``: to ``webhook_id``, or to every
    endpoint that has or would get it. Returns the number of messages. Those to an endpoint that
    is not active are held. Raises ``Refused``: 300201 for an event that is not the tenant's,
    300101."""
    stored = await event_log.find(tx, tenant, event_id)
    if stored is None:
        raise Refused(Code.EVENT_NOT_FOUND)
    if webhook_id is None:
        chosen = await store.find_recipients(tx, tenant, event_id, stored.event.type)
    else:
        chosen = [(await store.require(tx, tenant, webhook_id, lock=True)).webhook_id]
    await store.post_again(tx, chosen, event_id)
    await store_queue.wake(tx)
    return len(chosen)


async def redeliver_range(
    tx: Tx, tenant: Tenant, webhook_id: WebhookId, since: datetime, until: datetime
) -> int:
    """Send every event of ``since`` <= time < ``until`` that the endpoint subscribes to, or was
    sent before, again: the oldest first and ``SPACING`` apart. Returns the number of messages.
    Raises ``Refused`` 300101."""
    endpoint = await store.require(tx, tenant, webhook_id, lock=True)
    number = await store.post_range_again(tx, endpoint, since, until, SPACING)
    await store_queue.wake(tx)
    return number


async def send_test(tx: Tx, tenant: Tenant, webhook_id: WebhookId) -> EventId:
    """Tell an event of type ``webhook.test``, to that endpoint only. Raises ``Refused``: 300101,
    and 400101 for an endpoint that is not active, which would get it some day or never."""
    endpoint = await store.require(tx, tenant, webhook_id, lock=True)
    if endpoint.status is not EndpointStatus.ACTIVE:
        raise invalid_field("webhookId", "must be an active webhook")
    event_id = tx.mint(EventId)
    tx.tell(notice(TEST_EVENT, endpoint, event_id))
    return event_id


def notice(event_type: str, endpoint: Endpoint, event_id: EventId | None = None) -> Event:
    """An event about an endpoint, whose row the caller has locked; it never shows the key."""
    return Event(
        type=event_type,
        object_id=endpoint.webhook_id,
        payload={"webhookData": wire.render(endpoint, with_key=False)},
        tenant=endpoint.tenant,
        business_type="webhook",
        event_id=event_id,
    )


async def attempts_of(tx: Tx, tenant: Tenant, event_id: EventId) -> list[Delivered]:
    """The event at each endpoint that it was posted to. Empty for an event of others."""
    return await store.find_deliveries(tx, tenant, event_id)


async def attempts_on(
    tx: Tx, tenant: Tenant, webhook_id: WebhookId, page: Page
) -> tuple[int, list[RecordedAttempt]]:
    """The number of tries at an endpoint, and a page of them, the newest first. Raises
    ``Refused`` 300101."""
    return await store.list_attempts(tx, await store.require(tx, tenant, webhook_id), page)


async def conditions(tx: Tx, tenant: Tenant) -> dict[str, Condition]:
    """How each endpoint is doing, by its id."""
    return await store_log.conditions(tx, tenant)


async def log_of(
    tx: Tx, tenant: Tenant, webhook_id: WebhookId, view: View, before: int, limit: int
) -> list[LogLine]:
    """Up to ``limit`` lines of an endpoint's log numbered below ``before``, the newest first.
    Raises ``Refused`` 300101."""
    endpoint = await store.require(tx, tenant, webhook_id)
    return await store_log.log_of(tx, endpoint, view, before, limit)


async def names_of(tx: Tx, tenant: Tenant, webhook_ids: Sequence[str]) -> dict[str, str]:
    """What the merchant calls these endpoints of theirs, removed ones too."""
    return await store_log.names_of(tx, tenant, webhook_ids)


async def settle_stranded(tx: Tx) -> None:
    """Hold, stop or release messages that were posted in the very moment in which their endpoint
    was disabled, removed or enabled, or whose sender died then; for the timetable."""
    await store_queue.settle_stranded(tx, SPACING)


async def backlog(tx: Tx, at_most: int) -> Backlog:
    """What waits to be delivered, counted up to ``at_most``."""
    return await store_queue.backlog(tx, at_most)
