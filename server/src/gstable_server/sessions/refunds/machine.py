"""How a refund moves: one pure function of (state, fact), and its table beside it.

The chain has the last word: a transfer counts whenever it is mined, also after the refund had
expired or was cancelled, because the money has gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gstable_server.sessions.refunds.model import RefundState as S


class Fact(Enum):
    """What can happen to a refund."""

    TRANSFER_SEEN = "its transfer stands in a block"
    TRANSFER_FINAL = "that block is deep enough to stay"
    TRANSFER_REVERTED = "that block is no longer part of the chain"
    TIME_PASSED = "its time is over"
    CANCEL_REQUESTED = "the merchant asked to cancel it"
    APPROVED = "two people of the team stand behind it"
    UNAPPROVED_REVERTED = "that block is no longer part of the chain, and nobody had approved it"


@dataclass(frozen=True, slots=True)
class Move:
    """The refund goes to ``state``."""

    state: S


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing changes."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """What was asked cannot be done in this state, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Impossible:
    """No sequence of facts leads here: a bug of ours, never an answer to a caller."""


class IllegalMove(AssertionError):
    """A fact reached a state that it cannot reach."""


Decision = Move | Stay | Refuse
STAY = Stay()
IMPOSSIBLE = Impossible()

TABLE: dict[S, dict[Fact, Move | Stay | Refuse | Impossible]] = {
    S.AWAITING: {
        # The wallet is the merchant's own: whoever holds it can send without asking us.
        Fact.TRANSFER_SEEN: Move(S.SEEN),
        Fact.TRANSFER_FINAL: IMPOSSIBLE,
        Fact.TRANSFER_REVERTED: IMPOSSIBLE,
        Fact.TIME_PASSED: Move(S.EXPIRED),
        Fact.CANCEL_REQUESTED: Move(S.CANCELLED),
        Fact.APPROVED: Move(S.PREPARED),
        Fact.UNAPPROVED_REVERTED: IMPOSSIBLE,
    },
    S.PREPARED: {
        Fact.TRANSFER_SEEN: Move(S.SEEN),
        Fact.TRANSFER_FINAL: IMPOSSIBLE,
        Fact.TRANSFER_REVERTED: IMPOSSIBLE,
        Fact.TIME_PASSED: Move(S.EXPIRED),
        Fact.CANCEL_REQUESTED: Move(S.CANCELLED),
        Fact.APPROVED: Refuse("names a refund that waits for nobody's approval"),
        Fact.UNAPPROVED_REVERTED: IMPOSSIBLE,
    },
    S.SEEN: {
        # One transfer proves one refund: a second one is never given to it.
        Fact.TRANSFER_SEEN: IMPOSSIBLE,
        Fact.TRANSFER_FINAL: Move(S.COMPLETED),
        # The same transaction may be mined again, so its part stays taken until time is over.
        Fact.TRANSFER_REVERTED: Move(S.PREPARED),
        Fact.TIME_PASSED: STAY,
        Fact.CANCEL_REQUESTED: Refuse("names a refund whose transfer is on the chain"),
        Fact.APPROVED: Refuse("names a refund whose transfer is on the chain"),
        Fact.UNAPPROVED_REVERTED: Move(S.AWAITING),
    },
    S.COMPLETED: {
        Fact.TRANSFER_SEEN: IMPOSSIBLE,
        Fact.TRANSFER_FINAL: STAY,
        # Deeper than the confirmations: the indexer halts its network before it tells us.
        Fact.TRANSFER_REVERTED: IMPOSSIBLE,
        Fact.TIME_PASSED: STAY,
        Fact.CANCEL_REQUESTED: Refuse("names a refund that is completed"),
        Fact.APPROVED: Refuse("names a refund that is completed"),
        Fact.UNAPPROVED_REVERTED: IMPOSSIBLE,
    },
    S.EXPIRED: {
        Fact.TRANSFER_SEEN: Move(S.SEEN),
        Fact.TRANSFER_FINAL: IMPOSSIBLE,
        Fact.TRANSFER_REVERTED: IMPOSSIBLE,
        Fact.TIME_PASSED: STAY,
        Fact.CANCEL_REQUESTED: Refuse("names a refund that is expired"),
        Fact.APPROVED: Refuse("names a refund that is expired"),
        Fact.UNAPPROVED_REVERTED: IMPOSSIBLE,
    },
    S.CANCELLED: {
        Fact.TRANSFER_SEEN: Move(S.SEEN),
        Fact.TRANSFER_FINAL: IMPOSSIBLE,
        Fact.TRANSFER_REVERTED: IMPOSSIBLE,
        Fact.TIME_PASSED: STAY,
        Fact.CANCEL_REQUESTED: Refuse("names a refund that is cancelled"),
        Fact.APPROVED: Refuse("names a refund that is cancelled"),
        Fact.UNAPPROVED_REVERTED: IMPOSSIBLE,
    },
}


def decide(state: S, fact: Fact) -> Decision:
    """What ``fact`` means for a refund in ``state``. Raises ``IllegalMove`` for a pair that cannot
    occur."""
    answer = TABLE[state][fact]
    if isinstance(answer, Impossible):
        raise IllegalMove(f"{fact.name} in state {state}")
    return answer
