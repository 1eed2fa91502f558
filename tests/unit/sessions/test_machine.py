"""The transition table of a session, every cell of it (spec 6)."""

from __future__ import annotations

from itertools import product

import pytest

from gstable_server.kernel.errors import Code
from gstable_server.sessions.machine import Fact, IllegalMove, Move, Refuse, Stay, decide
from gstable_server.sessions.model import SessionState as S

BUG = "impossible"
SAME = "same"

# One row a state, one column a fact, in the order of ``Fact``. A state or an error code.
TABLE: dict[S, tuple[object, ...]] = {
    #                     order asked          cancel asked               time passed
    S.INITIALIZED: (SAME, S.CANCELLED, S.EXPIRED, S.PAID, BUG, BUG, BUG),
    S.PAID: (
        Code.SESSION_PAID,
        Code.SESSION_PAID,
        SAME,
        SAME,
        S.COMPLETED,
        S.SETTLEMENT_PENDING,
        BUG,
    ),
    S.SETTLING: (
        Code.SESSION_SETTLING,
        Code.SESSION_SETTLING,
        SAME,
        SAME,
        S.COMPLETED,
        S.SETTLEMENT_PENDING,
        BUG,
    ),
    S.SETTLEMENT_PENDING: (
        Code.SESSION_SETTLING,
        Code.SESSION_SETTLING,
        SAME,
        S.SETTLING,
        BUG,
        SAME,
        S.INITIALIZED,
    ),
    S.COMPLETED: (Code.SESSION_PAID, Code.SESSION_SETTLING, SAME, SAME, SAME, BUG, BUG),
    S.EXPIRED: (Code.SESSION_EXPIRED, Code.SESSION_EXPIRED, SAME, S.PAID, BUG, BUG, BUG),
    S.CANCELLED: (Code.SESSION_CANCELLED, Code.SESSION_CANCELLED, SAME, BUG, BUG, BUG, BUG),
}
FACTS = list(Fact)

EVENTS = {
    (S.INITIALIZED, S.CANCELLED): "session.cancelled",
    (S.INITIALIZED, S.EXPIRED): "session.expired",
    (S.INITIALIZED, S.PAID): "session.paid",
    (S.EXPIRED, S.PAID): "session.paid",
    (S.PAID, S.COMPLETED): "session.completed",
    (S.INITIALIZED, S.COMPLETED): "session.completed",
    (S.EXPIRED, S.COMPLETED): "session.completed",
    (S.SETTLING, S.COMPLETED): "session.completed",
    (S.PAID, S.SETTLEMENT_PENDING): "session.settlement_pending",
    (S.SETTLING, S.SETTLEMENT_PENDING): "session.settlement_pending",
    (S.SETTLEMENT_PENDING, S.SETTLING): "session.settling",
    (S.SETTLEMENT_PENDING, S.INITIALIZED): "session.payment_reverted",
    (S.SETTLEMENT_PENDING, S.COMPLETED): "session.completed",
    (S.PAID, S.SETTLING): "session.settling",
    (S.PAID, S.INITIALIZED): "session.payment_reverted",
    (S.SETTLING, S.INITIALIZED): "session.payment_reverted",
    (S.PAID, S.CANCELLED): "session.cancelled",
    (S.SETTLING, S.CANCELLED): "session.cancelled",
}


# The same for payments that cross to another network.
#                              interrupted            resumed      settled       credit withdrawn
TABLE[S.INITIALIZED] += (BUG, BUG, BUG, BUG, BUG)
TABLE[S.PAID] += (S.SETTLING, S.SETTLEMENT_PENDING, SAME, BUG, S.INITIALIZED)
TABLE[S.SETTLING] += (SAME, S.SETTLEMENT_PENDING, SAME, S.COMPLETED, S.INITIALIZED)
TABLE[S.SETTLEMENT_PENDING] += (SAME, SAME, S.SETTLING, S.COMPLETED, S.INITIALIZED)
TABLE[S.COMPLETED] += (SAME, BUG, SAME, SAME, BUG)
TABLE[S.EXPIRED] += (BUG, BUG, BUG, BUG, BUG)
TABLE[S.CANCELLED] += (BUG, BUG, BUG, BUG, BUG)

# The same for payments that are held: all is captured or back, or all is back.
TABLE[S.INITIALIZED] += (BUG, BUG)
TABLE[S.PAID] += (S.COMPLETED, S.CANCELLED)
TABLE[S.SETTLING] += (S.COMPLETED, S.CANCELLED)
TABLE[S.SETTLEMENT_PENDING] += (BUG, BUG)
TABLE[S.COMPLETED] += (SAME, BUG)
TABLE[S.EXPIRED] += (BUG, BUG)
TABLE[S.CANCELLED] += (BUG, SAME)

# Unusual money that the merchant takes as payment: only what is open or expired is paid by it.
for one, row in TABLE.items():
    row += (S.COMPLETED if one in {S.INITIALIZED, S.EXPIRED} else SAME,)
    TABLE[one] = row


@pytest.mark.parametrize(("state", "fact"), list(product(S, Fact)))
def test_every_cell_of_the_table(state: S, fact: Fact) -> None:
    expected = TABLE[state][FACTS.index(fact)]
    if expected is BUG:
        with pytest.raises(IllegalMove):
            decide(state, fact, signed_once=False)
        return
    answer = decide(state, fact, signed_once=False)
    if isinstance(expected, S):
        assert answer == Move(expected, EVENTS[state, expected])
    elif isinstance(expected, Code):
        assert answer == Refuse(expected)
    else:
        assert answer == Stay()


def test_every_state_and_fact_has_a_row_and_a_column() -> None:
    assert set(TABLE) == set(S)
    assert all(len(row) == len(FACTS) for row in TABLE.values())


def test_a_signed_session_cannot_be_cancelled() -> None:
    answer = decide(S.INITIALIZED, Fact.CANCEL_REQUESTED, signed_once=True)
    assert answer == Refuse(Code.SESSION_NOT_CANCELLABLE)


@pytest.mark.parametrize("fact", [fact for fact in Fact if fact is not Fact.CANCEL_REQUESTED])
@pytest.mark.parametrize("state", list(S))
def test_having_signed_changes_nothing_but_cancelling(state: S, fact: Fact) -> None:
    def outcome(*, signed_once: bool) -> object:
        try:
            return decide(state, fact, signed_once=signed_once)
        except IllegalMove:
            return BUG

    assert outcome(signed_once=True) == outcome(signed_once=False)
