"""Letters: who gets one, what it says, and that it comes with its event or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from gstable_server.kernel.tenant import Mode
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import Event, StoredEvent
from gstable_server.plumbing.outbox import relay_once
from gstable_server.webhooks import operations, store_queue
from gstable_server.webhooks.store_queue import Claim
from tests.unit.webhooks.support import (
    attempts,
    messages,
    new_endpoint,
    new_tenant,
    tell,
)

pytestmark = pytest.mark.anyio

URL = "https://shop.example.com/hooks"


async def test_the_letter_is_the_envelope_of_the_spec(database: Database) -> None:
    tenant = await new_tenant(database)
    await new_endpoint(database, tenant, URL)
    payload = {"sessionData": {"amount": 20_000, "name": "Käse ☕", "big": 2**60}}
    await tell(database, tenant, payload=payload)
    async with database.read() as tx:
        event = await tx.fetchrow("SELECT * FROM events")
        [one] = await store_queue.claim(tx, "", Claim(1, 1, 1, timedelta(seconds=30)))
    assert event is not None
    assert json.loads(one.body) == {
        "eventId": event["event_id"],
        "eventType": "session.paid",
        "businessType": "session",
        "occurrence": "2026-01-01 12:00:00",
        "isSubscribable": True,
        "payload": payload,
        "sequence": event["sequence"],
        "apiVersion": "v1",
    }


async def test_only_the_tenants_own_subscribed_endpoints_get_a_letter(
    database: Database,
) -> None:
    tenant, other = await new_tenant(database), await new_tenant(database)
    wanted = await new_endpoint(database, tenant, URL)
    paused = await new_endpoint(database, tenant, URL, "session.paid", "session.created")
    await new_endpoint(database, tenant, URL, "session.created")
    inactive = await new_endpoint(database, tenant, URL)
    removed = await new_endpoint(database, tenant, URL)
    await new_endpoint(database, other, URL)
    async with database.begin() as tx:
        await tx.execute(
            "INSERT INTO webhook_endpoints (webhook_id, merchant_id, mode, name, url, events,"
            " key, status, created_at, updated_at) VALUES ('wkid_live', $1, $2, 'n', $3,"
            " '{session.paid}', 'wkk_x', 'active', $4, $4)",
            tenant.merchant_id,
            Mode.LIVE,
            URL,
            tx.now,
        )
        await tx.execute(
            "UPDATE webhook_endpoints SET status = 'paused' WHERE webhook_id = $1",
            paused.webhook_id,
        )
    await database.run(operations.disable, tenant, inactive.webhook_id)
    await database.run(operations.remove, tenant, removed.webhook_id)
    await tell(database, tenant)
    posted = await messages(database)
    assert {message.webhook_id for message in posted} == {wanted.webhook_id, paused.webhook_id}
    waits = {message.webhook_id: message.wait for message in posted}
    assert waits == {wanted.webhook_id: timedelta(0), paused.webhook_id: None}


async def test_internal_events_post_nothing(database: Database) -> None:
    async with database.begin() as tx:
        tx.tell(Event("chain.payment_seen", "net:1", {}))
    assert await relay_once(database, operations.post_all) == 1
    assert await messages(database) == []


async def test_whk_11_a_rolled_back_post_leaves_no_message(
    database: Database,
) -> None:
    tenant = await new_tenant(database)
    await new_endpoint(database, tenant, URL)

    async def fails_after_posting(tx: Tx, batch: Sequence[StoredEvent]) -> None:
        await operations.post_all(tx, batch)
        assert await tx.fetchval("SELECT count(*) FROM webhook_messages") == 1
        raise RuntimeError("failed on purpose")

    async with database.begin() as tx:
        tx.tell(Event("session.paid", "sess_1", {}, tenant=tenant, business_type="session"))
    assert await relay_once(database, fails_after_posting) == 0
    assert await messages(database) == []
    assert await attempts(database) == []


async def test_an_event_posted_twice_makes_one_message(database: Database) -> None:
    tenant = await new_tenant(database)
    await new_endpoint(database, tenant, URL)

    async def twice(tx: Tx, batch: Sequence[StoredEvent]) -> None:
        await operations.post_all(tx, batch)
        await operations.post_all(tx, batch)

    async with database.begin() as tx:
        tx.tell(Event("session.paid", "sess_1", {}, tenant=tenant, business_type="session"))
    assert await relay_once(database, twice) == 1
    assert len(await messages(database)) == 1
