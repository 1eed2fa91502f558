"""Events on the wire: each is the letter that endpoints receive."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.fields import Body
from gstable_server.webhooks.model import Delivered
from gstable_server.webhooks.wire import AttemptJson, Envelope, WebhookIdText, render_attempt

UNIX_SECONDS_MAX = 253_402_300_799
"""The last second of the year 9999, which is the last one that has a text."""

EventIdText = Annotated[str, Field(max_length=100)]
"""Not parsed here: text that is no identifier of an event names no event."""

UnixTime = Annotated[int, Field(ge=0, le=UNIX_SECONDS_MAX)]


class ResendEvent(Body):
    """Body of ``/event/resend``."""

    event_id: EventIdText
    webhook_id: WebhookIdText | None = None


class ResendRange(Body):
    """Body of ``/event/resend/range``: ``since`` is in the range, ``until`` is not."""

    webhook_id: WebhookIdText
    since: UnixTime
    until: UnixTime


class EventPage(TypedDict):
    """One page of events; ``page`` and ``size`` are numbers."""

    total: int
    page: int
    size: int
    events: list[Envelope]


class EventFeed(TypedDict):
    """The next events, oldest first; ``cursor`` asks for those behind them."""

    events: list[Envelope]
    cursor: str


class DeliveryJson(TypedDict):
    """One event at one endpoint; ``attempts`` from the first to the last."""

    webhookId: str
    status: str
    attemptCount: int
    nextAttemptTime: str | None
    attempts: list[AttemptJson]


class Deliveries(TypedDict):
    deliveries: list[DeliveryJson]


class Resent(TypedDict):
    """``messages``: how many are sent again, one for each event and endpoint."""

    success: bool
    messages: int


def render_delivery(delivered: Delivered, *, with_response: bool) -> DeliveryJson:
    """The delivery on the wire; ``with_response`` as for ``render_attempt``."""
    next_at = delivered.next_attempt_at
    return {
        "webhookId": delivered.webhook_id,
        "status": delivered.status.value,
        "attemptCount": len(delivered.attempts),
        "nextAttemptTime": wire_time(next_at) if next_at else None,
        "attempts": [
            render_attempt(each, with_response=with_response) for each in delivered.attempts
        ],
    }
