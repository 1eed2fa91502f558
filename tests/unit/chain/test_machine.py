"""The whole table: every state of a payment with everything that can happen to it."""

from __future__ import annotations

import itertools

import pytest

from gstable_server.chain.facts import FactWhat
from gstable_server.chain.machine import (
    Answer,
    Happening,
    State,
    decide,
    is_deep,
    is_overdue,
)

STATES: tuple[State, ...] = (None, *FactWhat)
NOTHING = Answer.NOTHING

EXPECTED: dict[State, tuple[FactWhat | Answer, ...]] = {
    # state: mined, deep, unmined, overdue
    None: (FactWhat.SEEN, NOTHING, NOTHING, NOTHING),
    FactWhat.SEEN: (Answer.CONTRADICTION, FactWhat.FINAL, FactWhat.REORGED, NOTHING),
    FactWhat.FINAL: (Answer.CONTRADICTION, NOTHING, Answer.HALT, NOTHING),
    FactWhat.REORGED: (FactWhat.SEEN, NOTHING, NOTHING, FactWhat.LOST),
    FactWhat.LOST: (FactWhat.SEEN, NOTHING, NOTHING, NOTHING),
}


@pytest.mark.parametrize(("state", "happening"), list(itertools.product(STATES, Happening)))
def test_every_pair_has_its_written_answer(state: State, happening: Happening) -> None:
    assert decide(state, happening) is EXPECTED[state][list(Happening).index(happening)]


@pytest.mark.parametrize("confirmations", [1, 2, 3, 64])
def test_payment_is_final_exactly_when_confirmed_so_often(confirmations: int) -> None:
    block = 100
    deep = [tip for tip in range(block, block + 200) if is_deep(block, tip, confirmations)]
    assert deep[0] == block + confirmations - 1


@pytest.mark.parametrize("confirmations", [1, 2, 3, 64])
def test_payment_gets_at_least_so_many_blocks_to_be_mined_again(confirmations: int) -> None:
    block = 100
    # The highest tip at which the payment of `block` could still be taken back.
    old_tip = max(
        [tip for tip in range(block, block + 200) if not is_deep(block, tip, confirmations)],
        default=block,
    )
    overdue = next(tip for tip in range(block, 1000) if is_overdue(block, tip, confirmations))
    assert overdue - old_tip >= confirmations
