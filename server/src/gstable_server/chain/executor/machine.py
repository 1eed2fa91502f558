"""What an observation means for an intent: pure, with the whole table in sight."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from gstable_server.chain.executor.model import State


class Fact(StrEnum):
    """What can happen to an intent."""

    WITHDRAWN = "withdrawn"
    """Whoever wanted it wants it no more."""
    POSTPONED = "postponed"
    """It cannot be signed now: the call would revert, money or a fair price is lacking."""
    EXPIRED = "expired"
    """Its deadline has passed."""
    SIGNED = "signed"
    """A nonce was reserved and the signed bytes were stored."""
    REPRICED = "repriced"
    """Bytes with the same nonce and higher fees were stored."""
    ACCEPTED = "accepted"
    """A node has the newest bytes, or says that their nonce is used."""
    INCLUDED = "included"
    """One of its transactions is in a canonical block."""
    TAKEN_BACK = "taken back"
    """Another block stands where its block was, without any of its transactions."""
    SUCCEEDED = "succeeded"
    """Its block is deep, and the call did what it should."""
    REVERTED = "reverted"
    """Its block is deep, and the call reverted."""
    REPLACED = "replaced"
    """A deep block holds a foreign transaction of the same account with its nonce."""


_LATE = None
"""Late or repeated news: another executor was faster, or a node is slower. Nothing is done."""

_TABLE: dict[State, dict[Fact, State | None]] = {
    State.QUEUED: {
        Fact.WITHDRAWN: State.WITHDRAWN,
        Fact.POSTPONED: State.QUEUED,
        Fact.EXPIRED: State.REFUSED,
        Fact.SIGNED: State.SIGNED,
        # Everything below can only be heard late, of a reservation that was replaced.
        Fact.REPRICED: _LATE,
        Fact.ACCEPTED: _LATE,
        Fact.INCLUDED: _LATE,
        Fact.TAKEN_BACK: _LATE,
        Fact.SUCCEEDED: _LATE,
        Fact.REVERTED: _LATE,
        Fact.REPLACED: _LATE,
    },
    State.SIGNED: {
        Fact.WITHDRAWN: _LATE,
        Fact.POSTPONED: _LATE,
        Fact.EXPIRED: _LATE,
        Fact.SIGNED: _LATE,
        Fact.REPRICED: State.REPRICED,
        Fact.ACCEPTED: State.SENT,
        Fact.INCLUDED: State.MINED,
        Fact.TAKEN_BACK: _LATE,
        Fact.SUCCEEDED: _LATE,
        Fact.REVERTED: _LATE,
        Fact.REPLACED: State.QUEUED,
    },
    State.REPRICED: {
        Fact.WITHDRAWN: _LATE,
        Fact.POSTPONED: _LATE,
        Fact.EXPIRED: _LATE,
        Fact.SIGNED: _LATE,
        Fact.REPRICED: State.REPRICED,
        Fact.ACCEPTED: State.SENT,
        Fact.INCLUDED: State.MINED,
        Fact.TAKEN_BACK: _LATE,
        Fact.SUCCEEDED: _LATE,
        Fact.REVERTED: _LATE,
        Fact.REPLACED: State.QUEUED,
    },
    State.SENT: {
        Fact.WITHDRAWN: _LATE,
        Fact.POSTPONED: _LATE,
        Fact.EXPIRED: _LATE,
        Fact.SIGNED: _LATE,
        Fact.REPRICED: State.REPRICED,
        Fact.ACCEPTED: _LATE,
        Fact.INCLUDED: State.MINED,
        Fact.TAKEN_BACK: _LATE,
        Fact.SUCCEEDED: _LATE,
        Fact.REVERTED: _LATE,
        Fact.REPLACED: State.QUEUED,
    },
    State.MINED: {
        Fact.WITHDRAWN: _LATE,
        Fact.POSTPONED: _LATE,
        Fact.EXPIRED: _LATE,
        Fact.SIGNED: _LATE,
        Fact.REPRICED: _LATE,
        Fact.ACCEPTED: _LATE,
        Fact.INCLUDED: State.MINED,  # in another block than before
        Fact.TAKEN_BACK: State.SENT,
        Fact.SUCCEEDED: State.FINAL,
        Fact.REVERTED: State.FAILED,
        Fact.REPLACED: _LATE,  # its block is judged first: only what is in none is replaced
    },
    # An outcome is never taken back, whatever a node says afterwards. One that lacks a transaction
    # that was final is behind, and nothing is signed on its word (``moves.sign``).
    State.FINAL: dict.fromkeys(Fact, _LATE),
    State.FAILED: dict.fromkeys(Fact, _LATE),
    State.REFUSED: dict.fromkeys(Fact, _LATE),
    State.WITHDRAWN: dict.fromkeys(Fact, _LATE),
}

UNMINED = (State.SIGNED, State.REPRICED, State.SENT)
"""A nonce is taken and may wait in the pools of nodes."""
IN_FLIGHT = (*UNMINED, State.MINED)
"""A nonce is taken and the outcome is open."""


def decide(state: State, fact: Fact) -> State | None:
    """The state to move to; None when nothing is to be done."""
    return _TABLE[state][fact]


def is_deep(block_number: int, head: int, confirmations: int) -> bool:
    """Whether a block is final: the newest block has one confirmation."""
    return head - block_number + 1 >= confirmations


def next_nonce(waiting: int, ours: Collection[int]) -> int:
    """The nonce for the next transaction of an account.

    ``waiting`` is what a node says comes next: mined transactions and the unbroken row of those
    in its pool, foreign ones included. ``ours`` are the nonces that we reserved, whatever became
    of them. Both are needed: the node does not know what was signed and not sent, or what it has
    forgotten; we do not know what somebody else sent with our key. The lowest one that neither
    side uses is, while all is well, max(our newest + 1, waiting). When a foreign transaction that
    we had stepped over was dropped, it is the gap, which holds up everything behind it.
    """
    nonce = waiting
    while nonce in ours:  # bounded: by the number of our reservations
        nonce += 1
    return nonce


def back_off_seconds(tries: int) -> float:
    """How long a postponed intent waits after its ``tries``-th try, from 1: a quarter of a second
    at first, because what it waits for is often a transaction of the next block."""
    return min(0.25 * 1.6 ** min(tries - 1, 20), 15.0)
