"""The transition table of a refund, every cell of it."""

from __future__ import annotations

from itertools import product

import pytest

from gstable_server.sessions.refunds.machine import (
    TABLE,
    Fact,
    IllegalMove,
    Move,
    Refuse,
    Stay,
    decide,
)
from gstable_server.sessions.refunds.model import COUNTED
from gstable_server.sessions.refunds.model import RefundState as S

BUG, SAME, NO = "impossible", "same", "refused"

# One row a state, one column a fact, in the order of ``Fact``.
EXPECTED: dict[S, tuple[object, ...]] = {
    #             seen     final        reverted    time       cancel  approved  unapproved reverted
    S.AWAITING: (S.SEEN, BUG, BUG, S.EXPIRED, S.CANCELLED, S.PREPARED, BUG),
    S.PREPARED: (S.SEEN, BUG, BUG, S.EXPIRED, S.CANCELLED, NO, BUG),
    S.SEEN: (BUG, S.COMPLETED, S.PREPARED, SAME, NO, NO, S.AWAITING),
    S.COMPLETED: (BUG, SAME, BUG, SAME, NO, NO, BUG),
    S.EXPIRED: (S.SEEN, BUG, BUG, SAME, NO, NO, BUG),
    S.CANCELLED: (S.SEEN, BUG, BUG, SAME, NO, NO, BUG),
}


@pytest.mark.parametrize(("state", "fact"), list(product(S, Fact)))
def test_every_cell_of_the_table(state: S, fact: Fact) -> None:
    expected = EXPECTED[state][list(Fact).index(fact)]
    if expected is BUG:
        with pytest.raises(IllegalMove):
            decide(state, fact)
        return
    answer = decide(state, fact)
    if isinstance(expected, S):
        assert answer == Move(expected)
    elif expected is NO:
        assert isinstance(answer, Refuse)
        assert answer.reason.startswith("names a refund ")
    else:
        assert answer == Stay()


def test_every_state_and_fact_has_a_row_and_a_column() -> None:
    assert set(TABLE) == set(EXPECTED) == set(S)
    assert all(set(row) == set(Fact) for row in TABLE.values())
    assert all(len(row) == len(Fact) for row in EXPECTED.values())


def test_whatever_is_on_the_chain_counts() -> None:
    """No fact about a transfer leads to a state whose amount is free again."""
    for state, fact in product(
        S, (Fact.TRANSFER_SEEN, Fact.TRANSFER_FINAL, Fact.TRANSFER_REVERTED)
    ):
        try:
            answer = decide(state, fact)
        except IllegalMove:
            continue
        assert (answer.state if isinstance(answer, Move) else state) in COUNTED
