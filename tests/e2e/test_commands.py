"""The two commands that a newcomer runs: the demonstration, and an installation to play with."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

RESULT = {
    "productId": "prd_",
    "accountId": "acc_",
    "linkId": "lnk_",
    "linkUrl": "http://127.0.0.1:",
    "sessionId": "sess_",
    "paymentUrl": "http://127.0.0.1:",
    "sourceTx": "0x",
    "merchantReceived": "9980000",
    "feeReceived": "20000",
}


def test_a_newcomer_runs_the_demonstration(repository: Path, tmp_path: Path) -> None:
    # Given the files of this repository and nothing that was set up for the tests
    clone = tmp_path / "clone"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True
    )
    for name in tracked.stdout.rstrip("\0").split("\0"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository / name, clone / name)
    # When the one command is run
    done = subprocess.run(
        ["./run", "demo", "--json"], cwd=clone, capture_output=True, text=True, check=False
    )
    # Then it sets up what it needs, and verifies every step
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert {name: result[name][: len(start)] for name, start in RESULT.items()} == RESULT
    assert {"session.created", "session.paid", "session.completed"} <= set(result["events"])
    assert result["seconds"] > 0
    assert "All 16 steps verified" in done.stderr


def test_a_port_in_use_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "gstable_server.cli", "dev", "--port", str(port)],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"port {port} is in use" in done.stderr


def test_serve_names_the_settings_that_are_missing() -> None:
    bare = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "gstable_server.cli", "serve"],
        capture_output=True,
        text=True,
        env=bare,
    )
    assert done.returncode == 1
    assert "DATABASE_URL" in done.stderr
    assert "GSTABLE_ORDER_SIGNING_KEY" in done.stderr
    assert done.stderr.count("\n") == 1
