"""The simulation has teeth: it finds every bug that is planted on purpose, at the seed that is
written down for it or soon after.

Without a bug the same seeds break nothing (``test_seeds.py``). Every change of the product makes
other histories of the seeds. When one is not found any more, ``./run sim --find`` looks for all of
them and prints a new ``seeds.toml``; ``./run sim --find --bug NAME`` looks for one.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.sim.planting import all_bugs
from tests.sim.play import Player

FOUND: dict[str, int] = tomllib.loads(Path(__file__).with_name("seeds.toml").read_text())
SEEDS_MAX = 500
AHEAD = 20
"""So many seeds are played at most, because every change of the code shuffles all histories."""

SOON = 20
"""A bug that this many seeds do not show is too rare to look for each time: `./run sim --find`."""


def test_every_bug_has_its_seed() -> None:
    assert sorted(FOUND) == sorted(all_bugs())
    assert len(FOUND) >= 20
    assert max(FOUND.values()) <= SEEDS_MAX


@pytest.mark.slow
@pytest.mark.parametrize("bug", sorted(bug for bug, seed in FOUND.items() if seed <= SOON))
def test_a_planted_bug_is_found(playing: Player, bug: str) -> None:
    seeds = range(FOUND[bug], FOUND[bug] + AHEAD)
    found = any(playing.play(seed, bug=bug).violation is not None for seed in seeds)
    assert found, f"in none of {seeds}; look further: ./run sim --find --bug {bug} --seeds 500"
