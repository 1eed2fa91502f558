"""A merchant's developer at the terminal: listening, paying, looking at what was asked."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from standardwebhooks import Webhook
from typer.testing import CliRunner, Result

from gstable import GStableConnectionError, webhooks
from gstable_server.cli.app import app
from tests.e2e.shop import Shop
from tests.running import Running, eventually


class Receiver(ThreadingHTTPServer):
    """A developer's own server, which checks each letter in both ways before it believes it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiving)
        self.secret = ""
        self.events: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hooks"

    def receive(self, headers: dict[str, str], body: bytes) -> None:
        told = {
            webhooks.verify(body, half, self.secret).event_id
            for half in (_only("x-gstable-", headers), _only("webhook-", headers))
        }
        Webhook(b64encode(self.secret.encode()).decode()).verify(body, headers)
        self.events.extend(told)


def _only(prefix: str, headers: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in headers.items() if name.startswith(prefix)}


class _Receiving(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.receive({name.lower(): text for name, text in self.headers.items()}, body)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *parts: object) -> None:
        """Quiet."""


@contextmanager
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def environment(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a developer exports once."""
    for name, value in {
        "GSTABLE_API_KEY": running.api_key,
        "GSTABLE_BASE_URL": running.about["baseUrl"],
        "GSTABLE_NETWORKS_FILE": running.about["networksFile"],
        "GSTABLE_PAYER_KEY": running.payer_keys[0],
        "COLUMNS": "80",
    }.items():
        monkeypatch.setenv(name, value)


def typed(*words: str, typed_in: str | None = None) -> Result:
    return CliRunner().invoke(app, words, input=typed_in, catch_exceptions=False)


def objects(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@contextmanager
def started(complaints: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A verb that goes on until Ctrl-C, which it is given at the end; what it complains of stands
    in the file then."""
    command = [sys.executable, "-m", "gstable_server.cli", *words]
    with (
        complaints.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(180)
            finally:
                process.kill()


@pytest.mark.usefixtures("environment")
def test_listen_forwards_what_happens_and_survives_a_restart(shop: Shop, tmp_path: Path) -> None:
    # Given a developer who listens for products
    complaints = tmp_path / "complaints"
    with receiver() as local:
        words = ("--forward-to", local.url, "--events", "product.*", "--json")
        with started(complaints, "listen", *words) as listening:
            assert listening.stdout is not None
            local.secret = json.loads(listening.stdout.readline())["secret"]
            # When things happen, also while GStable's server is away
            made = [shop.client.product.create(name="Tea", common_prices=[1]).product_id]
            shop.client.product.archive(made[0])
            shop.running.kill("api")
            eventually(lambda: _answers(shop), "another api")
            made.append(shop.client.product.create(name="Cup", common_prices=[1]).product_id)
            shop.link()
            eventually(lambda: len(local.events) == 4, "four letters with both signatures", 20)
            told = [json.loads(listening.stdout.readline()) for _ in range(4)]
        # Then each is forwarded once, in the order of its object, and shown with its answer
        assert listening.returncode == 0
        assert "Traceback" not in complaints.read_text()
    assert local.events == [line["eventId"] for line in told]
    assert len(set(local.events)) == 4
    assert [line["objectId"] for line in told[:3]] == [made[0], made[0], made[1]]
    assert [line["eventType"] for line in told] == [
        "product.created", "product.archived", "product.created", "product.created"
    ]  # fmt: skip
    assert {line["statusCode"] for line in told} == {204}
    # And the server shows the same events
    [page] = objects(typed("events", "list", "--json"))
    assert set(local.events) <= {event["eventId"] for event in page["items"]}


def _answers(shop: Shop) -> bool:
    try:
        return bool(shop.client.account.list())
    except GStableConnectionError:
        return False


@pytest.mark.usefixtures("environment")
def test_a_link_and_a_session_are_paid_from_the_terminal(shop: Shop) -> None:
    # Given a link and a session
    link_url, session_id = shop.link(), shop.session()
    # When the link is paid without a question, and the session after one
    [paid] = objects(typed("pay", link_url, "--yes", "--json"))
    refused = typed("pay", session_id, "--way", "erc3009", typed_in="n\n")
    agreed = typed("pay", session_id, "--way", "erc3009", typed_in="y\n")
    # Then what would be signed was shown first, and nothing is paid twice
    assert refused.exit_code == 1
    assert refused.stderr.endswith("gstable: nothing was signed\n")
    wallet = shop.client.account.detail(shop.running.account_id).account_address
    for text in ("10.00 USDC (polygon::usdc)", "one signature (EIP-3009)", wallet):
        assert text in refused.stdout
    assert agreed.exit_code == 0, agreed.output
    assert session_id in agreed.stdout
    assert shop.reaches(paid["sessionId"], "completed").session.initiate_tx == paid["txHash"]
    shop.reaches(session_id, "completed")
    again = typed("pay", session_id, "--yes")
    assert again.exit_code == 1
    assert again.stderr.count("\n") == 1


@pytest.mark.usefixtures("environment")
def test_requests_are_in_the_log_and_events_are_sent_again(shop: Shop) -> None:
    # Given something that a program did
    product_id = shop.client.product.create(name="Tea", common_prices=[1]).product_id
    # When the developer looks at the log
    asked = eventually(lambda: _newest("logs", "tail", "-n", "1", path="/product/create"), "logged")
    # Then it is there, without what was sent
    assert (asked["method"], asked["status"], asked["code"]) == ("POST", 200, 0)
    assert "Tea" not in json.dumps(asked)
    # And its event can be shown, and delivered again under the same id
    [page] = objects(typed("events", "list", "--size", "1", "--json"))
    [event] = page["items"]
    assert event["payload"]["productData"]["productId"] == product_id
    eventually(lambda: _attempts(event["eventId"]) == 1, "delivered")
    assert typed("events", "resend", event["eventId"]).stdout == "1 delivery on the way\n"
    eventually(lambda: _attempts(event["eventId"]) == 2, "delivered again")
    assert product_id in typed("events", "show", event["eventId"]).stdout


def _newest(*words: str, path: str) -> Any:
    lines = objects(typed(*words, "--json"))
    return lines[-1] if lines and lines[-1]["path"] == path else None


def _attempts(event_id: str) -> int:
    [event] = objects(typed("events", "show", event_id, "--json"))
    return sum(delivery["attemptCount"] for delivery in event["deliveries"])


@pytest.mark.usefixtures("environment")
def test_the_paying_examples_of_the_reference_work(shop: Shop, repository: Path) -> None:
    # Given what docs/reference/cli.md tells to type, with objects of this installation
    text = (repository / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```sh\n(gstable trigger.*?)^```", text, re.MULTILINE | re.DOTALL)
    ours = {"lnk": shop.link().rsplit("/", 1)[1], "sess": shop.session()}
    shown = re.sub(r"\b(lnk|sess)_\w{32}", lambda found: ours[found[1]], block)
    # When it is typed
    for line in shown.splitlines():
        result = typed(*shlex.split(line)[1:])
        # Then it is done
        assert result.exit_code == 0, result.output
        assert "0x" in result.stdout
    shop.reaches(ours["sess"], "completed")
