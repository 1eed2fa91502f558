"""How money that pays nothing as asked moves: one pure function of (state, fact), and its table.

The chain has the last word: what was resolved is open again when a reorganisation takes the
resolution back, and what was dismissed is resolved when it is given back all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gstable_server.sessions.unmatched.model import State


class Fact(Enum):
    """What can happen to it."""

    AWAITED = "its session may still take it"
    LEFT_OVER = "nothing takes it by itself"
    USED_UP = "all of it was taken, accepted or given back"
    TAKEN_BACK = "its block is no longer part of the chain"
    BEGUN = "its refund was prepared, or its return was staged"
    CAME_TO_NOTHING = "that refund or return will not happen"
    ACCEPT_ASKED = "somebody takes it as payment"
    DISMISS_ASKED = "somebody wants it out of the list"


@dataclass(frozen=True, slots=True)
class Move:
    """It goes to ``state``."""

    state: State


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing changes."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """What was asked cannot be done in this state, and why."""

    reason: str


Decision = Move | Stay | Refuse
STAY = Stay()
_EXPECTED = Refuse("is waited for: its session may still take it")
_RESOLVING = Refuse("is being refunded or returned already")
_RESOLVED = Refuse("is resolved")
_GONE = Refuse("has left its chain: there is nothing to decide about")

TABLE: dict[State, dict[Fact, Decision]] = {
    State.EXPECTED: {
        Fact.AWAITED: STAY,
        Fact.LEFT_OVER: Move(State.OPEN),
        Fact.USED_UP: Move(State.RESOLVED),
        Fact.TAKEN_BACK: Move(State.GONE),
        Fact.BEGUN: _EXPECTED,
        Fact.CAME_TO_NOTHING: STAY,
        Fact.ACCEPT_ASKED: _EXPECTED,
        Fact.DISMISS_ASKED: _EXPECTED,
    },
    State.OPEN: {
        Fact.AWAITED: Move(State.EXPECTED),
        Fact.LEFT_OVER: STAY,
        Fact.USED_UP: Move(State.RESOLVED),
        Fact.TAKEN_BACK: Move(State.GONE),
        Fact.BEGUN: Move(State.RESOLVING),
        Fact.CAME_TO_NOTHING: STAY,
        Fact.ACCEPT_ASKED: Move(State.RESOLVED),
        Fact.DISMISS_ASKED: Move(State.DISMISSED),
    },
    State.RESOLVING: {
        Fact.AWAITED: STAY,
        Fact.LEFT_OVER: STAY,
        Fact.USED_UP: Move(State.RESOLVED),
        Fact.TAKEN_BACK: Move(State.GONE),
        Fact.BEGUN: _RESOLVING,
        Fact.CAME_TO_NOTHING: Move(State.OPEN),
        Fact.ACCEPT_ASKED: _RESOLVING,
        Fact.DISMISS_ASKED: _RESOLVING,
    },
    State.RESOLVED: {
        Fact.AWAITED: Move(State.EXPECTED),
        Fact.LEFT_OVER: Move(State.OPEN),
        Fact.USED_UP: STAY,
        Fact.TAKEN_BACK: Move(State.GONE),
        Fact.BEGUN: _RESOLVED,
        Fact.CAME_TO_NOTHING: STAY,
        Fact.ACCEPT_ASKED: _RESOLVED,
        Fact.DISMISS_ASKED: _RESOLVED,
    },
    State.DISMISSED: {
        Fact.AWAITED: STAY,
        Fact.LEFT_OVER: STAY,
        Fact.USED_UP: Move(State.RESOLVED),
        Fact.TAKEN_BACK: Move(State.GONE),
        # Whoever thinks better of it may still give it back or take it.
        Fact.BEGUN: Move(State.RESOLVING),
        Fact.CAME_TO_NOTHING: STAY,
        Fact.ACCEPT_ASKED: Move(State.RESOLVED),
        Fact.DISMISS_ASKED: Refuse("is dismissed"),
    },
    State.GONE: {
        Fact.AWAITED: Move(State.EXPECTED),
        Fact.LEFT_OVER: Move(State.OPEN),
        Fact.USED_UP: Move(State.RESOLVED),
        Fact.TAKEN_BACK: STAY,
        Fact.BEGUN: _GONE,
        Fact.CAME_TO_NOTHING: STAY,
        Fact.ACCEPT_ASKED: _GONE,
        Fact.DISMISS_ASKED: _GONE,
    },
}


def decide(state: State, fact: Fact) -> Decision:
    """What ``fact`` means for money in ``state``."""
    return TABLE[state][fact]
