"""The public conformance package for MCP, unmodified, against ``gstable mcp --http``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from gstable_server.cli.app import mcp

HERE = Path(__file__).parent
PROGRAM = Path("node_modules") / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
APPLY = {
    "dns-rebinding-protection",
    "ping",
    "prompts-list",
    "resources-list",
    "server-initialize",
    "server-sse-multiple-streams",
    "tools-call-error",
    "tools-call-simple-text",
    "tools-list",
}
SECONDS = 300


@pytest.fixture
def url() -> Iterator[str]:
    """A server on a free port, which says on its first line where it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gstable_server.cli", "mcp", "--http", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "GSTABLE_API_KEY": "sk_test_0123456789"},
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("MCP on http://127.0.0.1:"), line
        yield line.removeprefix("MCP on ").strip()
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)


@pytest.mark.slow
def test_every_scenario_that_applies_passes(url: str, repository: Path, tmp_path: Path) -> None:
    command = ["node", "--import", (HERE / "older_node.mjs").as_uri(), str(repository / PROGRAM)]
    options = ["--suite", "all", "--expected-failures", str(HERE / "not_ours.yml")]
    done = subprocess.run(
        [*command, "server", "--url", url, *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    passed = {
        line.removeprefix("✓ ").split(":")[0]
        for line in done.stdout.splitlines()
        if line.startswith("✓ ")
    }
    assert passed >= APPLY, done.stdout[-3000:]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "set GSTABLE_API_KEY"),
        ({"GSTABLE_API_KEY": "sk_test_1", "GSTABLE_BASE_URL": "nowhere"}, "base_url must be"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    variables: dict[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("GSTABLE_API_KEY", "GSTABLE_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(typer.Exit) as exit:
        mcp()
    said = capsys.readouterr()
    assert exit.value.exit_code == 1
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert words in said.err
