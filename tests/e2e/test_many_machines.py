"""Two machines over one database: neither disturbs the other, and one does the other's work.

How soon the other takes over is measured by tests/chaos; here it only has to.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from gstable import Client
from gstable_server.routing.model import Way
from tests.e2e.shop import Shop
from tests.running import Running, eventually

BEHIND = ("worker", "indexer", "executor")
"""The roles that work where nobody waits for an answer."""


@dataclass
class Machine:
    """Another process with all roles, and where it shows how it is."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int

    @property
    def monitor(self) -> str | None:
        """The operator's door, once the log names its port."""
        for line in self.log.read_text().splitlines():
            entry = json.loads(line) if line.startswith("{") else {}
            if entry.get("event") == "metrics are shown":
                return f"http://127.0.0.1:{entry['port']}"
        return None


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_text().rstrip("\0").split("\0")
    return dict(entry.split("=", 1) for entry in entries)


def is_listening(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def second(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A second machine of the shared installation: the same settings, all roles in one process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"GSTABLE_PORT": str(port), "GSTABLE_METRICS_PORT": "0"}
    log = tmp_path_factory.mktemp("second") / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "gstable_server.cli", "serve", "--role", "all"],
            env={**environment_of(running.role_pid("worker")), **own},
            stderr=errors,
        )
    machine = Machine(process, log, port)
    eventually(lambda: machine.monitor, "the second machine shows its metrics")
    eventually(lambda: is_listening(port), "the second machine takes requests")
    yield machine
    process.kill()
    process.wait()


@contextmanager
def frozen(running: Running, *roles: str) -> Iterator[None]:
    pids = [running.role_pid(role) for role in roles]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_ops_07_a_machine_goes_on_while_another_is_frozen(shop: Shop, second: Machine) -> None:
    # Given two machines, and a session that was opened at both under one idempotency key
    ids = set()
    for base in (shop.running.about["baseUrl"], f"http://127.0.0.1:{second.port}/api/v1"):
        with Client(shop.running.api_key, base_url=base) as client:
            at_one = Shop(shop.running, client)
            ids.add(at_one.session(idempotency_key="two-machines"))
    [session_id] = ids
    before = shop.balance()
    shop.is_told(session_id, "session.created")
    # When everything behind the first machine's API freezes, and the payer only signs
    with frozen(shop.running, *BEHIND):
        shop.pays(session_id, way=Way.ERC3009)
        # Then the second sends, reads, and tells of the payment
        shop.reaches(session_id, "completed")
    # and the first, awake again, does nothing of it twice
    shop.is_told(session_id, "session.created", "session.paid", "session.completed")
    assert shop.balance() - before == 9_980_000


def healthy(machine: Machine) -> dict[str, Any] | None:
    """What the door says; None while something is missing."""
    try:
        with urlopen(f"{machine.monitor}/health/ready") as answer:
            found: dict[str, Any] = json.load(answer)
    except HTTPError:
        return None
    return found if found["status"] == "ok" else None


def test_ops_14_the_operators_door_is_not_the_publics(second: Machine) -> None:
    found = eventually(lambda: healthy(second), "the second machine finds nothing missing")
    assert {"database", "network polygon", "indexer"} <= {one["name"] for one in found["checks"]}
    with urlopen(f"{second.monitor}/metrics") as answer:
        shown = answer.read().decode()
    assert 'gstable_network_halted{network="polygon"} 0.0' in shown
    assert "gstable_database_up 1.0" in shown
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"http://127.0.0.1:{second.port}/metrics")


def test_ops_07_a_machine_killed_in_the_middle_is_replaced(shop: Shop, second: Machine) -> None:
    # Given a payment that the second machine may have begun to send, read or tell
    session_id = shop.session()
    before = shop.balance()
    with frozen(shop.running, *BEHIND):
        shop.pays(session_id, way=Way.ERC3009)
        # When it is killed, and the first wakes up
        second.process.kill()
    # Then the first finishes it
    shop.reaches(session_id, "completed")
    shop.is_told(session_id, "session.created", "session.paid", "session.completed")
    assert shop.balance() - before == 9_980_000
