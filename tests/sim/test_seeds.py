"""A hundred and fifty histories, each of at least a hundred payments, without a broken invariant.

I1 to I13 are judged while they go on and at their end (tests/sim/README.md says where each is).
"""

from __future__ import annotations

import pytest

from tests.sim.play import Player

SEEDS = 150
IN_ONE_TEST = 10
"""As many tests as all processes can share, each long enough to be worth its report."""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1, SEEDS + 1, IN_ONE_TEST))
def test_nothing_is_lost_or_doubled_whatever_fails(playing: Player, first: int) -> None:
    for seed in range(first, first + IN_ONE_TEST):
        outcome = playing.play(seed)
        steps = "\n".join(outcome.last_steps)
        again = f"./run sim --seed {seed} --seeds 1 --every 1"
        assert outcome.violation is None, f"{outcome.violation}\n{steps}\nagain: {again}"
        assert outcome.payments >= 100
