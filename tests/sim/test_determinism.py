"""The same seed is the same history, step for step, in any process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.play import Player

SEEDS = (3, 4)


@pytest.mark.slow
def test_a_seed_has_the_same_trace_in_another_process(playing: Player, repository: Path) -> None:
    here = {seed: playing.play(seed).trace_hash for seed in SEEDS}
    command = [sys.executable, "-m", "tests.sim", "--seed", "3", "--seeds", "2", "--json"]
    # Sets of texts have another order there.
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    printed = subprocess.run(
        command, cwd=repository, env=environment, capture_output=True, text=True, check=True
    )
    there = [json.loads(line) for line in printed.stdout.splitlines()]
    assert {one["seed"]: one["traceHash"] for one in there} == here


def test_other_seeds_have_other_histories(playing: Player) -> None:
    first, second = (playing.play(seed) for seed in SEEDS)
    assert first.trace_hash != second.trace_hash
