"""Events by page and one by one; where each was sent, again and as a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import GuardedClient
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.testing import FakeClock
from gstable_server.webhooks import operations
from gstable_server.webhooks.dispatch import Dispatcher, Pace
from tests.unit.webhooks.support import Receiver, new_tenant, receiving, status
from tests.unit.webhooks_api.support import Api, named, told

pytestmark = pytest.mark.anyio

UNKNOWN = "evt_0000000000000000"


class Post:
    """An endpoint for products, its receiver, and the worker between them."""

    def __init__(self, api: Api, dispatcher: Dispatcher, receiver: Receiver) -> None:
        self.api = api
        self.dispatcher = dispatcher
        self.receiver = receiver
        self.webhook_id = ""

    async def open(self, *events: str) -> str:
        body = {
            "webhookName": "Products",
            "webhookUrl": self.receiver.url,
            "subscribedEvents": list(events) or ["product.updated"],
        }
        webhook_id: str = (await self.api("/webhook/create", body))["webhookId"]
        return webhook_id

    async def tell(self, *names: str) -> list[str]:
        """Identifiers of events that are told, posted and tried once."""
        await told(self.api.db, self.api.caller.tenant, *names)
        await self.deliver()
        listed = await self.api(f"/event/list/1/{len(names)}")
        return [event["eventId"] for event in reversed(listed["events"])]

    async def deliver(self) -> None:
        while await relay_once(self.api.db, operations.post_all):
            pass
        while await self.dispatcher.deliver_due():
            pass

    @property
    def received(self) -> list[str]:
        """The ``webhook-id`` of each letter, in the order of arrival."""
        return [each.headers["webhook-id"] for each in self.receiver.letters]


@pytest.fixture
async def post(api: Api, database: Database) -> AsyncIterator[Post]:
    async with (
        receiving(status(200, text="thanks")) as receiver,
        GuardedClient(allow_loopback=True) as http,
    ):
        made = Post(api, Dispatcher(database, http, Pace()), receiver)
        made.webhook_id = await made.open()
        yield made


# --- reading --------------------------------------------------------------------------------------


async def test_the_list_is_newest_first_and_counts_its_own(
    api: Api, database: Database, tenant: Tenant
) -> None:
    await told(database, tenant, "a", "b", "c")
    await told(database, await new_tenant(database), "foreign")
    await told(database, Tenant(tenant.merchant_id, Mode.LIVE), "live")
    first = await api("/event/list/1/2")
    assert (first["total"], first["page"], first["size"]) == (3, 1, 2)
    assert named(first) == ["c", "b"]
    assert named(await api("/event/list/2/2")) == ["a"]
    assert (await api("/event/list/3/2"))["events"] == []
    for page, size in (("0", "1"), ("1", "101"), ("x", "1")):
        with pytest.raises(Refused):
            await api(f"/event/list/{page}/{size}")


async def test_the_detail_is_the_one_of_the_list(
    api: Api, database: Database, tenant: Tenant
) -> None:
    await told(database, tenant, "a")
    [event] = (await api("/event/list/1/1"))["events"]
    assert await api(f"/event/detail/{event['eventId']}") == event
    assert event == {
        "eventId": event["eventId"],
        "eventType": "product.updated",
        "businessType": "product",
        "occurrence": "2026-01-01 12:00:00",
        "isSubscribable": True,
        "payload": {"productData": {"name": "a"}},
        "sequence": event["sequence"],
        "apiVersion": "v1",
    }


async def test_whk_19_other_merchants_find_no_event_and_resend_nothing(
    post: Post, database: Database, tenant: Tenant
) -> None:
    [event_id] = await post.tell("a")
    stranger = Api(database, await new_tenant(database))
    other_mode = Api(database, Tenant(tenant.merchant_id, Mode.LIVE))
    for caller in (stranger, other_mode):
        for path in (f"/event/detail/{event_id}", f"/event/deliveries/{event_id}"):
            assert await code_of(caller, path) is Code.EVENT_NOT_FOUND
        for body in ({"eventId": event_id}, {"eventId": event_id, "webhookId": post.webhook_id}):
            assert await code_of(caller, "/event/resend", body) is Code.EVENT_NOT_FOUND
        named = {"webhookId": post.webhook_id}
        range_of_it = {**named, "since": 0, "until": 4_000_000_000}
        assert await code_of(caller, "/event/resend/range", range_of_it) is Code.WEBHOOK_NOT_FOUND
        assert await code_of(caller, "/webhook/test", named) is Code.WEBHOOK_NOT_FOUND
        path = f"/webhook/attempts/{post.webhook_id}/1/10"
        assert await code_of(caller, path) is Code.WEBHOOK_NOT_FOUND
    await post.deliver()
    assert post.received == [event_id]


async def code_of(caller: Api, path: str, body: Any = None) -> Code:
    with pytest.raises(Refused) as caught:
        await caller(path, body)
    return caught.value.code


@pytest.mark.parametrize("text", [UNKNOWN, "nonsense", "evt_ü", "", "evt_'; --", "prd_1"])
async def test_what_names_no_event_is_not_found(post: Post, text: str) -> None:
    assert await code_of(post.api, f"/event/detail/{text}") is Code.EVENT_NOT_FOUND
    assert await code_of(post.api, f"/event/deliveries/{text}") is Code.EVENT_NOT_FOUND
    assert await code_of(post.api, "/event/resend", {"eventId": text}) is Code.EVENT_NOT_FOUND


# --- deliveries and attempts ----------------------------------------------------------------------


async def test_deliveries_show_each_attempt_with_its_answer(
    post: Post, clock: FakeClock, database: Database, tenant: Tenant
) -> None:
    post.receiver.answers = [status(503, text="later, please"), status(200, text="thanks")]
    [event_id] = await post.tell("a")
    [delivery] = (await post.api(f"/event/deliveries/{event_id}"))["deliveries"]
    assert (delivery["status"], delivery["attemptCount"]) == ("pending", 1)
    assert delivery["nextAttemptTime"] is not None
    clock.advance(2)
    await post.deliver()
    answer = await post.api(f"/event/deliveries/{event_id}")
    [delivery] = answer["deliveries"]
    attempts = delivery.pop("attempts")
    assert delivery == {
        "webhookId": post.webhook_id,
        "status": "delivered",
        "attemptCount": 2,
        "nextAttemptTime": None,
    }
    assert [
        (each["attemptNumber"], each["statusCode"], each["error"], each["response"])
        for each in attempts
    ] == [(1, 503, None, "later, please"), (2, 200, None, "thanks")]
    assert [each["startedAt"] for each in attempts] == [
        "2026-01-01 12:00:00",
        "2026-01-01 12:00:02",
    ]
    page = await post.api(f"/webhook/attempts/{post.webhook_id}/1/10")
    assert (page["total"], page["page"], page["size"]) == (2, 1, 10)
    assert page["attempts"] == [{**each, "eventId": event_id} for each in reversed(attempts)]


async def test_what_receivers_answered_is_for_keys_that_may_write(
    post: Post, database: Database, tenant: Tenant
) -> None:
    [event_id] = await post.tell("a")
    reader = Api(database, tenant, Access.READ)
    [delivery] = (await reader(f"/event/deliveries/{event_id}"))["deliveries"]
    page = await reader(f"/webhook/attempts/{post.webhook_id}/1/10")
    for attempt in (*delivery["attempts"], *page["attempts"]):
        assert (attempt["statusCode"], attempt["response"]) == (200, None)
    assert "thanks" in str(await post.api(f"/event/deliveries/{event_id}"))


async def test_a_letter_to_a_disabled_endpoint_is_held(post: Post, clock: FakeClock) -> None:
    post.receiver.answers = [status(500), status(200)]
    [event_id] = await post.tell("a")
    await post.api("/webhook/disable", {"webhookId": post.webhook_id})
    clock.advance(60)
    await post.deliver()
    [delivery] = (await post.api(f"/event/deliveries/{event_id}"))["deliveries"]
    assert (delivery["status"], delivery["nextAttemptTime"]) == ("held", None)
    await post.api("/webhook/enable", {"webhookId": post.webhook_id})
    await post.deliver()
    [delivery] = (await post.api(f"/event/deliveries/{event_id}"))["deliveries"]
    assert (delivery["status"], delivery["attemptCount"]) == ("delivered", 2)


# --- again ----------------------------------------------------------------------------------------


async def test_whk_19_a_resent_event_is_a_new_attempt_under_its_old_identifier(
    post: Post, clock: FakeClock
) -> None:
    [event_id] = await post.tell("a")
    for again in (1, 2):
        clock.advance(600)
        answer = await post.api("/event/resend", {"eventId": event_id})
        assert answer == {"success": True, "messages": 1}
        await post.deliver()
        assert post.received == [event_id] * (again + 1)
    assert len({letter.body for letter in post.receiver.letters}) == 1
    stamps = [letter.headers["webhook-timestamp"] for letter in post.receiver.letters]
    assert len(set(stamps)) == 3
    [delivery] = (await post.api(f"/event/deliveries/{event_id}"))["deliveries"]
    assert (delivery["status"], delivery["attemptCount"]) == ("delivered", 3)


async def test_one_endpoint_is_sent_what_it_does_not_subscribe_to(post: Post) -> None:
    other = await post.open("session.paid")
    [event_id] = await post.tell("a")
    assert len((await post.api(f"/event/deliveries/{event_id}"))["deliveries"]) == 1
    await post.api("/event/resend", {"eventId": event_id, "webhookId": other})
    await post.deliver()
    deliveries = (await post.api(f"/event/deliveries/{event_id}"))["deliveries"]
    assert {each["webhookId"]: each["attemptCount"] for each in deliveries} == {
        post.webhook_id: 1,
        other: 1,
    }


async def test_whk_19_a_range_is_what_happened_from_since_up_to_until_also_twice(
    post: Post, clock: FakeClock
) -> None:
    start = unix_seconds(clock.now())
    events = []
    for name in ("a", "b", "c", "d"):
        events += await post.tell(name)
        clock.advance(10)
    post.receiver.letters.clear()
    body = {"webhookId": post.webhook_id, "since": start + 10, "until": start + 30}
    for _ in range(2):  # before the first was delivered: once all the same
        assert await post.api("/event/resend/range", body) == {"success": True, "messages": 2}
    clock.advance(1)
    await post.deliver()
    assert post.received == events[1:3]


async def test_a_range_brings_what_happened_while_the_endpoint_was_disabled(
    post: Post, clock: FakeClock
) -> None:
    since = unix_seconds(clock.now())
    await post.api("/webhook/disable", {"webhookId": post.webhook_id})
    missed = await post.tell("a", "b")
    assert post.received == []
    await post.api("/webhook/enable", {"webhookId": post.webhook_id})
    body = {"webhookId": post.webhook_id, "since": since, "until": since + 1}
    assert (await post.api("/event/resend/range", body))["messages"] == 2
    clock.advance(1)
    await post.deliver()
    assert post.received == missed


async def test_whk_19_a_range_of_many_is_paced(
    post: Post, database: Database, tenant: Tenant, clock: FakeClock
) -> None:
    """100,000 events: staged at once, within the time that a statement may take, and due one after
    the other."""
    many = 100_000
    async with database.begin() as tx:
        await tx.execute(
            "INSERT INTO events (event_id, type, object_id, merchant_id, mode, business_type,"
            " payload, occurred_at) SELECT 'evt_' || lpad(n::text, 16, '0'), 'product.updated',"
            " 'prd_1', $1, $2, 'product', '{}', $3 FROM generate_series(1, $4) n",
            tenant.merchant_id,
            tenant.mode,
            tx.now,
            many,
        )
    since = unix_seconds(clock.now())
    body = {"webhookId": post.webhook_id, "since": since, "until": since + 1}
    assert (await post.api("/event/resend/range", body))["messages"] == many
    async with database.read() as tx:
        row = await tx.fetchrow(
            "SELECT count(*) AS messages, min(next_attempt_at) AS first,"
            " max(next_attempt_at) AS last FROM webhook_messages WHERE state = 'pending'"
        )
    assert row is not None
    assert (row["messages"], row["first"]) == (many, clock.now())
    assert row["last"] - row["first"] == (many - 1) * operations.SPACING
    clock.advance(1)
    await post.deliver()
    per_second = timedelta(seconds=1) // operations.SPACING
    assert len(post.received) == per_second + 1
    assert post.received == sorted(post.received)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"since": 10, "until": 10}, "until"),
        ({"since": 11, "until": 10}, "until"),
        ({"since": -1}, "since"),
        ({"since": 1.0}, "since"),
        ({"since": "1"}, "since"),
        ({"since": True}, "since"),
        ({"until": 10**12}, "until"),
        ({"until": None}, "until"),
        ({"webhookId": None}, "webhookId"),
        ({"eventId": UNKNOWN}, "eventId"),
    ],
    ids=str,
)
async def test_a_range_that_is_none_is_refused_by_the_name_of_its_field(
    post: Post, change: dict[str, object], problem: str
) -> None:
    body = {"webhookId": post.webhook_id, "since": 0, "until": 10, **change}
    with pytest.raises((Refused, ValidationError), match=problem):
        await post.api("/event/resend/range", body)


# --- tests and notices ----------------------------------------------------------------------------


async def test_a_test_event_goes_to_one_endpoint_only(post: Post) -> None:
    await post.open("product.updated", "session.paid")
    answer = await post.api("/webhook/test", {"webhookId": post.webhook_id})
    assert answer["success"] is True
    await post.deliver()
    assert post.received == [answer["eventId"]]
    event = await post.api(f"/event/detail/{answer['eventId']}")
    assert (event["eventType"], event["isSubscribable"]) == ("webhook.test", False)
    assert event["businessType"] == "webhook"
    endpoint = await post.api(f"/webhook/detail/{post.webhook_id}")
    assert event["payload"] == {"webhookData": {**endpoint, "key": "wkk_hidden"}}
    [delivery] = (await post.api(f"/event/deliveries/{answer['eventId']}"))["deliveries"]
    assert delivery["webhookId"] == post.webhook_id


async def test_a_test_is_for_active_endpoints(post: Post) -> None:
    await post.api("/webhook/disable", {"webhookId": post.webhook_id})
    with pytest.raises(Refused, match="webhookId must be an active webhook"):
        await post.api("/webhook/test", {"webhookId": post.webhook_id})


@pytest.mark.parametrize("name", ["webhook.test", "webhook.paused", "webhook.disabled"])
async def test_events_about_endpoints_cannot_be_subscribed_to(post: Post, name: str) -> None:
    with pytest.raises(ValidationError, match="subscribedEvents"):
        await post.open(name)


async def test_whk_04_a_refresh_header_is_not_followed(post: Post) -> None:
    """Browsers follow it; a receiver that sends one has received the letter."""
    post.receiver.answers = [status(200, {"Refresh": "0; url=/hook"})]
    [event_id] = await post.tell("a")
    assert post.received == [event_id]
