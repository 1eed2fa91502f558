"""Requests parsed and endpoints rendered (spec 9), and the envelope of a letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.fields import Body, Name, OptionalDescription, WebUrl
from gstable_server.webhooks.model import (
    EVENT_TYPES,
    GRACE_SECONDS_MAX,
    KEY_PREFIX,
    Endpoint,
    RecordedAttempt,
    Target,
)

API_VERSION = "v1"
HIDDEN_KEY = KEY_PREFIX + "hidden"
"""What a restricted key sees instead of a signing key: it may be used on a client's side (spec 2),
and whoever has the signing key can forge letters."""

_known = frozenset(EVENT_TYPES)


def _event_type(text: str) -> str:
    if text not in _known:
        raise ValueError("is not a known event type")
    return text


def _without_repetition(events: list[str]) -> list[str]:
    if len(set(events)) != len(events):
        raise ValueError("must not name an event type twice")
    return events


WebhookIdText = Annotated[str, Field(max_length=100)]
"""Not parsed here: text that is no identifier of a webhook names no webhook."""

SubscribedEvents = Annotated[
    list[Annotated[str, AfterValidator(_event_type)]],
    Field(min_length=1, max_length=len(EVENT_TYPES)),
    AfterValidator(_without_repetition),
]


class CreateWebhook(Body):
    """Body of ``/webhook/create``."""

    webhook_name: Name
    webhook_url: WebUrl
    subscribed_events: SubscribedEvents
    webhook_description: OptionalDescription = None

    def target(self) -> Target:
        return Target(
            name=self.webhook_name,
            url=self.webhook_url,
            description=self.webhook_description,
            events=tuple(self.subscribed_events),
        )


class UpdateWebhook(CreateWebhook):
    """Body of ``/webhook/update``: the whole endpoint again, and which one."""

    webhook_id: WebhookIdText


class WebhookReference(Body):
    """Body of the verbs that need only the endpoint."""

    webhook_id: WebhookIdText


class RefreshKey(WebhookReference):
    """Body of ``/webhook/key/refresh``; the old key stays valid for ``graceSeconds``."""

    grace_seconds: Annotated[int, Field(ge=0, le=GRACE_SECONDS_MAX)] = 0


class Webhook(TypedDict):
    """An endpoint as the merchant API shows it (spec 9)."""

    webhookId: str
    webhookName: str
    webhookUrl: str
    webhookDescription: str
    subscribedEvents: list[str]
    key: str
    status: str
    createAt: str
    updateAt: str


class WebhookList(TypedDict):
    webhooks: list[Webhook]


class RefreshedKey(TypedDict):
    success: bool
    key: str


class Success(TypedDict):
    success: bool


def render(endpoint: Endpoint, *, with_key: bool) -> Webhook:
    """The endpoint on the wire; ``with_key`` False puts ``HIDDEN_KEY`` in place of its key."""
    return {
        "webhookId": endpoint.webhook_id,
        "webhookName": endpoint.target.name,
        "webhookUrl": endpoint.target.url,
        "webhookDescription": endpoint.target.description or "",
        "subscribedEvents": list(endpoint.target.events),
        "key": endpoint.keys.current if with_key else HIDDEN_KEY,
        "status": endpoint.status.value,
        "createAt": wire_time(endpoint.created_at),
        "updateAt": wire_time(endpoint.updated_at),
    }


class AttemptJson(TypedDict):
    """One try: an answer with ``statusCode``, or an ``error`` instead of one."""

    attemptNumber: int
    startedAt: str
    durationMs: int
    statusCode: int | None
    error: str | None
    response: str | None


class WebhookAttemptJson(AttemptJson):
    """A try in the list of its endpoint."""

    eventId: str


class AttemptPage(TypedDict):
    """One page of tries; ``page`` and ``size`` are numbers."""

    total: int
    page: int
    size: int
    attempts: list[WebhookAttemptJson]


class TestSent(TypedDict):
    """The event that is on its way."""

    success: bool
    eventId: str


def render_attempt(attempt: RecordedAttempt, *, with_response: bool) -> AttemptJson:
    """The try on the wire; ``with_response`` False hides what the receiver answered, which may
    hold what is meant for its owner only."""
    return {
        "attemptNumber": attempt.ordinal,
        "startedAt": wire_time(attempt.started_at),
        "durationMs": attempt.duration_ms,
        "statusCode": attempt.status_code,
        "error": attempt.error,
        "response": attempt.response if with_response else None,
    }


class Envelope(TypedDict):
    """A letter (spec 9 Delivery, spec 15 Webhooks); ``payload`` is the noun's own rendering."""

    eventId: str
    eventType: str
    businessType: str | None
    occurrence: str
    isSubscribable: bool
    payload: Mapping[str, Any]
    sequence: int
    apiVersion: str


def seal(letter: Envelope) -> bytes:
    """The exact bytes that are stored, signed and sent."""
    return msgspec.json.encode(letter)
