"""A payment that crosses to another network, and the logs at its ends.

The rail's contract keeps the money on the way. What is known of a crossing is what the logs of
both networks say, and those are read apart: whichever end is heard of first waits for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gstable_server.chain.facts import (
    ChainLog,
    DeliveryLog,
    EscrowLog,
    EscrowWhat,
    FactWhat,
    PaymentLog,
    RailName,
)

CROSSING_RAILS = frozenset({RailName.CCTP, RailName.ESCROW})
"""The rails whose payments are followed here; the others end in the payment's own transaction."""

STANDING = frozenset({FactWhat.SEEN, FactWhat.FINAL})

Delivers = Callable[[PaymentLog, DeliveryLog], bool]
"""Whether that delivery is of exactly that payment: the rail's word (``Rail.delivers``)."""


class Stage(StrEnum):
    """What both ends of a crossing mean together (``machine.STAGES``)."""

    CROSSING = "crossing"
    """The payer's end stands in a block; nothing reached the merchant."""
    DELIVERED = "delivered"
    """The merchant has the money; one of the ends can still be taken back."""
    COMPLETED = "completed"
    """The merchant has the money, and both ends are final."""
    INTERRUPTED = "interrupted"
    """The payer's end was taken back by a reorganisation and may return."""
    ABANDONED = "abandoned"
    """The payer's end did not return in time. It still may."""
    RETURNED = "returned"
    """The payer took the money back, finally."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One log beyond the payment: a delivery, or money that left the escrow.

    ``state`` is the last fact about it, None before the first; ``payment`` names the crossing that
    it belongs to, None while there is none. ``times_mined`` tells its bookings apart.
    """

    log: DeliveryLog | EscrowLog
    state: FactWhat | None = None
    times_mined: int = 0
    payment: str | None = None

    @property
    def stands(self) -> bool:
        return self.state in STANDING

    @property
    def cause(self) -> str:
        """How the ledger names this leg since it last came into a block."""
        return f"{self.log.object_id}:{self.times_mined}"

    def is_escrow(self, what: EscrowWhat) -> bool:
        return isinstance(self.log, EscrowLog) and self.log.what is what


@dataclass(frozen=True, slots=True)
class Settlement:
    """One crossing, named by its payment's log.

    ``source`` is the last fact about the payment. ``progress_at`` is when the crossing last came
    closer to its end, ``stalled_at`` since when it is told to hang. ``done``: the rail has nothing
    left to do. ``attempt`` counts transactions of ours that failed; ``cause`` names the last one.
    ``waits`` counts answers of the rail that only said to wait, since anything happened.
    """

    payment: PaymentLog
    source: FactWhat | None
    progress_at: datetime
    times_mined: int = 0
    stalled_at: datetime | None = None
    done: bool = False
    attempt: int = 0
    waits: int = 0
    cause: str | None = None
    reason: str = ""

    @property
    def name(self) -> str:
        return self.payment.object_id


@dataclass(frozen=True, slots=True)
class Ends:
    """A crossing with what belongs to it, as the machine judges it."""

    settlement: Settlement
    stage: Stage
    delivery: Leg | None
    released: bool


@dataclass(frozen=True, slots=True)
class Case:
    """All crossings of one session, oldest first, and all legs that name it."""

    settlements: tuple[Settlement, ...] = ()
    legs: tuple[Leg, ...] = ()

    def settlement(self, name: str) -> Settlement | None:
        return next((one for one in self.settlements if one.name == name), None)

    def legs_of(self, name: str) -> tuple[Leg, ...]:
        return tuple(leg for leg in self.legs if leg.payment == name)


def is_followed(log: ChainLog) -> bool:
    """Whether a crossing is or may be about ``log``."""
    if isinstance(log, PaymentLog):
        return log.rail in CROSSING_RAILS
    return isinstance(log, (DeliveryLog, EscrowLog))
