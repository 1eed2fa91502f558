"""How a log of a hold, and what we ask of a hold, move: a table for each, and beside them what an
emptied hold means for its session. All are pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from gstable_server.chain.facts import FactWhat
from gstable_server.sessions.holds.model import InstructionState as I
from gstable_server.sessions.holds.model import Move as MoveOfMoney
from gstable_server.sessions.holds.model import MoveState as M
from gstable_server.sessions.machine import Fact as SessionFact
from gstable_server.sessions.model import Payment, PaymentState


class Told(Enum):
    """What can happen to an instruction."""

    MINED = "a transaction of it stands in a block"
    SUCCEEDED = "that block is final"
    REVERTED = "it failed for good, and it could still be done"
    REVERTED_OVERTAKEN = "it failed for good, because too little remains or it is too late"
    REFUSED = "its time was over before anything was sent"
    OVERTAKEN = "too little remains for it, and the executor gave it back unsent"


@dataclass(frozen=True, slots=True)
class Go:
    """To the next state."""

    state: I


@dataclass(frozen=True, slots=True)
class Become:
    """The log's next state."""

    state: M


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing changes."""


@dataclass(frozen=True, slots=True)
class Impossible:
    """No sequence of facts leads here: a bug of ours, never an answer to a caller."""


class IllegalMove(AssertionError):
    """A fact reached a state that it cannot reach."""


STAY = Stay()
IMPOSSIBLE = Impossible()

MOVES: dict[M | None, dict[FactWhat, Become | Stay | Impossible]] = {
    None: {
        FactWhat.SEEN: Become(M.SEEN),
        FactWhat.FINAL: IMPOSSIBLE,
        FactWhat.REORGED: IMPOSSIBLE,
        FactWhat.LOST: IMPOSSIBLE,
    },
    M.SEEN: {
        FactWhat.SEEN: STAY,
        FactWhat.FINAL: Become(M.FINAL),
        FactWhat.REORGED: Become(M.REVERTED),
        FactWhat.LOST: IMPOSSIBLE,
    },
    M.FINAL: {
        FactWhat.SEEN: STAY,
        FactWhat.FINAL: STAY,
        # Deeper than the confirmations: the indexer halts its network before it tells us.
        FactWhat.REORGED: IMPOSSIBLE,
        FactWhat.LOST: IMPOSSIBLE,
    },
    M.REVERTED: {
        FactWhat.SEEN: Become(M.SEEN),
        FactWhat.FINAL: IMPOSSIBLE,
        FactWhat.REORGED: STAY,
        FactWhat.LOST: Become(M.LOST),
    },
    M.LOST: {
        FactWhat.SEEN: Become(M.SEEN),
        FactWhat.FINAL: IMPOSSIBLE,
        FactWhat.REORGED: IMPOSSIBLE,
        FactWhat.LOST: STAY,
    },
}

INSTRUCTIONS: dict[I, dict[Told, Go | Stay | Impossible]] = {
    I.REQUESTED: {
        Told.MINED: Go(I.MINED),
        Told.SUCCEEDED: Go(I.DONE),
        Told.REVERTED: Go(I.REQUESTED),
        Told.REVERTED_OVERTAKEN: Go(I.FAILED),
        Told.REFUSED: Go(I.FAILED),
        Told.OVERTAKEN: Go(I.WITHDRAWN),
    },
    I.MINED: {
        Told.MINED: Go(I.MINED),
        Told.SUCCEEDED: Go(I.DONE),
        Told.REVERTED: Go(I.REQUESTED),
        Told.REVERTED_OVERTAKEN: Go(I.FAILED),
        # Its block left the chain, and somebody else's transaction took its nonce.
        Told.REFUSED: Go(I.FAILED),
        Told.OVERTAKEN: Go(I.WITHDRAWN),
    },
    I.DONE: {
        Told.MINED: STAY,
        Told.SUCCEEDED: STAY,
        Told.REVERTED: IMPOSSIBLE,
        Told.REVERTED_OVERTAKEN: IMPOSSIBLE,
        Told.REFUSED: IMPOSSIBLE,
        Told.OVERTAKEN: IMPOSSIBLE,
    },
    I.FAILED: {
        Told.MINED: IMPOSSIBLE,
        Told.SUCCEEDED: IMPOSSIBLE,
        Told.REVERTED: STAY,
        Told.REVERTED_OVERTAKEN: STAY,
        Told.REFUSED: STAY,
        Told.OVERTAKEN: IMPOSSIBLE,
    },
    I.WITHDRAWN: {
        Told.MINED: IMPOSSIBLE,
        Told.SUCCEEDED: IMPOSSIBLE,
        Told.REVERTED: IMPOSSIBLE,
        Told.REVERTED_OVERTAKEN: IMPOSSIBLE,
        Told.REFUSED: IMPOSSIBLE,
        Told.OVERTAKEN: IMPOSSIBLE,
    },
}


def decide_move(state: M | None, what: FactWhat) -> M | None:
    """The next state of a log, None for a fact that repeats. Raises ``IllegalMove``."""
    answer = MOVES[state][what]
    if isinstance(answer, Impossible):
        raise IllegalMove(f"{what} in state {state}")
    return answer.state if isinstance(answer, Become) else None


def decide(state: I, told: Told) -> I | None:
    """The next state of an instruction, None for what repeats. Raises ``IllegalMove``."""
    answer = INSTRUCTIONS[state][told]
    if isinstance(answer, Impossible):
        raise IllegalMove(f"{told.name} in state {state}")
    return answer.state if isinstance(answer, Go) else None


def outcome(payment: Payment, moves: Sequence[MoveOfMoney]) -> SessionFact | None:
    """What an emptied hold means for the session that its payment pays; None while it is not
    empty, or while any of it can still be taken back."""
    standing = [move for move in moves if move.stands]
    if payment.remaining or not payment.pays or payment.state is not PaymentState.FINAL:
        return None
    if any(move.state is not M.FINAL for move in standing):
        return None
    assert payment.hold is not None, "only what was held is asked about"
    return SessionFact.HOLD_CAPTURED if payment.hold.captured else SessionFact.HOLD_RETURNED
