"""The tables of a hold, every cell of them."""

from __future__ import annotations

from itertools import product

import pytest

from gstable_server.chain.facts import FactWhat
from gstable_server.sessions.holds.machine import (
    INSTRUCTIONS,
    MOVES,
    IllegalMove,
    Told,
    decide,
    decide_move,
)
from gstable_server.sessions.holds.model import STANDING
from gstable_server.sessions.holds.model import InstructionState as I
from gstable_server.sessions.holds.model import MoveState as M

BUG, SAME = "impossible", "same"

# One row a state, one column a fact, in the order of ``FactWhat``.
EXPECTED_MOVES: dict[M | None, tuple[object, ...]] = {
    #         seen    final    reorged     lost
    None: (M.SEEN, BUG, BUG, BUG),
    M.SEEN: (SAME, M.FINAL, M.REVERTED, BUG),
    M.FINAL: (SAME, SAME, BUG, BUG),
    M.REVERTED: (M.SEEN, BUG, SAME, M.LOST),
    M.LOST: (M.SEEN, BUG, BUG, SAME),
}

# One row a state, one column a fact, in the order of ``Told``.
EXPECTED_INSTRUCTIONS: dict[I, tuple[object, ...]] = {
    #              mined    succeeded  reverted   … overtaken   refused  overtaken
    I.REQUESTED: (I.MINED, I.DONE, I.REQUESTED, I.FAILED, I.FAILED, I.WITHDRAWN),
    I.MINED: (I.MINED, I.DONE, I.REQUESTED, I.FAILED, I.FAILED, I.WITHDRAWN),
    I.DONE: (SAME, SAME, BUG, BUG, BUG, BUG),
    I.FAILED: (BUG, BUG, SAME, SAME, SAME, BUG),
    I.WITHDRAWN: (BUG, BUG, BUG, BUG, BUG, BUG),
}


@pytest.mark.parametrize(("state", "what"), list(product(EXPECTED_MOVES, FactWhat)))
def test_every_cell_of_a_log(state: M | None, what: FactWhat) -> None:
    expected = EXPECTED_MOVES[state][list(FactWhat).index(what)]
    if expected is BUG:
        with pytest.raises(IllegalMove):
            decide_move(state, what)
    else:
        assert decide_move(state, what) == (None if expected is SAME else expected)


@pytest.mark.parametrize(("state", "told"), list(product(I, Told)))
def test_every_cell_of_an_instruction(state: I, told: Told) -> None:
    expected = EXPECTED_INSTRUCTIONS[state][list(Told).index(told)]
    if expected is BUG:
        with pytest.raises(IllegalMove):
            decide(state, told)
    else:
        assert decide(state, told) == (None if expected is SAME else expected)


def test_every_state_and_fact_has_a_row_and_a_column() -> None:
    assert set(MOVES) == set(EXPECTED_MOVES) == {None, *M}
    assert all(set(row) == set(FactWhat) for row in MOVES.values())
    assert set(INSTRUCTIONS) == set(EXPECTED_INSTRUCTIONS) == set(I)
    assert all(set(row) == set(Told) for row in INSTRUCTIONS.values())
    assert all(len(row) == len(Told) for row in EXPECTED_INSTRUCTIONS.values())


def test_what_is_final_stands_for_ever() -> None:
    for what in FactWhat:
        try:
            assert decide_move(M.FINAL, what) is None
        except IllegalMove:
            continue
    assert M.FINAL in STANDING
