"""What the fake does beside answering: payers, time, deliveries. Its answers are judged by the
contract tests, beside the server's."""

import asyncio
import subprocess
import sys
from typing import Any

import httpx2
import pytest

from gstable import (
    AsyncClient,
    Client,
    GStableError,
    GStableUsageError,
    SignatureError,
    webhooks,
)
from gstable.testing import FakeAccount, FakeGStable
from gstable.testing._mail import WAITS_SECONDS
from gstable.testing._webhooks import EVENT_TYPES

NOW = 1_800_000_000
USDC = "polygon::usdc"


@pytest.fixture
def fake() -> FakeGStable:
    return FakeGStable(now=NOW)


@pytest.fixture
def client(fake: FakeGStable) -> Client:
    return fake.client()


def open_session(fake: FakeGStable, **changes: Any) -> str:
    line: Any = {"item_type": "one_time", "quantity": 2, "unit_price": 5_000_000}
    fields: dict[str, Any] = {
        "account_id": fake.account_id,
        "settlement_token": USDC,
        "line_items": [{**line, "product_data": {"product_name": "Tea"}}],
        **changes,
    }
    return fake.client().checkout_session.create(**fields).session_id


def told(fake: FakeGStable, object_id: str) -> list[str]:
    return [event.event_type for event in fake.events if object_id in str(event.payload)]


def refused(code: int, call: Any, *given: Any, **named: Any) -> None:
    with pytest.raises(GStableError) as caught:
        call(*given, **named)
    assert caught.value.code == code


# --- payers and time ------------------------------------------------------------------------------


def test_a_payment_goes_its_way(fake: FakeGStable, client: Client) -> None:
    session_id = open_session(fake)
    fake.pay(session_id)
    paid = client.checkout_session.detail(session_id)
    assert (paid.session.status, paid.session.paid_token, paid.session.signed_once) == (
        "paid", USDC, True,
    )  # fmt: skip
    assert paid.session.receipt_id.startswith("rcp_")
    assert paid.transaction is not None
    assert (paid.transaction.total_value, paid.transaction.fee_value) == (10_000_000, 20_000)
    assert (paid.transaction.net_value, paid.transaction.finalize_time) == (9_980_000, "")
    fake.clock.advance(40)
    fake.settle(session_id)
    done = client.checkout_session.detail(session_id)
    assert (done.session.status, done.session.settlement_succeeded_time) == (
        "completed", "2027-01-15 08:00:40",
    )  # fmt: skip
    assert done.transaction is not None
    assert done.transaction.target_tx == done.transaction.source_tx
    assert told(fake, session_id) == ["session.created", "session.paid", "session.completed"]
    assert fake.events[-1].session == done.session


def test_the_payer_bears_the_fee_where_the_merchant_said_so(fake: FakeGStable) -> None:
    session_id = open_session(fake, fee_model=2)
    fake.pay(session_id)
    paid = fake.client().checkout_session.detail(session_id).transaction
    assert paid is not None
    assert (paid.total_value, paid.net_value, paid.fee_value) == (10_020_000, 10_000_000, 20_000)


def test_money_may_cross_and_hang(fake: FakeGStable, client: Client) -> None:
    session_id = open_session(fake)
    fake.pay(session_id, token_id="base::usdc", payer="0x" + "ab" * 20)
    listed = client.checkout_session
    for move, found in (
        (fake.begin_settlement, listed.list_settling),
        (fake.delay_settlement, listed.list_settlement_pending),
        (fake.settle, listed.list_completed),
    ):
        move(session_id)
        assert [one.session.session_id for one in found().items] == [session_id]
    transaction = listed.detail(session_id).transaction
    assert transaction is not None
    assert (transaction.channel_id, transaction.order_type, transaction.fee_value) == (
        "base", 3, 60_000,
    )  # fmt: skip
    assert transaction.target_tx not in ("", transaction.source_tx)


def test_a_session_expires_when_its_time_is_over(fake: FakeGStable, client: Client) -> None:
    first, second = open_session(fake), open_session(fake, expiration_time=NOW + 3600)
    fake.clock.advance(1799)
    assert client.checkout_session.detail(first).session.status == "initialized"
    fake.clock.advance(1)
    assert client.checkout_session.detail(first).session.status == "expired"
    assert client.checkout_session.detail(second).session.status == "initialized"
    fake.expire(second)
    assert told(fake, second)[-1] == "session.expired"
    with pytest.raises(ValueError, match="negative"):
        fake.clock.advance(-1)


def test_a_session_of_a_test_key_has_a_clock_of_its_own(fake: FakeGStable, client: Client) -> None:
    mine, other = open_session(fake), open_session(fake)
    client.checkout_session.advance(mine, seconds=3600)
    assert client.checkout_session.detail(mine).session.status == "expired"
    assert client.checkout_session.detail(other).session.status == "initialized"


def test_what_cannot_be_is_refused_as_on_the_page(fake: FakeGStable, client: Client) -> None:
    session_id = open_session(fake)
    refused(100209, fake.settle, session_id)
    refused(400202, fake.pay, session_id, token_id="dogechain::doge")
    refused(100201, fake.pay, "sess_1")
    fake.pay(session_id)
    refused(100204, fake.pay, session_id)
    refused(100204, client.checkout_session.cancel, session_id)
    refused(100204, fake.expire, session_id)
    cancelled = open_session(fake)
    client.checkout_session.cancel(cancelled)
    refused(100205, fake.pay, cancelled)


def test_a_payer_opens_a_link(fake: FakeGStable, client: Client) -> None:
    product = client.product.create(name="Tea", common_prices=[1]).product_id
    terms: dict[str, Any] = {
        "link_name": "Tea",
        "account_id": fake.account_id,
        "settlement_token": USDC,
        "fee_model": 1,
    }
    line = {"product_id": product, "quantity": 1}
    priced: Any = {**line, "item_type": "product", "unit_price": 3_000_000}
    fixed = client.payment_link.create(link_type="fixed", line_items=[priced], **terms).link_id
    open_line: Any = {**line, "item_type": "user_priced"}
    custom = client.payment_link.create(link_type="custom", line_items=[open_line], **terms).link_id
    for link_id, amount in ((fixed, None), (custom, 7_000_000)):
        session_id = fake.open_link(link_id, amount)
        session = client.checkout_session.detail(session_id).session
        assert (session.business_id, session.session_type) == (link_id, "payment_link")
        assert session.amount == session.line_items[0].unit_price == (amount or 3_000_000)
    refused(400101, fake.open_link, fixed, 1)
    client.payment_link.disable(fixed)
    refused(100103, fake.open_link, fixed)
    counted: Any = {**priced, "adjustable_quantity": {"minimum": 1, "maximum": 4}}
    link = client.payment_link.create(link_type="fixed", line_items=[counted], **terms)
    line_id = link.line_items[0].line_item_id
    session = client.checkout_session.detail(fake.open_link(link.link_id, None, {line_id: 4}))
    [bought] = session.session.line_items
    assert (session.session.amount, bought.quantity) == (12_000_000, 4)
    assert bought.adjustable_quantity is None
    refused(400101, fake.open_link, link.link_id, None, {line_id: 5})
    refused(400101, fake.open_link, link.link_id, None, {"li_other": 1})


def test_what_is_held_is_captured_and_given_back(fake: FakeGStable, client: Client) -> None:
    session_id = open_session(fake, capture_method="manual")
    fake.pay(session_id)
    client.checkout_session.capture(session_id, amount=4_000_000)
    assert fake.events[-1].hold_move.merchant_received == 3_992_000
    client.checkout_session.void(session_id)
    found = client.checkout_session.detail(session_id)
    assert found.session.hold is not None
    assert (found.session.status, found.session.hold.returned) == ("completed", 6_000_000)
    assert found.transaction is not None
    assert (found.transaction.net_value, found.transaction.fee_value) == (3_992_000, 8_000)
    refused(100602, client.checkout_session.void, session_id)
    late = open_session(fake, capture_method="manual")
    fake.pay(late)
    fake.clock.advance(7 * 86_400)
    assert client.checkout_session.detail(late).session.status == "cancelled"
    voided = next(event for event in fake.events[::-1] if event.event_type == "session.voided")
    assert voided.hold_move.what == "reclaimed"


def test_a_refund_is_sent_or_its_time_is_over(fake: FakeGStable, client: Client) -> None:
    session_id = open_session(fake)
    fake.pay(session_id)
    refused(100502, client.checkout_session.refund_prepare, session_id)
    fake.settle(session_id)
    refund = client.checkout_session.refund_prepare(session_id, amount=1_000_000)
    fake.send_refund(refund.refund_id)
    assert fake.events[-1].refund.amount == 1_000_000
    refused(100502, fake.send_refund, refund.refund_id)
    rest = client.checkout_session.refund_prepare(session_id)
    assert rest.amount == 8_980_000
    refused(100502, client.checkout_session.refund_prepare, session_id)
    fake.clock.advance(86_400)
    assert client.checkout_session.refund_detail(rest.refund_id).status == "expired"


# --- deliveries -----------------------------------------------------------------------------------


class Inbox:
    """A receiver that answers as it is told to."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[bytes, dict[str, str]]] = []

    def __call__(self, body: bytes, headers: Any) -> int:
        self.got.append((body, dict(headers)))
        return self.statuses.pop(0) if self.statuses else 204


def register(client: Client, *events: str) -> Any:
    return client.webhook.create(
        webhook_name="Shop", webhook_url="https://shop.example.com/a?b=c", subscribed_events=events
    )


def test_deliveries_are_signed_and_tried_again_by_the_clock(
    fake: FakeGStable, client: Client
) -> None:
    inbox = Inbox(500, 503)
    fake.deliver_to(inbox)
    endpoint = register(client, "session.paid")
    session_id = open_session(fake)
    fake.pay(session_id)
    assert len(inbox.got) == 1
    fake.clock.advance(WAITS_SECONDS[0])
    fake.clock.advance(WAITS_SECONDS[1] - 1)
    assert len(inbox.got) == 2
    fake.clock.advance(1)
    fake.clock.advance(86_400)
    assert [delivery.status for delivery in fake.deliveries] == [500, 503, 204]
    events = [webhooks.verify(body, headers, endpoint.key) for body, headers in inbox.got]
    assert {event.event_id for event in events} == {fake.deliveries[0].event_id}
    assert events[0].session.session_id == session_id
    with pytest.raises(SignatureError):
        webhooks.verify(*inbox.got[0], "wkk_another")
    [delivery] = client.event.deliveries(events[0].event_id)
    assert (delivery.status, [one.status_code for one in delivery.attempts]) == (
        "delivered", [500, 503, 204],
    )  # fmt: skip
    assert client.webhook.attempts(endpoint.webhook_id).total == 3


def test_what_waited_is_delivered_once_somebody_receives(fake: FakeGStable, client: Client) -> None:
    register(client, "product.created")
    client.product.create(name="Tea", common_prices=[1])
    inbox = Inbox()
    fake.deliver_to(inbox)
    assert len(inbox.got) == 1


def test_a_disabled_endpoint_holds_what_waits_and_a_removed_one_drops_it(
    fake: FakeGStable, client: Client
) -> None:
    inbox = Inbox(500, 410)
    fake.deliver_to(inbox)
    held, removed = register(client, "product.created"), register(client, "product.archived")
    product_id = client.product.create(name="Tea", common_prices=[1]).product_id
    client.product.archive(product_id)
    assert client.webhook.detail(removed.webhook_id).status == "inactive"  # it answered 410
    notice = webhooks.verify(*inbox.got[2], held.key)
    assert notice.event_type == "webhook.disabled"
    refused(400101, client.webhook.test, removed.webhook_id)
    client.webhook.disable(held.webhook_id)
    client.webhook.remove(removed.webhook_id)
    fake.clock.advance(100)
    assert len(inbox.got) == 3
    statuses = {
        delivery.webhook_id: delivery.status
        for event in client.event.list().items
        if event.business_type == "product"
        for delivery in client.event.deliveries(event.event_id)
    }
    assert statuses == {held.webhook_id: "held", removed.webhook_id: "stopped"}
    client.webhook.enable(held.webhook_id)
    assert len(inbox.got) == 4


def test_an_endpoint_that_only_fails_is_paused(fake: FakeGStable, client: Client) -> None:
    fake.deliver_to(Inbox(*[500] * 99))
    endpoint = register(client, "product.created")
    client.product.create(name="Tea", common_prices=[1])
    for seconds in WAITS_SECONDS:
        fake.clock.advance(seconds)
    assert client.webhook.detail(endpoint.webhook_id).status == "active"
    [delivery] = client.event.deliveries(client.event.list(1, 1).items[0].event_id)
    assert (delivery.status, delivery.attempt_count) == ("exhausted", 13)
    fake.clock.advance(5 * 86_400)
    client.product.create(name="Tea", common_prices=[1])
    assert client.webhook.detail(endpoint.webhook_id).status == "paused"


def test_an_endpoint_that_fails_a_hundred_times_in_a_day_is_paused_and_enable_begins_anew(
    fake: FakeGStable, client: Client
) -> None:
    inbox = Inbox(*[500] * 101)
    fake.deliver_to(inbox)
    endpoint = register(client, "product.created")
    for _ in range(12):
        client.product.create(name="Tea", common_prices=[1])
    for seconds in (1, 10, 30, 120, 600, 1800, 7200):
        fake.clock.advance(seconds)
    assert client.webhook.detail(endpoint.webhook_id).status == "active"
    fake.clock.advance(86_400)
    assert client.webhook.detail(endpoint.webhook_id).status == "paused"
    tried = len(inbox.got)
    client.webhook.enable(endpoint.webhook_id)
    assert len(inbox.got) == tried + 12


def test_both_keys_sign_while_one_is_changed(fake: FakeGStable, client: Client) -> None:
    inbox = Inbox()
    fake.deliver_to(inbox)
    endpoint = register(client, "product.created")
    fresh = client.webhook.refresh_key(endpoint.webhook_id, grace_seconds=60).key
    client.product.create(name="Tea", common_prices=[1])
    for key in (endpoint.key, fresh):
        webhooks.verify(*inbox.got[-1], key)
    fake.clock.advance(60)
    client.product.create(name="Tea", common_prices=[1])
    webhooks.verify(*inbox.got[-1], fresh)
    with pytest.raises(SignatureError):
        webhooks.verify(*inbox.got[-1], endpoint.key)


def test_a_receiver_may_call_back_and_its_bugs_come_out(fake: FakeGStable, client: Client) -> None:
    register(client, "session.paid", "session.completed")
    statuses: list[str] = []

    def receiver(body: bytes, headers: Any) -> int:
        found = client.checkout_session.list_all().items[0].session
        statuses.append(found.status)
        if found.status == "paid":
            fake.settle(found.session_id)
        return 204

    fake.deliver_to(receiver)
    fake.pay(open_session(fake))
    assert statuses == ["paid", "completed"]

    def broken(body: bytes, headers: Any) -> int:
        raise KeyError("bug")

    fake.deliver_to(broken)
    with pytest.raises(KeyError):
        fake.pay(open_session(fake))


def test_a_test_event_and_a_range_are_sent(fake: FakeGStable, client: Client) -> None:
    inbox = Inbox()
    fake.deliver_to(inbox)
    endpoint = register(client, "product.created")
    client.webhook.test(endpoint.webhook_id)
    event = webhooks.verify(*inbox.got[0], endpoint.key)
    assert (event.event_type, event.is_subscribable) == ("webhook.test", False)
    for _ in range(2):
        client.product.create(name="Tea", common_prices=[1])
    again = client.event.resend_range(endpoint.webhook_id, since=NOW, until=NOW + 1)
    assert again.messages == 3  # what it subscribes to, and what it was sent before
    assert len(inbox.got) == 6


# --- the door -------------------------------------------------------------------------------------


def test_a_key_is_replayed_for_a_day(fake: FakeGStable, client: Client) -> None:
    def make(price: int) -> str:
        made = client.product.create(name="Tea", common_prices=[price], idempotency_key="a")
        return made.product_id

    first = make(1)
    assert make(1) == first
    refused(400102, make, 2)
    fake.clock.advance(24 * 3600)
    assert make(2) != first


def test_it_answers_at_an_address_too(fake: FakeGStable) -> None:
    transport = httpx2.ASGITransport(fake.asgi())

    async def ask() -> list[httpx2.Response]:
        headers = {"authorization": f"Bearer {fake.api_key}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://fake") as http:
            body = {"name": "Tea", "commonPrices": [1]}
            return [
                await http.post("/payment/v1/product/create", json=body, headers=headers),
                await http.post("/api/v1/product/create", content=b'{"a":1,"a":2}'),
                await http.post("/api/v1/product/create", content=b"{", headers=headers),
                await http.delete("/api/v1/product/create", headers=headers),
                await http.get("/nothing"),
                await http.get("/public/api/v1/capabilities/all"),
            ]

    answers = asyncio.run(ask())
    codes = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert codes == [(200, 0), (401, 200101), (200, 400101), (405, 400101), (404, 400101), (200, 0)]


def test_a_restricted_key_sees_no_signing_key(fake: FakeGStable, client: Client) -> None:
    register(client, "product.created")
    [shown] = fake.client(fake.restricted_key).webhook.list()
    assert shown.key == "wkk_hidden"


def test_its_clients_are_the_shipped_ones_and_keep_what_they_sent() -> None:
    fake = FakeGStable(api_key="sk_test_mine", accounts=[FakeAccount("A"), FakeAccount("B")])
    assert len(fake.account_ids) == 2
    transport = fake.transport()
    with Client("sk_test_mine", transport=transport) as client:
        assert [account.account_name for account in client.account.list()] == ["B", "A"]
    assert [request.method for request in transport.requests] == ["GET"]

    async def ask() -> str:
        async with fake.async_client() as client:
            assert isinstance(client, AsyncClient)
            return (await client.product.create(name="Tea", common_prices=[1])).name

    assert asyncio.run(ask()) == "Tea"
    with pytest.raises(GStableUsageError, match="address"):
        FakeGStable(accounts=[FakeAccount("A", "0x12")])


def test_examples_exist_for_all_it_can_tell() -> None:
    for event_type in EVENT_TYPES:
        webhooks.example(event_type, "wkk_1")


def test_it_costs_nothing_until_it_is_used() -> None:
    code = (
        "import sys, gstable\n"
        "assert 'gstable.testing' not in sys.modules\n"
        "from gstable.testing import FakeGStable\n"
        "FakeGStable().client().product.list()\n"
        "heavy = {'httpx2', 'anyio', 'asyncio', 'ssl', 'gstable_server', 'sqlite3'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
