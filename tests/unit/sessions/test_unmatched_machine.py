"""The transition table of unmatched money, every cell of it."""

from __future__ import annotations

from itertools import product

import pytest

from gstable_server.sessions.unmatched.machine import TABLE, Fact, Move, Refuse, Stay, decide
from gstable_server.sessions.unmatched.model import State

S, SAME = State, Stay()
WAITED = "is waited for: its session may still take it"
UNDER_WAY = "is being refunded or returned already"
RESOLVED = "is resolved"
GONE = "has left its chain: there is nothing to decide about"

# One row a state, one column a fact, in the order of ``Fact``; a text is why it is refused.
EXPECTED: dict[S, tuple[S | Stay | str, ...]] = {
    #              awaited     left over  used up     taken back  begun        came to nothing
    #              accept asked, dismiss asked
    S.EXPECTED: (SAME, S.OPEN, S.RESOLVED, S.GONE, WAITED, SAME, WAITED, WAITED),
    S.OPEN: (S.EXPECTED, SAME, S.RESOLVED, S.GONE, S.RESOLVING, SAME, S.RESOLVED, S.DISMISSED),
    S.RESOLVING: (SAME, SAME, S.RESOLVED, S.GONE, UNDER_WAY, S.OPEN, UNDER_WAY, UNDER_WAY),
    S.RESOLVED: (S.EXPECTED, S.OPEN, SAME, S.GONE, RESOLVED, SAME, RESOLVED, RESOLVED),
    S.DISMISSED: (
        *(SAME, SAME, S.RESOLVED, S.GONE),
        *(S.RESOLVING, SAME, S.RESOLVED, "is dismissed"),
    ),
    S.GONE: (S.EXPECTED, S.OPEN, S.RESOLVED, SAME, GONE, SAME, GONE, GONE),
}


@pytest.mark.parametrize(("state", "fact"), list(product(S, Fact)))
def test_every_cell_of_the_table(state: S, fact: Fact) -> None:
    expected = EXPECTED[state][list(Fact).index(fact)]
    answer = decide(state, fact)
    if isinstance(expected, S):
        assert answer == Move(expected)
    elif isinstance(expected, str):
        assert answer == Refuse(expected)
    else:
        assert answer == expected


def test_every_state_and_fact_has_a_row_and_a_column() -> None:
    assert set(TABLE) == set(EXPECTED) == set(S)
    assert all(set(row) == set(Fact) for row in TABLE.values())
    assert all(len(row) == len(Fact) for row in EXPECTED.values())
