"""The measurement of reads runs to its end and says what it measured; how fast that was is nobody's
promise here. What a page reads at most is judged in ``tests/unit/sessions/test_lists.py``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.percentiles import Result
from bench.reads.run import Export, Measured, table


def test_the_table_names_what_missed_the_aim() -> None:
    fast, slow = Result(1, 0.004, 0.006, 0.006), Result(1, 0.02, 0.08, 0.08)
    text = table(
        {"list": Measured(fast, fast, 1.0), "session": Measured(slow, fast, 5.0)},
        Export(1_000, 2.0, 3_000_000),
        (0.5, 0.7),
    )
    assert "aim, p99 of 50 ms: missed by session" in text
    assert "500 rows a second, 3.0 MB more memory" in text


@pytest.mark.slow
def test_a_short_run_measures_every_kind(repository: Path) -> None:
    command = [sys.executable, "-m", "bench", "reads", "--sessions", "500", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--json"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["reads"]) == 11
    assert all(one["ratio"] > 0 for one in result["reads"].values())
    assert result["export"]["rows"] == 500
