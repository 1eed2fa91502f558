"""The comparison runs to its end and says its ratios; how fast it was is nobody's promise here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.sessions.run import Turn, summary

RATIOS = {
    "create product/floor",
    "create product/pgbench",
    "get product/floor",
    "get product/pgbench",
}


def test_ratios_are_taken_within_a_round_and_shown_by_their_median() -> None:
    def turns(speed: float, product: float) -> list[Turn]:
        return [
            Turn(task, contender, speed * share, None)
            for task in ("create", "get")
            for contender, share in (("product", product), ("floor", 1.0), ("pgbench", 2.0))
        ]

    result = summary([turns(100, 0.5), turns(1000, 0.6), turns(10, 0.9)])
    assert result.ratios.keys() == RATIOS
    assert result.ratios["create product/floor"].median == pytest.approx(0.6)
    assert result.ratios["create product/floor"].lowest == pytest.approx(0.5)
    assert result.ratios["get product/pgbench"].highest == pytest.approx(0.45)


@pytest.mark.slow
def test_a_short_run_measures_all_contenders(repository: Path) -> None:
    command = [sys.executable, "-m", "bench", "sessions", "--rounds", "1", "--seconds", "1"]
    done = subprocess.run(
        [*command, "--json"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["ratios"].keys() == RATIOS
    assert all(ratio["median"] > 0 for ratio in result["ratios"].values())
    assert result["cpu_micros"]["create product"]["median"] > 0


def test_an_unknown_bench_is_refused(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "nothing"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no 'nothing'" in done.stderr
    assert "sessions" in done.stdout
