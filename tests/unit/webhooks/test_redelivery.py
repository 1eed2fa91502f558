"""Letters sent again: one, a range, a test; and what is on record of the tries."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import EventId
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import GuardedClient
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.testing import FakeClock
from gstable_server.webhooks import operations, wire
from gstable_server.webhooks.machine import WAITS_SECONDS
from gstable_server.webhooks.model import DeliveryStatus
from gstable_server.webhooks.store_queue import Claim, claim
from tests.unit.webhooks.support import (
    attempts,
    deliver_due,
    messages,
    new_endpoint,
    new_tenant,
    next_try,
    receiving,
    status,
    tell,
)

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)


async def events(db: Database) -> list[EventId]:
    async with db.read() as tx:
        rows = await tx.fetch("SELECT event_id FROM events ORDER BY sequence")
    return [EventId(row["event_id"]) for row in rows]


async def test_whk_19_a_delivered_event_goes_again_with_the_same_id(
    database: Database, http: GuardedClient
) -> None:
    async with receiving(status(200), status(500), status(200)) as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        [event_id] = await events(database)
        assert await deliver_due(database, http) == 1
        again = operations.redeliver
        assert await database.run(again, tenant, event_id, endpoint.webhook_id) == 1
        assert await deliver_due(database, http) == 1
        assert await database.run(again, tenant, event_id) == 1
        assert await deliver_due(database, http) == 1
        bodies = {letter.body for letter in receiver.letters}
        ids = {letter.headers["webhook-id"] for letter in receiver.letters}
    assert (len(bodies), ids) == (1, {event_id})
    [message] = await messages(database)
    assert (message.state, message.attempts) == ("delivered", 3)
    async with database.read() as tx:
        [delivered] = await operations.attempts_of(tx, tenant, event_id)
        total, tries = await operations.attempts_on(tx, tenant, endpoint.webhook_id, Page(1, 2))
        assert await operations.attempts_of(tx, await new_tenant(database), event_id) == []
    assert delivered.status is DeliveryStatus.DELIVERED
    assert [(one.ordinal, one.status_code) for one in delivered.attempts] == [
        (1, 200),
        (2, 500),
        (3, 200),
    ]
    assert (total, [one.ordinal for one in tries]) == (3, [3, 2])


async def test_an_exhausted_event_gets_a_whole_new_round(
    database: Database, http: GuardedClient, clock: FakeClock
) -> None:
    async with receiving(status(404)) as receiver:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        [event_id] = await events(database)
        async with database.begin() as tx:
            last = len(WAITS_SECONDS) - 1
            await tx.execute("UPDATE webhook_messages SET attempts = $1", last)
        await next_try(database, http, clock)
        assert [message.state for message in await messages(database)] == ["exhausted"]
        await database.run(operations.redeliver, tenant, event_id)
        await next_try(database, http, clock)
    [message] = await messages(database)
    assert (message.state, message.attempts) == ("pending", len(WAITS_SECONDS) + 1)
    assert message.wait is not None
    assert message.wait <= timedelta(seconds=1.1)


async def test_whk_19_events_and_endpoints_of_others_are_not_found(database: Database) -> None:
    tenant, other = await new_tenant(database), await new_tenant(database)
    endpoint = await new_endpoint(database, tenant, "https://shop.example.com/")
    await tell(database, tenant)
    [event_id] = await events(database)
    theirs = await new_endpoint(database, other, "https://other.example.com/")
    for who, what, where, code in [
        (other, event_id, None, Code.EVENT_NOT_FOUND),
        (tenant, database.ids.mint(EventId), None, Code.EVENT_NOT_FOUND),
        (tenant, event_id, theirs.webhook_id, Code.WEBHOOK_NOT_FOUND),
    ]:
        with pytest.raises(Refused) as caught:
            await database.run(operations.redeliver, who, what, where)
        assert caught.value.code is code
    now, hidden = database.clock.now(), endpoint.webhook_id
    async with database.begin() as tx:
        for asking in (
            operations.send_test(tx, other, hidden),
            operations.attempts_on(tx, other, hidden, Page(1, 10)),
            operations.redeliver_range(tx, other, hidden, now - DAY, now + DAY),
        ):
            with pytest.raises(Refused) as caught:
                await asking
            assert caught.value.code is Code.WEBHOOK_NOT_FOUND


async def test_an_event_from_before_the_endpoint_is_sent_on_request(
    database: Database, http: GuardedClient
) -> None:
    tenant = await new_tenant(database)
    await tell(database, tenant)
    [event_id] = await events(database)
    async with receiving() as receiver:
        endpoint = await new_endpoint(database, tenant, receiver.url, "product.created")
        assert await database.run(operations.redeliver, tenant, event_id) == 0
        wanted = endpoint.webhook_id
        assert await database.run(operations.redeliver, tenant, event_id, wanted) == 1
        assert await deliver_due(database, http) == 1
    assert json.loads(receiver.letters[0].body)["eventId"] == event_id


async def test_what_is_sent_again_to_an_inactive_endpoint_is_held(
    database: Database, http: GuardedClient
) -> None:
    async with receiving() as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant)
        [event_id] = await events(database)
        await deliver_due(database, http)
        await database.run(operations.disable, tenant, endpoint.webhook_id)
        now = database.clock.now()
        assert await database.run(operations.redeliver, tenant, event_id) == 1
        assert (
            await database.run(
                operations.redeliver_range, tenant, endpoint.webhook_id, now - DAY, now + DAY
            )
            == 1
        )
        assert await deliver_due(database, http) == 0
        async with database.read() as tx:
            [delivered] = await operations.attempts_of(tx, tenant, event_id)
        assert (delivered.status, delivered.next_attempt_at) == (DeliveryStatus.HELD, None)
        await database.run(operations.enable, tenant, endpoint.webhook_id)
        assert await deliver_due(database, http) == 1


async def test_a_letter_that_is_under_way_is_not_sent_beside_itself(
    database: Database, http: GuardedClient
) -> None:
    tenant = await new_tenant(database)
    endpoint = await new_endpoint(database, tenant, "https://shop.example.com/")
    await tell(database, tenant)
    [event_id] = await events(database)
    async with database.begin() as tx:
        assert len(await claim(tx, "", Claim(1, 1, 1, timedelta(seconds=30)))) == 1
    now = database.clock.now()
    assert await database.run(operations.redeliver, tenant, event_id) == 1
    await database.run(
        operations.redeliver_range, tenant, endpoint.webhook_id, now - DAY, now + DAY
    )
    assert await deliver_due(database, http) == 0


async def test_whk_19_a_range_is_paced_and_can_be_asked_for_twice(
    database: Database, http: GuardedClient, clock: FakeClock
) -> None:
    async with receiving() as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        began = clock.now()
        for _ in range(4):
            await tell(database, tenant)
            clock.advance(60)
        await tell(database, tenant, "product.created")
        assert await deliver_due(database, http) == 2
        assert await deliver_due(database, http) == 2
        until = began + timedelta(seconds=180)
        for _ in range(2):
            async with database.begin() as tx:
                asked = tenant, endpoint.webhook_id, began, until
                assert await operations.redeliver_range(tx, *asked) == 3
        pending = [one for one in await messages(database) if one.state == "pending"]
        assert [one.wait for one in pending] == [place * operations.SPACING for place in range(3)]
        assert await deliver_due(database, http) == 1
        clock.advance(1)
        assert await deliver_due(database, http) == 2
        sent = [json.loads(letter.body)["eventId"] for letter in receiver.letters]
        assert sent[4:] == (await events(database))[:3]
    assert {one.state for one in await messages(database)} == {"delivered"}
    assert len(await attempts(database)) == 7


async def test_a_test_event_goes_to_its_endpoint_only(
    database: Database, http: GuardedClient
) -> None:
    async with receiving() as receiver, receiving() as other:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await new_endpoint(database, tenant, other.url)
        event_id = await database.run(operations.send_test, tenant, endpoint.webhook_id)
        assert await relay_once(database, operations.post_all) == 1
        assert await deliver_due(database, http) == 1
        assert other.letters == []
        [letter] = receiver.letters
    told = json.loads(letter.body)
    assert letter.headers["webhook-id"] == told["eventId"] == event_id
    assert (told["eventType"], told["isSubscribable"]) == ("webhook.test", False)
    assert told["payload"]["webhookData"]["key"] == wire.HIDDEN_KEY
    assert endpoint.keys.current not in letter.body.decode()


async def test_a_test_event_to_an_endpoint_that_is_not_active_is_refused(
    database: Database,
) -> None:
    tenant: Tenant = await new_tenant(database)
    endpoint = await new_endpoint(database, tenant, "https://shop.example.com/")
    await database.run(operations.disable, tenant, endpoint.webhook_id)
    with pytest.raises(Refused) as caught:
        await database.run(operations.send_test, tenant, endpoint.webhook_id)
    assert "webhookId" in str(caught.value)
