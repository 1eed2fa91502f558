"""What a merchant or another worker does to an endpoint while letters to it are under way."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gstable_server.kernel.ids import WebhookId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.events import Event
from gstable_server.plumbing.http_client import GuardedClient
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.testing import FakeClock
from gstable_server.webhooks import operations, store_queue
from gstable_server.webhooks.delivery import record
from gstable_server.webhooks.machine import WAITS_SECONDS
from gstable_server.webhooks.model import Attempt, Delivery
from gstable_server.webhooks.store_queue import Claim, claim
from tests.unit.webhooks.support import (
    deliver_due,
    messages,
    new_endpoint,
    new_tenant,
    receiving,
    tell,
)

pytestmark = pytest.mark.anyio


async def set_endpoint(db: Database, status: str) -> None:
    async with db.begin() as tx:
        await tx.execute("UPDATE webhook_endpoints SET status = $1", status)


async def take(db: Database) -> Delivery:
    """The one due message, as a sender takes it."""
    async with db.begin() as tx:
        [delivery] = await claim(tx, "", Claim(1, 1, 1, timedelta(seconds=30)))
        return delivery


async def under_way_for_the_last_time(db: Database, url: str) -> tuple[Tenant, Delivery]:
    tenant = await new_tenant(db)
    await new_endpoint(db, tenant, url)
    await tell(db, tenant)
    async with db.begin() as tx:
        await tx.execute("UPDATE webhook_messages SET attempts = $1", len(WAITS_SECONDS) - 1)
    return tenant, await take(db)


async def test_whk_14_what_is_posted_while_its_endpoint_is_enabled_goes_out(
    database: Database, http: GuardedClient
) -> None:
    async with receiving() as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await set_endpoint(database, "paused")
        async with database.begin() as tx:
            await operations.enable(tx, tenant, endpoint.webhook_id)
            # A long backlog takes a while: the letters of all merchants must not wait for it.
            async with asyncio.timeout(60):
                await tell(database, tenant)
        await database.run(operations.settle_stranded)
        assert await deliver_due(database, http) == 1
    assert len(receiver.letters) == 1


async def test_whk_14_a_backlog_that_is_too_long_to_be_released_at_once_goes_out_paced(
    database: Database, http: GuardedClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_queue, "RELEASED_AT_ONCE", 2)
    tenant = await new_tenant(database)
    endpoint = await new_endpoint(database, tenant, "https://shop.example.com/")
    await set_endpoint(database, "paused")
    for _ in range(5):
        await tell(database, tenant)
    await database.run(operations.enable, tenant, endpoint.webhook_id)
    for _ in range(3):
        await database.run(operations.settle_stranded)
    waits = [one.wait for one in await messages(database)]
    assert waits == [place * operations.SPACING for place in range(5)]


@pytest.mark.parametrize("verb", ["resend", "resend range", "enable"])
async def test_whk_19_what_is_wanted_again_while_its_last_try_is_under_way_begins_anew(
    database: Database, http: GuardedClient, verb: str
) -> None:
    async with receiving() as receiver:
        tenant, delivery = await under_way_for_the_last_time(database, receiver.url)
        webhook_id = WebhookId(delivery.webhook_id)
        now = database.clock.now()
        if verb == "resend":
            await database.run(operations.redeliver, tenant, delivery.event_id)
        elif verb == "resend range":
            span = now - timedelta(days=1), now + timedelta(days=1)
            await database.run(operations.redeliver_range, tenant, webhook_id, *span)
        else:
            await set_endpoint(database, "paused")
            await database.run(operations.enable, tenant, webhook_id)
        assert await deliver_due(database, http) == 0
        await database.run(record, [(delivery, Attempt(now, 5, status_code=500))])
        assert await deliver_due(database, http) == 1
    [message] = await messages(database)
    assert (message.state, message.attempts) == ("delivered", len(WAITS_SECONDS) + 1)


async def test_whk_19_a_success_of_what_was_wanted_again_meanwhile_is_enough(
    database: Database, http: GuardedClient
) -> None:
    tenant, delivery = await under_way_for_the_last_time(database, "https://shop.example.com/")
    await database.run(operations.redeliver, tenant, delivery.event_id)
    attempt = Attempt(database.clock.now(), 5, status_code=200)
    await database.run(record, [(delivery, attempt)])
    assert await deliver_due(database, http) == 0
    assert [one.state for one in await messages(database)] == ["delivered"]


async def test_whk_14_a_try_of_before_does_not_go_on_at_an_endpoint_disabled_meanwhile(
    database: Database, http: GuardedClient
) -> None:
    tenant, delivery = await under_way_for_the_last_time(database, "https://shop.example.com/")
    await database.run(operations.redeliver, tenant, delivery.event_id)
    await database.run(operations.disable, tenant, WebhookId(delivery.webhook_id))
    attempt = Attempt(database.clock.now(), 5, status_code=500)
    await database.run(record, [(delivery, attempt)])
    await database.run(operations.settle_stranded)
    assert [(one.state, one.wait) for one in await messages(database)] == [("pending", None)]


async def test_whk_17_the_letters_of_all_do_not_wait_for_one_merchants_long_range(
    database: Database, http: GuardedClient
) -> None:
    async with receiving() as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        async with database.begin() as tx:
            tx.tell(Event("session.paid", "sess_1", {}, tenant=tenant, business_type="session"))
        now = database.clock.now()
        day = timedelta(days=1)
        async with database.begin() as tx:
            await operations.redeliver_range(tx, tenant, endpoint.webhook_id, now - day, now + day)
            async with asyncio.timeout(60):
                assert await relay_once(database, operations.post_all) == 1
        assert await deliver_due(database, http) == 1
    assert len(receiver.letters) == 1
