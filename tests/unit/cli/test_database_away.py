"""A database that is away is told in one line, and is not taken for a finding."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gstable_server.cli.app import app
from tests.unit.test_monitoring import LIVE

AWAY = {"DATABASE_URL": "postgresql://gstable:kept-for-us@127.0.0.1:1/gstable"}


@pytest.mark.parametrize("words", [["ledger", "verify", "--json"], ["reconcile"], ["migrate"]])
def test_exit_code_2_says_that_nothing_was_looked_at(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "networks.toml"
    file.write_text(LIVE.format(hash="ab" * 32))
    places = {**AWAY, "GSTABLE_NETWORKS_FILE": str(file)}
    done = CliRunner().invoke(app, words, env=places)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    [line] = done.stderr.splitlines()
    assert line.startswith("gstable: database: ")
    assert "kept-for-us" not in line
