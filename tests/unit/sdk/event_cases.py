"""The calls of events, and those that tell what endpoints were sent."""

from typing import Any

from gstable import EventFeed, Redelivery, WebhookTest
from tests.unit.sdk import samples
from tests.unit.sdk.cases import Case

EVENT: dict[str, Any] = {
    "eventId": "evt_1",
    "eventType": "product.created",
    "businessType": "product",
    "occurrence": "2026-01-02 03:04:05",
    "isSubscribable": True,
    "payload": {"productData": samples.PRODUCT},
    "sequence": 7,
    "apiVersion": "v1",
}
ANSWERED: dict[str, Any] = {
    "attemptNumber": 1,
    "startedAt": "2026-01-02 03:04:06",
    "durationMs": 12,
    "statusCode": 500,
    "error": None,
    "response": "Oops",
}
UNANSWERED: dict[str, Any] = {
    **ANSWERED,
    "attemptNumber": 2,
    "statusCode": None,
    "error": "timeout",
    "response": None,
}
DELIVERY: dict[str, Any] = {
    "webhookId": "wkid_1",
    "status": "pending",
    "attemptCount": 2,
    "nextAttemptTime": "2026-01-02 03:14:06",
    "attempts": [ANSWERED, UNANSWERED],
}
WEBHOOK_ATTEMPT = {**UNANSWERED, "eventId": "evt_1"}

EVENT_CASES = [
    Case(
        "event.list",
        lambda c: c.event.list(2, 10),
        "/event/list/2/10",
        None,
        {"total": 1, "page": 1, "size": 20, "events": [EVENT]},
        "page",
    ),
    Case(
        "event.detail",
        lambda c: c.event.detail("evt_1"),
        "/event/detail/evt_1",
        None,
        EVENT,
        EVENT,
    ),
    Case(
        "event.feed",
        lambda c: c.event.feed(),
        "/event/feed/start/100",
        None,
        {"events": [], "cursor": "1f-0"},
        EventFeed(events=(), cursor="1f-0"),
    ),
    Case(
        "event.feed, later",
        lambda c: c.event.feed("1f-0", 2),
        "/event/feed/1f-0/2",
        None,
        {"events": [EVENT], "cursor": "20-7"},
        {"events": [EVENT], "cursor": "20-7"},
    ),
    Case(
        "event.deliveries",
        lambda c: c.event.deliveries("evt_1"),
        "/event/deliveries/evt_1",
        None,
        {"deliveries": [DELIVERY]},
        [DELIVERY],
    ),
    Case(
        "event.resend",
        lambda c: c.event.resend("evt_1"),
        "/event/resend",
        {"eventId": "evt_1"},
        {"success": True, "messages": 2},
        Redelivery(success=True, messages=2),
    ),
    Case(
        "event.resend, one",
        lambda c: c.event.resend("evt_1", webhook_id="wkid_1"),
        "/event/resend",
        {"eventId": "evt_1", "webhookId": "wkid_1"},
        {"success": True, "messages": 1},
        Redelivery(success=True, messages=1),
    ),
    Case(
        "event.resend_range",
        lambda c: c.event.resend_range("wkid_1", since=1_800_000_000, until=1_800_000_060),
        "/event/resend/range",
        {"webhookId": "wkid_1", "since": 1_800_000_000, "until": 1_800_000_060},
        {"success": True, "messages": 0},
        Redelivery(success=True, messages=0),
    ),
    Case(
        "webhook.test",
        lambda c: c.webhook.test("wkid_1"),
        "/webhook/test",
        {"webhookId": "wkid_1"},
        {"success": True, "eventId": "evt_1"},
        WebhookTest(success=True, event_id="evt_1"),
    ),
    Case(
        "webhook.attempts",
        lambda c: c.webhook.attempts("wkid_1", 3, 5),
        "/webhook/attempts/wkid_1/3/5",
        None,
        {"total": 1, "page": 1, "size": 20, "attempts": [WEBHOOK_ATTEMPT]},
        "page",
    ),
]
