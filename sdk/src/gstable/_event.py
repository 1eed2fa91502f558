"""One event as it is delivered. Source: section 9, Delivery, Payload and Events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from gstable import _parse
from gstable._errors import NO_ANSWER_CODE, GStableError
from gstable._json import loads
from gstable._models import (
    Account,
    CheckoutSession,
    HoldMove,
    PaymentLink,
    Product,
    Refund,
    Transaction,
)
from gstable._reader import Malformed, Reader

Result = TypeVar("Result")

_IDENTIFIERS = {
    "session": ("sessionData", "sessionId"),
    "payment_link": ("linkData", "linkId"),
    "product": ("productData", "productId"),
    "account": ("accountData", "accountId"),
    "webhook": ("webhookData", "webhookId"),
}


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to one object.

    `event_id`: the same on every delivery, so handle each once. `business_type`: `session`,
    `payment_link`, `product`, `account` or `webhook`; empty for an event about none of them.
    `occurrence`: UTC, `YYYY-MM-DD HH:mm:ss`.
    `sequence`: grows with each event of one object; None where the platform sends none.
    `payload`: as it arrived. `session`, `transaction`, `refund`, `hold_move`, `link`,
    `product` and `account` read it into the results of the API, and raise `GStableError` where the
    event is not about one.
    """

    event_id: str
    event_type: str
    business_type: str
    occurrence: str
    is_subscribable: bool
    sequence: int | None
    api_version: str | None
    payload: Mapping[str, object]

    @property
    def object_id(self) -> str:
        """The identifier of what it happened to; `sequence` orders the events of one such object.
        Empty for an event about none that is known."""
        data, name = _IDENTIFIERS.get(self.business_type, ("", ""))
        shown = self.payload.get(data)
        found = shown.get(name) if isinstance(shown, Mapping) else None
        return found if isinstance(found, str) else ""

    @property
    def session(self) -> CheckoutSession:
        return self._read("sessionData", _parse.checkout_session)

    @property
    def transaction(self) -> Transaction | None:
        """The payment of the session; None before there is one."""
        if self.payload.get("transaction") is None:
            return None
        return self._read("transaction", _parse.transaction)

    @property
    def refund(self) -> Refund:
        """What was given back, in `session.refunded`."""
        return self._read("refundData", _parse.refund)

    @property
    def hold_move(self) -> HoldMove:
        """What left a hold, in `session.captured` and `session.voided`."""
        return self._read("holdData", _parse.hold_move)

    @property
    def link(self) -> PaymentLink:
        return self._read("linkData", _parse.payment_link)

    @property
    def product(self) -> Product:
        return self._read("productData", _parse.product)

    @property
    def account(self) -> Account:
        return self._read("accountData", _parse.account)

    def _read(self, name: str, parse: Callable[[Reader], Result]) -> Result:
        try:
            return parse(Reader(self.payload.get(name), f"payload.{name}"))
        except Malformed as broken:
            raise GStableError(NO_ANSWER_CODE, f"Event {self.event_type}: {broken}") from broken


@dataclass(frozen=True, slots=True)
class EventFeed:
    """The next events, oldest first. `cursor`: what to ask with for those behind them."""

    events: tuple[Event, ...]
    cursor: str


def event(found: Reader) -> Event:
    api_version = found.raw("apiVersion")
    return Event(
        event_id=found.text("eventId"),
        event_type=found.text("eventType"),
        business_type=found.text_or_empty("businessType"),
        occurrence=found.text("occurrence"),
        is_subscribable=found.flag_or_false("isSubscribable"),
        sequence=found.optional_integer("sequence"),
        api_version=None if api_version is None else str(api_version),
        payload=found.mapping("payload"),
    )


def event_feed(found: Reader) -> EventFeed:
    events = tuple(event(item) for item in found.children("events"))
    return EventFeed(events=events, cursor=found.text("cursor"))


def parse_event(body: bytes) -> Event:
    """The event in a body that has been verified. Raises `GStableError` where it is none."""
    try:
        return event(Reader(loads(body), "event"))
    except ValueError as broken:
        raise GStableError(NO_ANSWER_CODE, f"Unexpected event: {broken}") from broken
