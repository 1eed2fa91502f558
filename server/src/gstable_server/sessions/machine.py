"""How a session moves: one pure function of (state, fact), and its table beside it.

Every pair has a written answer: a move with the event that tells of it, ``Stay`` for a fact that
repeats or changes nothing, a ``Refuse`` for what somebody asked in vain, or ``IMPOSSIBLE`` for
what would be a bug of ours. The edges are those of spec 6, and one of ours: a payment that a
reorganisation removed for good, or that its payer took back from a rail, reopens its session.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gstable_server.kernel.errors import Code
from gstable_server.sessions.model import SessionState as S


class Fact(Enum):
    """What can happen to a session."""

    ORDER_REQUESTED = "a payer asked for a signed order"
    CANCEL_REQUESTED = "the merchant asked to cancel"
    TIME_PASSED = "the expiry is over"
    PAYMENT_SEEN = "a payment that pays the session stands in a block"
    PAYMENT_FINAL = "that payment is deep enough to stay"
    PAYMENT_REVERTED = "that payment's block is no longer part of the chain"
    PAYMENT_LOST = "that payment did not come back"
    CROSSING_FINAL = "a payment that crosses to another network is deep enough to stay"
    CROSSING_INTERRUPTED = "its rail hangs, or its delivery was taken back"
    CROSSING_RESUMED = "its rail goes on"
    SETTLED = "it reached the merchant, and both ends are deep enough to stay"
    CREDIT_WITHDRAWN = "it does not reach the merchant, or not in full"
    HOLD_CAPTURED = "nothing is held any more, and some of it was captured for good"
    HOLD_RETURNED = "all that was held went back to the payer for good"
    ACCEPTED = "the merchant takes final money, which did not pay it, as its payment"


@dataclass(frozen=True, slots=True)
class Move:
    """The session goes to ``state`` and ``event`` tells of it."""

    state: S
    event: str


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing changes."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """What was asked cannot be done in this state."""

    code: Code


@dataclass(frozen=True, slots=True)
class Impossible:
    """No sequence of facts leads here: a bug of ours, never an answer to a caller."""


class IllegalMove(AssertionError):
    """A fact reached a state that it cannot reach."""


Decision = Move | Stay | Refuse
STAY = Stay()
IMPOSSIBLE = Impossible()

TABLE: dict[S, dict[Fact, Move | Stay | Refuse | Impossible]] = {
    S.INITIALIZED: {
        Fact.ORDER_REQUESTED: STAY,
        Fact.CANCEL_REQUESTED: Move(S.CANCELLED, "session.cancelled"),
        Fact.TIME_PASSED: Move(S.EXPIRED, "session.expired"),
        Fact.PAYMENT_SEEN: Move(S.PAID, "session.paid"),
        Fact.PAYMENT_FINAL: IMPOSSIBLE,
        Fact.PAYMENT_REVERTED: IMPOSSIBLE,
        Fact.PAYMENT_LOST: IMPOSSIBLE,
        Fact.CROSSING_FINAL: IMPOSSIBLE,
        Fact.CROSSING_INTERRUPTED: IMPOSSIBLE,
        Fact.CROSSING_RESUMED: IMPOSSIBLE,
        Fact.SETTLED: IMPOSSIBLE,
        Fact.CREDIT_WITHDRAWN: IMPOSSIBLE,
        Fact.HOLD_CAPTURED: IMPOSSIBLE,
        Fact.HOLD_RETURNED: IMPOSSIBLE,
        # What was given back is never taken as payment: that is asked before this.
        Fact.ACCEPTED: Move(S.COMPLETED, "session.completed"),
    },
    S.PAID: {
        Fact.ORDER_REQUESTED: Refuse(Code.SESSION_PAID),
        Fact.CANCEL_REQUESTED: Refuse(Code.SESSION_PAID),
        Fact.TIME_PASSED: STAY,
        Fact.PAYMENT_SEEN: STAY,
        Fact.PAYMENT_FINAL: Move(S.COMPLETED, "session.completed"),
        Fact.PAYMENT_REVERTED: Move(S.SETTLEMENT_PENDING, "session.settlement_pending"),
        Fact.PAYMENT_LOST: IMPOSSIBLE,
        Fact.CROSSING_FINAL: Move(S.SETTLING, "session.settling"),
        Fact.CROSSING_INTERRUPTED: Move(S.SETTLEMENT_PENDING, "session.settlement_pending"),
        Fact.CROSSING_RESUMED: STAY,
        Fact.SETTLED: IMPOSSIBLE,
        Fact.CREDIT_WITHDRAWN: Move(S.INITIALIZED, "session.payment_reverted"),
        Fact.HOLD_CAPTURED: Move(S.COMPLETED, "session.completed"),
        Fact.HOLD_RETURNED: Move(S.CANCELLED, "session.cancelled"),
        Fact.ACCEPTED: STAY,
    },
    S.SETTLEMENT_PENDING: {
        Fact.ORDER_REQUESTED: Refuse(Code.SESSION_SETTLING),
        Fact.CANCEL_REQUESTED: Refuse(Code.SESSION_SETTLING),
        Fact.TIME_PASSED: STAY,
        Fact.PAYMENT_SEEN: Move(S.SETTLING, "session.settling"),
        Fact.PAYMENT_FINAL: IMPOSSIBLE,
        Fact.PAYMENT_REVERTED: STAY,
        # The session is open again; if its time is over, the next turn of the clock closes it.
        Fact.PAYMENT_LOST: Move(S.INITIALIZED, "session.payment_reverted"),
        Fact.CROSSING_FINAL: STAY,
        Fact.CROSSING_INTERRUPTED: STAY,
        Fact.CROSSING_RESUMED: Move(S.SETTLING, "session.settling"),
        Fact.SETTLED: Move(S.COMPLETED, "session.completed"),
        Fact.CREDIT_WITHDRAWN: Move(S.INITIALIZED, "session.payment_reverted"),
        Fact.HOLD_CAPTURED: IMPOSSIBLE,
        Fact.HOLD_RETURNED: IMPOSSIBLE,
        Fact.ACCEPTED: STAY,
    },
    S.SETTLING: {
        Fact.ORDER_REQUESTED: Refuse(Code.SESSION_SETTLING),
        Fact.CANCEL_REQUESTED: Refuse(Code.SESSION_SETTLING),
        Fact.TIME_PASSED: STAY,
        Fact.PAYMENT_SEEN: STAY,
        Fact.PAYMENT_FINAL: Move(S.COMPLETED, "session.completed"),
        Fact.PAYMENT_REVERTED: Move(S.SETTLEMENT_PENDING, "session.settlement_pending"),
        Fact.PAYMENT_LOST: IMPOSSIBLE,
        Fact.CROSSING_FINAL: STAY,
        Fact.CROSSING_INTERRUPTED: Move(S.SETTLEMENT_PENDING, "session.settlement_pending"),
        Fact.CROSSING_RESUMED: STAY,
        Fact.SETTLED: Move(S.COMPLETED, "session.completed"),
        Fact.CREDIT_WITHDRAWN: Move(S.INITIALIZED, "session.payment_reverted"),
        Fact.HOLD_CAPTURED: Move(S.COMPLETED, "session.completed"),
        Fact.HOLD_RETURNED: Move(S.CANCELLED, "session.cancelled"),
        Fact.ACCEPTED: STAY,
    },
    S.COMPLETED: {
        Fact.ORDER_REQUESTED: Refuse(Code.SESSION_PAID),
        Fact.CANCEL_REQUESTED: Refuse(Code.SESSION_SETTLING),
        Fact.TIME_PASSED: STAY,
        Fact.PAYMENT_SEEN: STAY,
        Fact.PAYMENT_FINAL: STAY,
        # Deeper than the confirmations: the indexer halts its network before it tells us.
        Fact.PAYMENT_REVERTED: IMPOSSIBLE,
        Fact.PAYMENT_LOST: IMPOSSIBLE,
        Fact.CROSSING_FINAL: STAY,
        Fact.CROSSING_INTERRUPTED: IMPOSSIBLE,
        Fact.CROSSING_RESUMED: STAY,
        Fact.SETTLED: STAY,
        Fact.CREDIT_WITHDRAWN: IMPOSSIBLE,
        Fact.HOLD_CAPTURED: STAY,
        Fact.HOLD_RETURNED: IMPOSSIBLE,
        Fact.ACCEPTED: STAY,
    },
    S.EXPIRED: {
        Fact.ORDER_REQUESTED: Refuse(Code.SESSION_EXPIRED),
        Fact.CANCEL_REQUESTED: Refuse(Code.SESSION_EXPIRED),
        Fact.TIME_PASSED: STAY,
        # Mined in time and heard of late: the block's time decides, not ours.
        Fact.PAYMENT_SEEN: Move(S.PAID, "session.paid"),
        Fact.PAYMENT_FINAL: IMPOSSIBLE,
        Fact.PAYMENT_REVERTED: IMPOSSIBLE,
        Fact.PAYMENT_LOST: IMPOSSIBLE,
        Fact.CROSSING_FINAL: IMPOSSIBLE,
        Fact.CROSSING_INTERRUPTED: IMPOSSIBLE,
        Fact.CROSSING_RESUMED: IMPOSSIBLE,
        Fact.SETTLED: IMPOSSIBLE,
        Fact.CREDIT_WITHDRAWN: IMPOSSIBLE,
        Fact.HOLD_CAPTURED: IMPOSSIBLE,
        Fact.HOLD_RETURNED: IMPOSSIBLE,
        Fact.ACCEPTED: Move(S.COMPLETED, "session.completed"),
    },
    S.CANCELLED: {
        Fact.ORDER_REQUESTED: Refuse(Code.SESSION_CANCELLED),
        Fact.CANCEL_REQUESTED: Refuse(Code.SESSION_CANCELLED),
        Fact.TIME_PASSED: STAY,
        Fact.PAYMENT_SEEN: IMPOSSIBLE,
        Fact.PAYMENT_FINAL: IMPOSSIBLE,
        Fact.PAYMENT_REVERTED: IMPOSSIBLE,
        Fact.PAYMENT_LOST: IMPOSSIBLE,
        Fact.CROSSING_FINAL: IMPOSSIBLE,
        Fact.CROSSING_INTERRUPTED: IMPOSSIBLE,
        Fact.CROSSING_RESUMED: IMPOSSIBLE,
        Fact.SETTLED: IMPOSSIBLE,
        Fact.CREDIT_WITHDRAWN: IMPOSSIBLE,
        Fact.HOLD_CAPTURED: IMPOSSIBLE,
        Fact.HOLD_RETURNED: STAY,
        # The money is booked as the merchant's; what was called off stays called off.
        Fact.ACCEPTED: STAY,
    },
}


def decide(state: S, fact: Fact, *, signed_once: bool) -> Decision:
    """What ``fact`` means for a session in ``state``.

    A session whose order was signed once cannot be cancelled, because a payment may be in flight
    (spec 6, ``signedOnce``). Raises ``IllegalMove`` for a pair that cannot occur.
    """
    if fact is Fact.CANCEL_REQUESTED and state is S.INITIALIZED and signed_once:
        return Refuse(Code.SESSION_NOT_CANCELLABLE)
    answer = TABLE[state][fact]
    if isinstance(answer, Impossible):
        raise IllegalMove(f"{fact.name} in state {state}")
    return answer
