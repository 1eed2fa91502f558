"""The calls of events and of what was delivered: rows beside those of ``sdk_calls``."""

from __future__ import annotations

from typing import Any

from tests.contract.sdk_counter import Arguments, Counter, args, happy, three
from tests.running import eventually


def _last(counter: Counter) -> str:
    """The id of the event that a new product is told with."""
    product_id = counter.product()
    told = counter.client.event.list(1, 1).items[0]
    assert (told.event_type, told.product.product_id) == ("product.created", product_id)
    return told.event_id


@happy("event.list", three(Counter.product, 1, 2))
def _(counter: Counter, given: Arguments, page: Any) -> None:
    assert (page.page, page.size, len(page.items)) == (1, 2, 2)
    assert {event.event_type for event in page.items} == {"product.created"}
    newest, older = page.items
    assert newest.sequence > older.sequence


@happy("event.iterate", three(Counter.product, size=100))
def _(counter: Counter, given: Arguments, walked: Any) -> None:
    assert len({event.event_id for event in walked}) == counter.client.event.list(1, 1).total


@happy("event.detail", lambda counter: args(_last(counter)))
def _(counter: Counter, given: Arguments, event: Any) -> None:
    assert event.event_id == given[0][0]
    assert (event.business_type, event.is_subscribable) == ("product", True)
    assert event.product.name == "Tea"


def _since(counter: Counter) -> Arguments:
    cursor = counter.client.event.feed().cursor
    counter.product()
    counter.product()
    # What was told is in the feed when nobody who began to write before is still writing.
    feed = counter.client.event.feed
    eventually(lambda: len(feed(cursor).events) == 2, "both are in the feed")
    return args(cursor, 1)


@happy("event.feed", _since)
def _(counter: Counter, given: Arguments, found: Any) -> None:
    [first] = found.events
    following = counter.client.event.feed(found.cursor)
    [second] = following.events
    assert second.sequence > first.sequence
    assert counter.client.event.feed(following.cursor).events == ()
    assert counter.client.event.feed("begin", 1).events[0].sequence <= first.sequence


@happy("event.deliveries", lambda counter: args(_last(counter)))
def _(counter: Counter, given: Arguments, deliveries: Any) -> None:
    assert deliveries == ()


def _one(counter: Counter) -> Arguments:
    return args(_last(counter), webhook_id=counter.webhook())


@happy("event.resend", _one)
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert (result.success, result.messages) == (True, 1)
    [delivery] = counter.client.event.deliveries(given[0][0])
    assert (delivery.webhook_id, delivery.status) == (given[1]["webhook_id"], "pending")


@happy("event.resend_range", lambda counter: args(counter.webhook(), since=0, until=1))
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert (result.success, result.messages) == (True, 0)


@happy("webhook.test", lambda counter: args(counter.webhook()))
def _(counter: Counter, given: Arguments, sent: Any) -> None:
    assert sent.success is True
    event = counter.client.event.detail(sent.event_id)
    assert (event.event_type, event.business_type) == ("webhook.test", "webhook")
    assert event.is_subscribable is False
    find = counter.client.event.deliveries
    [delivery] = eventually(lambda: find(sent.event_id), "it is on its way to the endpoint")
    assert delivery.webhook_id == given[0][0]


@happy("webhook.attempts", lambda counter: args(counter.webhook(), 1, 5))
def _(counter: Counter, given: Arguments, page: Any) -> None:
    assert (page.page, page.size, page.total, page.items) == (1, 5, 0, ())
