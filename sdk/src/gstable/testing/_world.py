"""What the rooms of the fake share: its clock, its identifiers, its address, and what happened."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from json import dumps
from secrets import choice
from string import ascii_letters, digits

from gstable.testing._clock import FakeClock, wire_time
from gstable.testing._refusals import invalid

PAGE_MAX = 10**9
SIZE_MAX = 100
API_VERSION = "v1"


def token(length: int) -> str:
    """So many random letters and digits."""
    return "".join(choice(ascii_letters + digits) for _ in range(length))


def tx_hash() -> str:
    """The hash of a transaction that nobody ever sent."""
    return "0x" + "".join(choice("0123456789abcdef") for _ in range(64))


@dataclass(frozen=True)
class Page:
    """A page of a list, as the path names it. Source: section 2, Pagination."""

    number: int
    size: int

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "Page":
        """Raises `Refused` 400101 naming the segment."""
        return cls(
            _whole("page", values["page"], PAGE_MAX), _whole("size", values["size"], SIZE_MAX)
        )

    def cut(self, items: list[dict[str, object]]) -> list[dict[str, object]]:
        """The items of this page."""
        begin = (self.number - 1) * self.size
        return items[begin : begin + self.size]


def _whole(name: str, given: str, most: int) -> int:
    if not (given.isascii() and given.isdigit() and len(given) <= 10 and 1 <= int(given) <= most):
        raise invalid(name, f"must be a whole number between 1 and {most}")
    return int(given)


@dataclass
class World:
    """`events`: every envelope of section 9, oldest first. `listeners` hear of each."""

    clock: FakeClock
    public_url: str
    events: list[dict[str, object]] = field(default_factory=list)
    listeners: list[Callable[[dict[str, object]], None]] = field(default_factory=list)

    def tell(
        self, event_type: str, business_type: str, payload: Mapping[str, object]
    ) -> dict[str, object]:
        """Write down what happened, with the object as it is now, and tell the listeners."""
        event: dict[str, object] = {
            "eventId": f"evt_{token(16)}",
            "eventType": event_type,
            "businessType": business_type,
            "occurrence": wire_time(self.clock.now),
            "isSubscribable": business_type != "webhook",
            "payload": deepcopy(dict(payload)),
            "sequence": len(self.events) + 1,
            "apiVersion": API_VERSION,
        }
        self.events.append(event)
        for listener in self.listeners:
            listener(event)
        return event

    def packed(self) -> list[bytes]:
        """Every event as it would be sent."""
        return [packed(event) for event in self.events]


def packed(value: object) -> bytes:
    """JSON as it goes over the wire."""
    return dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
