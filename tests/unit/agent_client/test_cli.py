"""``gstable-agent``, against the platform over real HTTP where it pays, in this process else."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gstable import Request, Timeout
from gstable.agent import cli
from tests.unit.agent_client.platform import CHAIN_ID, DOOR, KEY, NODE, PRICE, Platform


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def environ(platform: Platform) -> Iterator[dict[str, str]]:
    """The settings of a platform that listens on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(None)

        def do_POST(self) -> None:
            self.answer(self.rfile.read(int(self.headers["content-length"])))

        def answer(self, body: bytes | None) -> None:
            url = NODE if self.path == "/node" else DOOR + self.path
            found = platform.handle(Request(self.command, url, {}, body, Timeout()))
            self.send_response(found.status)
            self.send_header("content-length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *_: Any) -> None:
            """Nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        base = f"http://127.0.0.1:{server.server_port}"
        yield {
            "GSTABLE_AGENT_KEY": KEY,
            "GSTABLE_AGENT_URL": base,
            "GSTABLE_AGENT_RPC": f"{CHAIN_ID}={base}/node",
        }
        server.shutdown()
        thread.join()


@pytest.fixture
def limits(tmp_path: Path) -> list[str]:
    record = str(tmp_path / "spent.json")
    return ["--per-payment", "3.009", "--per-day", "3.01", "--record", record]


@pytest.fixture
def real_clock(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's clock is the machine's, so the platform's is too."""
    import time

    platform.now = time.time() + 60


def test_a_link_is_shown_without_a_key(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = {"GSTABLE_AGENT_URL": environ["GSTABLE_AGENT_URL"]}
    assert cli.main(["get-link", "lnk_1", "--json"], url) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["tokens"][0]["amount_in_token"] == PRICE
    assert cli.main(["get-link", "lnk_1"], url) == 0
    assert "chain 137 USDC: 3.00 USD, 3009000 smallest units" in capsys.readouterr().out


@pytest.mark.usefixtures("real_clock")
def test_a_link_is_planned_and_paid_and_the_limit_is_remembered(
    platform: Platform,
    environ: dict[str, str],
    limits: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    paying = ["lnk_1", "--chain", str(CHAIN_ID), *limits]
    assert cli.main(["plan", *paying], environ) == 0
    assert "6. Send the payment of 3.009 USDC on Polygon" in capsys.readouterr().out
    assert platform.sent == []
    assert cli.main(["pay", *paying, "--json"], environ) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert (receipt["stage"], receipt["amount"]) == ("payment_completed", PRICE)
    assert cli.main(["pay-session", receipt["session_id"], *limits], environ) == 0
    assert f"session {receipt['session_id']}" in capsys.readouterr().out
    # A second payment would be more than the day's limit, also in another process
    assert cli.main(["pay", *paying], environ) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "more than 3.01 USD" in said.err


@pytest.mark.usefixtures("real_clock")
def test_who_is_not_completed_in_time_is_told_how_to_go_on(
    platform: Platform,
    environ: dict[str, str],
    limits: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    platform.completing = False
    arguments = ["pay", "lnk_1", "--chain", str(CHAIN_ID), "--patience", "1", *limits]
    assert cli.main(arguments, environ) == 1
    assert "go on with: pay-session sess_1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"GSTABLE_AGENT_KEY": ""}, "set GSTABLE_AGENT_KEY"),
        ({"GSTABLE_AGENT_KEY": "0x12"}, "must be a private key"),
        ({"GSTABLE_AGENT_RPC": "137"}, "GSTABLE_AGENT_RPC must be like"),
        ({"GSTABLE_AGENT_RPC": ""}, "no node is given for chain 137"),
        ({"GSTABLE_AGENT_URL": "nowhere"}, "base_url must be"),
    ],
)
def test_what_is_missing_is_one_line(
    environ: dict[str, str],
    limits: list[str],
    changed: dict[str, str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["pay", "lnk_1", "--chain", str(CHAIN_ID), *limits]
    assert cli.main(arguments, {**environ, **changed}) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said


@pytest.mark.parametrize(
    ("hidden", "words"),
    [("", "usage: gstable-agent"), ("eth_account", "needs eth-account: install gstable[agent]")],
)
def test_the_command_says_what_it_needs(hidden: str, words: str) -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(sys.argv.pop(1).split()))\n"
        "from gstable._agent_command import main\n"
        "sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, hidden, "pay"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("amount", ["", "-1", "1e3", "1,5", "0.0000001", "a"])
def test_a_limit_is_decimal_text_in_usd(
    environ: dict[str, str], amount: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["pay", "lnk_1", "--chain", "137", f"--per-payment={amount}", "--per-day", "1"]
    assert cli.main(arguments, environ) == 1
    assert "--per-payment must be USD" in capsys.readouterr().err
