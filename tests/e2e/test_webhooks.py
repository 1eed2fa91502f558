"""Webhooks through a whole installation: sent again, tested, held and let go, under two keys.

The merchant's receiver is a server of its own, and keeps what arrives as the bytes that it is.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gstable import Client, Event, GStableError, SignatureError, Webhook, webhooks
from tests.contract.support import new_merchant
from tests.running import Running, eventually
from tests.verifiers import BOTH, STANDARD_ONLY, Sample, by_javascript, by_python

PRODUCTS = ["product.created", "product.archived", "product.unarchived", "product.updated"]


@dataclass
class Receiver:
    """A merchant's server; answers with ``status`` from now on."""

    status: int = 204
    arrived: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def ids(self) -> list[str]:
        """The ``webhook-id`` of each letter, in the order of arrival."""
        return [headers["webhook-id"] for _, headers in list(self.arrived)]

    def has(self, *event_ids: str) -> None:
        """Wait until exactly these letters arrived, in whatever order."""
        eventually(lambda: sorted(self.ids()) == sorted(event_ids), f"{event_ids} arrived")

    def samples(self, key: str) -> list[Sample]:
        """All that arrived, for a receiver who has this key."""
        return [Sample(body, headers, key) for body, headers in list(self.arrived)]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.arrived.append((body, {k.lower(): v for k, v in self.headers.items()}))
            self.send_response(receiver.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        receiver.url = f"http://127.0.0.1:{server.server_port}/gstable"
        try:
            yield receiver
        finally:
            server.shutdown()


@dataclass
class Shop:
    """A merchant of its own with one endpoint for what happens to its products."""

    client: Client
    receiver: Receiver
    endpoint: Webhook

    def product(self) -> str:
        """A new product; the identifier of the event that tells of it."""
        product_id = self.client.product.create(name="Käse ☕", common_prices=[1]).product_id
        return self.told(lambda event: event.object_id == product_id).event_id

    def told(self, wanted: Callable[[Event], bool]) -> Event:
        """The newest event that is wanted, as the API shows it."""
        return next(event for event in self.client.event.list(1, 100).items if wanted(event))

    def statuses(self, event_id: str) -> list[str]:
        return [delivery.status for delivery in self.client.event.deliveries(event_id)]

    def stand(self, event_ids: Sequence[str], status: str) -> None:
        """Wait until the platform says so of the delivery of each of these."""
        eventually(
            lambda: all(self.statuses(event_id) == [status] for event_id in event_ids),
            f"{event_ids} are {status}",
        )


@pytest.fixture
def shop(running: Running) -> Iterator[Shop]:
    merchant = new_merchant(running)
    with receiving() as receiver, Client(merchant.secret, base_url=running.about["baseUrl"]) as one:
        endpoint = one.webhook.create(
            webhook_name="Products", webhook_url=receiver.url, subscribed_events=PRODUCTS
        )
        yield Shop(one, receiver, endpoint)
        one.webhook.remove(endpoint.webhook_id)


def test_a_letter_is_the_event_of_the_api_and_is_sent_again_as_it_was(shop: Shop) -> None:
    # Given an event that was received
    event_id = shop.product()
    shop.receiver.has(event_id)
    shop.stand([event_id], "delivered")
    # When the object has changed, and the event is asked for again
    product_id = shop.client.event.detail(event_id).object_id
    shop.client.product.archive(product_id)
    archived = shop.told(lambda event: event.event_type == "product.archived").event_id
    shop.receiver.has(event_id, archived)
    assert shop.client.event.resend(event_id).messages == 1
    # Then the same bytes come under the same identifier, signed anew, as a second attempt
    shop.receiver.has(event_id, event_id, archived)
    bodies = [body for body, headers in shop.receiver.arrived if headers["webhook-id"] == event_id]
    assert bodies[0] == bodies[1]
    assert json.loads(bodies[0])["payload"]["productData"]["status"] == "active"
    eventually(
        lambda: (
            [
                (one.attempt_number, one.status_code)
                for delivery in shop.client.event.deliveries(event_id)
                for one in delivery.attempts
            ]
            == [(1, 204), (2, 204)]
        ),
        "two attempts are on record",
    )
    assert webhooks.verify(*shop.receiver.arrived[-1], shop.endpoint.key).event_id == event_id


def test_a_range_is_sent_again(shop: Shop) -> None:
    since = int(time.time())
    events = [shop.product() for _ in range(3)]
    shop.receiver.has(*events)
    shop.stand(events, "delivered")
    shop.receiver.arrived.clear()
    until = int(time.time()) + 1
    sent = shop.client.event.resend_range(shop.endpoint.webhook_id, since=since, until=until)
    assert sent.messages == 3
    shop.receiver.has(*events)
    attempts = shop.client.webhook.attempts(shop.endpoint.webhook_id, 1, 100).items
    assert {one.event_id for one in attempts} == set(events)


def test_a_test_event_arrives_and_is_marked_as_one(shop: Shop) -> None:
    sent = shop.client.webhook.test(shop.endpoint.webhook_id)
    shop.receiver.has(sent.event_id)
    event = webhooks.verify(*shop.receiver.arrived[0], shop.endpoint.key)
    assert (event.event_type, event.is_subscribable) == ("webhook.test", False)
    assert event.object_id == shop.endpoint.webhook_id
    assert shop.endpoint.key.encode() not in shop.receiver.arrived[0][0]
    assert shop.client.event.detail(sent.event_id) == event


def test_whk_14_nothing_is_skipped_by_an_endpoint_that_was_disabled(shop: Shop) -> None:
    # Given a receiver in trouble, to which two letters are under way
    since = int(time.time())
    shop.receiver.status = 500
    waiting = [shop.product() for _ in range(2)]
    eventually(lambda: set(shop.receiver.ids()) == set(waiting), "both were tried")
    # When the endpoint is disabled, and more happens, as another one is told
    shop.client.webhook.disable(shop.endpoint.webhook_id)
    with receiving() as other:
        watching = shop.client.webhook.create(
            webhook_name="Watch", webhook_url=other.url, subscribed_events=PRODUCTS
        )
        meanwhile = [shop.product() for _ in range(2)]
        other.has(*meanwhile)
        shop.client.webhook.remove(watching.webhook_id)
    shop.stand(waiting, "held")
    shop.receiver.status = 204
    shop.receiver.arrived.clear()
    # Then what was held goes on when it is enabled
    shop.client.webhook.enable(shop.endpoint.webhook_id)
    shop.receiver.has(*waiting)
    shop.stand(waiting, "delivered")
    assert set(shop.receiver.ids()).isdisjoint(meanwhile)
    # And what happened meanwhile is there for the asking
    sent = shop.client.event.resend_range(
        shop.endpoint.webhook_id, since=since, until=int(time.time()) + 1
    )
    assert sent.messages == 4
    shop.receiver.has(*waiting, *waiting, *meanwhile)


def test_whk_15_letters_verify_under_both_keys_while_a_key_is_changed(shop: Shop) -> None:
    # Given letters under the first key
    shop.receiver.has(shop.product())
    before = shop.receiver.samples(shop.endpoint.key)
    # When the key is changed, with time to change the receiver
    new_key = shop.client.webhook.refresh_key(shop.endpoint.webhook_id, grace_seconds=3600).key
    shop.receiver.arrived.clear()
    shop.receiver.has(shop.product(), shop.client.webhook.test(shop.endpoint.webhook_id).event_id)
    # Then every receiver, of this language or another, believes them with either
    old_receiver = shop.receiver.samples(shop.endpoint.key)
    new_receiver = shop.receiver.samples(new_key)
    samples = [*before, *old_receiver, *new_receiver]
    expected = [BOTH, STANDARD_ONLY, STANDARD_ONLY, BOTH, BOTH]
    assert by_python(samples) == expected
    assert by_javascript(samples) == expected
    for sample in samples:
        webhooks.verify(sample.body, sample.headers, sample.key)
    # And once it is changed without, the old one is dead
    last = shop.client.webhook.refresh_key(shop.endpoint.webhook_id).key
    shop.receiver.arrived.clear()
    shop.receiver.has(shop.product())
    webhooks.verify(*shop.receiver.arrived[0], last)
    for dead in (shop.endpoint.key, new_key):
        with pytest.raises(SignatureError):
            webhooks.verify(*shop.receiver.arrived[0], dead)


def test_the_feed_follows_what_the_endpoint_receives(shop: Shop) -> None:
    cursor = shop.client.event.feed().cursor
    events = [shop.product() for _ in range(3)]
    seen: list[Event] = []

    def followed() -> bool:
        nonlocal cursor
        answer = shop.client.event.feed(cursor, 2)
        cursor = answer.cursor
        seen.extend(answer.events)
        return len(seen) >= 3

    eventually(followed, "the feed shows what happened")
    assert [event.event_id for event in seen] == events
    shop.receiver.has(*events)
    shown: dict[str, Any] = {event.event_id: event for event in seen}
    for body, headers in shop.receiver.arrived:
        arrived = webhooks.verify(body, headers, shop.endpoint.key)
        assert arrived == shown[arrived.event_id]


def test_a_gone_receiver_is_disabled_and_the_others_are_told(shop: Shop) -> None:
    with receiving() as other:
        watching = shop.client.webhook.create(
            webhook_name="Watch", webhook_url=other.url, subscribed_events=["session.refunded"]
        )
        shop.receiver.status = 410
        shop.product()
        eventually(
            lambda: shop.client.webhook.detail(shop.endpoint.webhook_id).status == "inactive",
            "the endpoint is disabled",
        )
        eventually(lambda: other.arrived, "the other endpoint is told")
        event = webhooks.verify(*other.arrived[0], watching.key)
        assert (event.event_type, event.object_id) == (
            "webhook.disabled",
            shop.endpoint.webhook_id,
        )
        with pytest.raises(GStableError, match="webhookId must be an active webhook"):
            shop.client.webhook.test(shop.endpoint.webhook_id)
        shop.client.webhook.remove(watching.webhook_id)
