"""An endpoint of a merchant, and one delivery to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gstable_server.kernel.ids import EventId, WebhookId
from gstable_server.kernel.tenant import Tenant

ENDPOINTS_MAX = 10
"""Endpoints of one merchant in one mode (spec 9)."""

KEY_PREFIX = "wkk_"
KEY_RANDOM_LENGTH = 40
GRACE_SECONDS_MAX = 7 * 86_400

EVENT_TYPES = (
    "account.created",
    "account.updated",
    "account.removed",
    "payment.link.created",
    "payment.link.updated",
    "payment.link.disabled",
    "payment.link.enabled",
    "payment.link.archived",
    "product.created",
    "product.updated",
    "product.archived",
    "product.unarchived",
    "product.removed",
    "session.created",
    "session.paid",
    "session.settling",
    "session.settlement_pending",
    "session.completed",
    "session.expired",
    "session.cancelled",
    "session.underpaid",
    "session.overpaid",
    "session.paid_late",
    "session.payment_reverted",
    "session.refunded",
    "session.captured",
    "session.voided",
)
"""Everything that can be subscribed to (spec 9 Events, spec 15 Session events)."""


TEST_EVENT = "webhook.test"
PAUSED_EVENT = "webhook.paused"
DISABLED_EVENT = "webhook.disabled"


class Audience(StrEnum):
    """Which of a merchant's endpoints get an event: those that subscribed to its type; or, of
    what is told about an endpoint and cannot be subscribed to, the other active ones, or that
    endpoint alone."""

    SUBSCRIBED = "subscribed"
    OTHERS = "others"
    ITSELF = "itself"


AUDIENCES = {
    TEST_EVENT: Audience.ITSELF,
    PAUSED_EVENT: Audience.OTHERS,
    DISABLED_EVENT: Audience.OTHERS,
}


class EndpointStatus(StrEnum):
    """``inactive`` is the merchant's doing, ``paused`` the platform's (spec 9, status)."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    PAUSED = "paused"


class MessageState(StrEnum):
    """``exhausted`` after the last try failed, ``stopped`` when the endpoint was removed."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Keys:
    """The signing key, and during a grace time its predecessor (spec 15, key/refresh)."""

    current: str
    previous: str | None = None
    previous_until: datetime | None = None

    def valid_at(self, instant: datetime) -> tuple[str, ...]:
        """The keys that sign at ``instant``, the current one first."""
        if self.previous and self.previous_until and instant < self.previous_until:
            return (self.current, self.previous)
        return (self.current,)


@dataclass(frozen=True, slots=True)
class Target:
    """What a merchant says of an endpoint; replaced as a whole by an update."""

    name: str
    url: str
    description: str | None
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A merchant's receiver of events."""

    webhook_id: WebhookId
    tenant: Tenant
    target: Target
    keys: Keys
    status: EndpointStatus
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """Failed tries of an endpoint since its last success, and when the first of them was; and
    how many of the last tries in a row got no answer at all."""

    failures: int = 0
    since: datetime | None = None
    unanswered: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """A message that this process may send until its lease ends, after ``round_attempts`` tries
    in the present round of the schedule. Two are never the same."""

    message_number: int
    event_id: EventId
    body: bytes
    round_attempts: int
    webhook_id: WebhookId
    url: str
    keys: Keys
    leased_until: datetime
    trace_parent: str | None = None
    """The span in which the event was told (``plumbing.tracing``)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One finished try: an answer with ``status_code``, or an ``error`` instead of one."""

    started_at: datetime
    duration_ms: int
    status_code: int | None = None
    retry_after: str | None = None
    error: str | None = None
    response: str | None = None
    response_headers: str | None = None
    """One a line, cut; the page of an event shows them."""

    @property
    def succeeded(self) -> bool:
        """2xx is success; everything else, redirects included, is a failure (spec 15)."""
        return self.status_code is not None and 200 <= self.status_code <= 299


class DeliveryStatus(StrEnum):
    """Where the delivery of an event to an endpoint stands, as a merchant sees it: a pending
    message is ``held`` while its endpoint is not active."""

    PENDING = "pending"
    HELD = "held"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class RecordedAttempt:
    """A try on record; ``ordinal`` counts the tries of one event at one endpoint from 1.

    ``error`` is a stable word, with a detail behind it after a colon.
    """

    event_id: EventId
    webhook_id: WebhookId
    ordinal: int
    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None
    response: str | None
    response_headers: str | None = None
    url: str | None = None
    """Where it was sent. None, as the headers are, for tries from before that was kept."""

    @property
    def succeeded(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code <= 299


@dataclass(frozen=True, slots=True)
class Delivered:
    """One event at one endpoint, with every try, the oldest first."""

    webhook_id: WebhookId
    status: DeliveryStatus
    next_attempt_at: datetime | None
    attempts: tuple[RecordedAttempt, ...]


class View(StrEnum):
    """Which lines of an endpoint's log are shown: tries, all or by how they ended; or what was not
    delivered yet, by what it waits for."""

    ALL = "all"
    FAILED = "failed"
    DELIVERED = "delivered"
    WAITING = "waiting"
    HELD = "held"
    GIVEN_UP = "given-up"


@dataclass(frozen=True, slots=True)
class LogLine:
    """A try, or a message with its last try (then the fields of a try may be None); ``number``
    orders them, and the page behind it begins below it. ``tries`` counts those of the message,
    whose ``state`` and ``next_attempt_at`` are those of now."""

    number: int
    event_id: EventId
    event_type: str
    state: MessageState
    next_attempt_at: datetime | None
    tries: int
    started_at: datetime | None
    duration_ms: int | None
    status_code: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Condition:
    """How an endpoint is doing: ``successes`` of its latest ``tries``; ``failures`` in a row since
    ``failing_since``, and what the last failed try said; how many messages wait for their time,
    are held, or were given up, each counted up to a bound."""

    tries: int
    successes: int
    failures: int
    latest: datetime | None
    last_success: datetime | None
    failing_since: datetime | None
    trouble_status: int | None
    trouble: str | None
    waiting: int
    held: int
    given_up: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be delivered, for operators: letters due to endpoints that answer, and since
    when the oldest has been; letters given up; endpoints that the platform closed."""

    due: int
    due_since: datetime | None
    exhausted: int
    closed: int
