"""The comparison of senders of letters runs to its end and says its ratios."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.hooks.run import Backlog, Steady, Turn, summary
from bench.hooks.world import ENDPOINTS, Letters

RATIOS = {
    f"product/{other}, {hanging} % hang"
    for other in ("floor", "procrastinate")
    for hanging in (0, 10)
}


def test_ratios_are_taken_within_a_round_and_shown_by_their_median() -> None:
    def turns(speed: float, product: float) -> list[Turn]:
        made: list[Turn] = [
            Backlog(contender, hanging, speed * share, 100.0)
            for hanging in (0, 10)
            for contender, share in (("product", product), ("floor", 1.0), ("procrastinate", 0.1))
        ]
        return [*made, Steady("product", 0.01, 0.02, 0)]

    result = summary([turns(100, 0.5), turns(1000, 0.6), turns(10_000, 0.9)], (1.0, 2.0))
    assert result.ratios.keys() == RATIOS
    assert result.ratios["product/floor, 0 % hang"].median == pytest.approx(0.6)
    assert result.ratios["product/procrastinate, 10 % hang"].lowest == pytest.approx(5.0)
    assert result.p99["product"].highest == pytest.approx(0.02)


def test_letters_go_to_every_endpoint_by_turns() -> None:
    letters = Letters.new(2 * ENDPOINTS, 10)
    assert len(letters.healthy()) == 2 * (ENDPOINTS - 10)
    assert letters.shifted(5).endpoints[:2] == [5, 6]


@pytest.mark.slow
def test_a_short_run_measures_all_contenders(repository: Path) -> None:
    command = [sys.executable, "-m", "bench", "hooks", "--rounds", "1", "--seconds", "1"]
    done = subprocess.run(
        [*command, "--json"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["ratios"].keys() == RATIOS
    assert all(ratio["median"] > 0 for ratio in result["ratios"].values())
    assert result["p99"]["product"]["median"] > 0
