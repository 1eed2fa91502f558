"""What the pages of webhooks and events show; no input, output or clock."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gstable_server.plumbing.events import StoredEvent
from gstable_server.plumbing.http_client import FailureReason
from gstable_server.web.dashboard.presenter import Badge
from gstable_server.web.dashboard.speech import N_, _, moment, ngettext, number
from gstable_server.webhooks import wire
from gstable_server.webhooks.letters import letter
from gstable_server.webhooks.model import (
    DISABLED_EVENT,
    PAUSED_EVENT,
    TEST_EVENT,
    Condition,
    Delivered,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    LogLine,
    MessageState,
    RecordedAttempt,
    View,
)

EVENT_GROUPS: Sequence[tuple[str, Mapping[str, str]]] = (
    (
        N_("Sessions and payments"),
        {
            "session.created": N_("A session was opened"),
            "session.paid": N_("A payment was seen; it can still be taken back by its network"),
            "session.settling": N_("A final payment is on its way to your network"),
            "session.settlement_pending": N_("A payment hangs on its way, or its block was lost"),
            "session.completed": N_("The money is final: ship now"),
            "session.expired": N_("Its time was over and nobody had paid"),
            "session.cancelled": N_("You called it off"),
            "session.underpaid": N_("Less came than was asked for"),
            "session.overpaid": N_("More came than was asked for, or it was paid again"),
            "session.paid_late": N_("Money came after its time"),
            "session.payment_reverted": N_("A payment did not stay; the session is open again"),
            "session.refunded": N_("Money was given back"),
            "session.captured": N_("Held money was captured"),
            "session.voided": N_("Held money went back to the payer"),
        },
    ),
    (
        N_("Payment links"),
        {
            "payment.link.created": N_("A link was made"),
            "payment.link.updated": N_("A link was changed"),
            "payment.link.disabled": N_("A link was switched off"),
            "payment.link.enabled": N_("A link was switched on"),
            "payment.link.archived": N_("A link was archived"),
        },
    ),
    (
        N_("Products"),
        {
            "product.created": N_("A product was made"),
            "product.updated": N_("A product was changed"),
            "product.archived": N_("A product was archived"),
            "product.unarchived": N_("A product was brought back"),
            "product.removed": N_("A product was removed"),
        },
    ),
    (
        N_("Accounts"),
        {
            "account.created": N_("A wallet can be paid to"),
            "account.updated": N_("An account was renamed"),
            "account.removed": N_("An account was removed"),
        },
    ),
)
"""Everything that can be subscribed to, by noun, with what it tells."""
EVENT_WORDS = {name: words for _title, group in EVENT_GROUPS for name, words in group.items()} | {
    TEST_EVENT: N_("A test that you asked for"),
    PAUSED_EVENT: N_("An endpoint failed for too long and was paused"),
    DISABLED_EVENT: N_("An endpoint said that it is gone, and was switched off"),
}
RECOMMENDED = ("session.completed", "session.paid_late", "session.underpaid", "session.refunded")
"""What a new endpoint begins with: enough to ship by, and to hear of money that needs somebody."""

STATUS_BADGES = {
    EndpointStatus.ACTIVE: Badge(N_("Active"), "good"),
    EndpointStatus.INACTIVE: Badge(N_("Disabled"), "quiet"),
    EndpointStatus.PAUSED: Badge(N_("Paused"), "bad"),
}
DELIVERY_BADGES = {
    DeliveryStatus.PENDING: Badge(N_("On its way"), "busy"),
    DeliveryStatus.HELD: Badge(N_("Held"), "quiet"),
    DeliveryStatus.DELIVERED: Badge(N_("Delivered"), "good"),
    DeliveryStatus.EXHAUSTED: Badge(N_("Given up"), "bad"),
    DeliveryStatus.STOPPED: Badge(N_("Stopped"), "quiet"),
}
VIEWS = {
    View.ALL: N_("Everything"),
    View.FAILED: N_("Failed"),
    View.DELIVERED: N_("Delivered"),
    View.WAITING: N_("Waiting"),
    View.HELD: N_("Held"),
    View.GIVEN_UP: N_("Given up"),
}
_FAILED = Badge(N_("Failed"), "bad")
_TROUBLES = {
    FailureReason.URL_REFUSED: N_("Its address may not be sent to"),
    FailureReason.ADDRESS_REFUSED: N_("Its address leads to a network where nothing may be sent"),
    FailureReason.TIMEOUT: N_("No answer in time"),
    FailureReason.TLS: N_("No trusted TLS connection"),
    FailureReason.NAME_NOT_FOUND: N_("Its host name was not found"),
    FailureReason.INVALID_ANSWER: N_("What came back is no HTTP answer"),
    FailureReason.CONNECTION: N_("No connection"),
}


def answer_text(status: int | None, error: str | None) -> str:
    """What a receiver said, in a few words."""
    if status is not None:
        return _("Answered %(status)s", status=str(status))
    if error is None:
        return ""
    word = error.partition(":")[0]
    return _(_TROUBLES[FailureReason(word)]) if word in set(FailureReason) else error


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint in the list and at the head of its page; texts that do not apply are empty.

    ``rate`` is of its latest tries, ``trouble`` what the last failed one said."""

    webhook_id: str
    name: str
    url: str
    description: str
    badge: Badge
    events: tuple[tuple[str, str], ...]
    rate: str
    last_success: str
    failing_since: str
    trouble: str
    why: str
    waiting: str
    held: str
    given_up: str
    created_at: str
    is_active: bool
    old_key_until: str


def endpoint_row(endpoint: Endpoint, condition: Condition, now: datetime) -> EndpointRow:
    target, keys = endpoint.target, endpoint.keys
    overlaps = len(keys.valid_at(now)) > 1 and keys.previous_until is not None
    return EndpointRow(
        webhook_id=endpoint.webhook_id,
        name=target.name,
        url=target.url,
        description=target.description or "",
        badge=STATUS_BADGES[endpoint.status],
        events=tuple((name, EVENT_WORDS.get(name, "")) for name in target.events),
        rate=_rate(condition),
        last_success=moment(condition.last_success) if condition.last_success else "",
        failing_since=moment(condition.failing_since) if condition.failing_since else "",
        trouble=(
            answer_text(condition.trouble_status, condition.trouble) if condition.failures else ""
        ),
        why=_why(endpoint, condition),
        waiting=_bounded(condition.waiting),
        held=_bounded(condition.held),
        given_up=_bounded(condition.given_up),
        created_at=moment(endpoint.created_at),
        is_active=endpoint.status is EndpointStatus.ACTIVE,
        old_key_until=(
            moment(keys.previous_until) if overlaps and keys.previous_until is not None else ""
        ),
    )


def _bounded(count: int) -> str:
    """Nothing for zero; counting stops at a bound."""
    return number(count) if count else ""


def _rate(condition: Condition) -> str:
    """Rounded down: 100 % is said only where nothing failed."""
    if not condition.tries:
        return ""
    per_mille = condition.successes * 1000 // condition.tries
    whole, tenth = divmod(per_mille, 10)
    rate = f"{number(whole)}.{tenth} %" if tenth else f"{number(whole)} %"
    return ngettext(
        "%(rate)s of the last try", "%(rate)s of the last %(num)s tries", condition.tries, rate=rate
    )


def _why(endpoint: Endpoint, condition: Condition) -> str:
    """Why nothing is sent, empty for an active endpoint."""
    if endpoint.status is EndpointStatus.PAUSED:
        return ngettext(
            "It was paused after %(num)s failure in a row.",
            "It was paused after %(num)s failures in a row.",
            condition.failures,
        )
    if endpoint.status is EndpointStatus.INACTIVE:
        if condition.failures and condition.trouble_status == 410:
            return _("It answered 410, Gone, so it was switched off.")
        return _("Somebody of your team switched it off.")
    return ""


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line of an endpoint's log."""

    number: int
    event_id: str
    event_type: str
    badge: Badge
    answer: str
    at: str
    duration: str
    tries: str
    next_at: str


def log_row(line: LogLine, *, is_try: bool) -> LogRow:
    """``is_try``: what one try came to; else where the message stands now."""
    succeeded = line.status_code is not None and 200 <= line.status_code <= 299
    if is_try:
        badge = DELIVERY_BADGES[DeliveryStatus.DELIVERED] if succeeded else _FAILED
    elif line.state is MessageState.PENDING and line.next_attempt_at is None:
        badge = DELIVERY_BADGES[DeliveryStatus.HELD]
    else:
        badge = DELIVERY_BADGES[DeliveryStatus(line.state.value)]
    return LogRow(
        number=line.number,
        event_id=line.event_id,
        event_type=line.event_type,
        badge=badge,
        answer=answer_text(line.status_code, line.error),
        at=moment(line.started_at) if line.started_at else "",
        duration=_("%(time)s ms", time=number(line.duration_ms)) if line.duration_ms else "",
        tries=ngettext("%(num)s try", "%(num)s tries", line.tries),
        next_at=moment(line.next_attempt_at) if line.next_attempt_at else "",
    )


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event in a list; ``object_path`` is where its object's page is, "" where there is none."""

    event_id: str
    event_type: str
    words: str
    object_id: str
    object_path: str
    at: str
    sequence: int


_PAGES = {
    "session": "sessions",
    "product": "products",
    "payment_link": "links",
    "link": "links",
    "account": "accounts",
    "webhook": "webhooks",
}


def event_row(stored: StoredEvent) -> EventRow:
    place = _PAGES.get(stored.event.business_type or "")
    return EventRow(
        event_id=stored.event_id,
        event_type=stored.event.type,
        words=EVENT_WORDS.get(stored.event.type, ""),
        object_id=stored.event.object_id,
        object_path=f"{place}/{stored.event.object_id}" if place else "",
        at=moment(stored.occurred_at),
        sequence=stored.sequence,
    )


@dataclass(frozen=True, slots=True)
class TryRow:
    """One try as the page of its event shows it."""

    ordinal: int
    badge: Badge
    answer: str
    at: str
    duration: str
    url: str
    request_headers: str
    response_headers: str
    response: str


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """The event at one endpoint, its tries newest first. ``can_send``: the endpoint still is."""

    webhook_id: str
    name: str
    badge: Badge
    next_at: str
    tries: tuple[TryRow, ...]
    can_send: bool


def delivery_row(delivered: Delivered, name: str, *, can_send: bool) -> DeliveryRow:
    return DeliveryRow(
        webhook_id=delivered.webhook_id,
        name=name,
        badge=DELIVERY_BADGES[delivered.status],
        next_at=moment(delivered.next_attempt_at) if delivered.next_attempt_at else "",
        tries=tuple(_try_row(one) for one in reversed(delivered.attempts)),
        can_send=can_send,
    )


def _try_row(one: RecordedAttempt) -> TryRow:
    return TryRow(
        ordinal=one.ordinal,
        badge=DELIVERY_BADGES[DeliveryStatus.DELIVERED] if one.succeeded else _FAILED,
        answer=answer_text(one.status_code, one.error),
        at=moment(one.started_at),
        duration=_("%(time)s ms", time=number(one.duration_ms)),
        url=one.url or "",
        request_headers=request_headers(one),
        response_headers=one.response_headers or "",
        response=one.response or "",
    )


def request_headers(one: RecordedAttempt) -> str:
    """What was sent with a try, one a line. Signatures follow from the key, and are not kept: for
    some minutes they would be as good as the key."""
    at = str(int(one.started_at.timestamp()))
    kept = {
        "content-type": "application/json",
        "webhook-id": one.event_id,
        "webhook-timestamp": at,
        "webhook-signature": "v1,…",
        "x-gstable-timestamp": at,
        "x-gstable-signature": "…",
    }
    return "\n".join(f"{name}: {value}" for name, value in kept.items())


def body_text(stored: StoredEvent) -> str:
    """The letter's body, byte for byte the same on every try, laid out for people."""
    return json.dumps(json.loads(wire.seal(letter(stored))), indent=2, ensure_ascii=False)
