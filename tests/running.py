"""A whole installation as its users start it: ``gstable dev`` in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from gstable import Client
from gstable_server.chain.networks import Networks
from gstable_server.chain.networks_toml import load_networks

WAIT_SECONDS = 180.0
"""A ceiling: what is waited for comes in seconds, on a machine that has nothing else to do."""

LOOK_SECONDS = 0.1


@dataclass
class Running:
    """A started installation and what its first line said."""

    process: subprocess.Popen[bytes]
    about: dict[str, Any]

    @property
    def base_url(self) -> str:
        """The server's address, without a path."""
        return str(self.about["baseUrl"]).removesuffix("/api/v1")

    @property
    def api_key(self) -> str:
        return str(self.about["apiKey"])

    @property
    def account_id(self) -> str:
        return str(self.about["accountId"])

    @property
    def payer_keys(self) -> list[str]:
        """Private keys of funded payers, hexadecimal without prefix."""
        return [key.removeprefix("0x") for key in self.about["payerPrivateKeys"]]

    @property
    def merchant_key(self) -> str:
        """The private key of the wallet that the demo merchant is paid to, likewise."""
        return str(self.about["merchantPrivateKey"]).removeprefix("0x")

    @property
    def networks(self) -> Networks:
        """The local chains as the server sees them."""
        return load_networks(Path(self.about["networksFile"]))

    def client(self) -> Client:
        """The SDK, with only the base addresses changed."""
        return Client(
            self.api_key,
            base_url=self.about["baseUrl"],
            public_base_url=self.about["publicBaseUrl"],
        )

    def letters(self, object_id: str) -> list[dict[str, Any]]:
        """The verified webhooks about an object, one per event, in their order."""
        with urlopen(self.about["webhookInbox"]) as response:
            arrived = json.load(response)
        about = {
            letter["body"]["eventId"]: letter["body"]
            for letter in arrived
            if letter["verified"] and object_id in json.dumps(letter["body"]["payload"])
        }
        return sorted(about.values(), key=lambda body: int(body["sequence"]))

    def told(self, object_id: str) -> list[str]:
        """The types of the verified webhooks about an object, in their order."""
        return [letter["eventType"] for letter in self.letters(object_id)]

    def role_pid(self, role: str) -> int:
        """The process that does ``role``; one that was ended is soon replaced, and waited for."""

        def found() -> int | None:
            children = _children(self.process.pid)
            return next((pid for pid in children if _command_line(pid)[-1:] == [role]), None)

        pid: int = eventually(found, f"a {role} runs")
        return pid

    def kill(self, role: str) -> int:
        """End a role without warning; returns the process that is gone."""
        pid = self.role_pid(role)
        os.kill(pid, signal.SIGKILL)
        return pid

    def rpc(self, network: str, method: str, *params: object) -> Any:
        """Ask a local chain's node."""
        url = self.networks.network(network).rpc_urls[0]
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        request = Request(url, json.dumps(question).encode(), {"content-type": "application/json"})
        with urlopen(request) as response:
            answer = json.load(response)
        assert "error" not in answer, answer
        return answer["result"]

    def end(self, number: signal.Signals) -> None:
        """End it by a signal, and see everything that it started gone."""
        started = _descendants(self.process.pid)
        self.process.send_signal(number)
        self.process.wait(WAIT_SECONDS)
        eventually(lambda: not any(map(_is_running, started)), f"no process of {started} is left")


def _descendants(pid: int) -> list[int]:
    try:
        children = _children(pid)
    except (FileNotFoundError, ProcessLookupError):
        return []
    return children + [below for child in children for below in _descendants(child)]


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second when it ends while we read
        return False


def _children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in children.split()]


def _command_line(pid: int) -> list[str]:
    """The arguments of a process; none of one that ended since it was listed."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


@contextmanager
def running_stack(*arguments: str, **environment: str) -> Iterator[Running]:
    """Start ``gstable dev`` with ``GSTABLE_…`` settings; at the end it is ended as by Ctrl-C, and
    no process of it may be left."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gstable_server.cli",
                "dev",
                "--port",
                "0",
                "--json",
                "--no-robot",
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **environment},
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                errors.seek(0)
                raise AssertionError(f"gstable dev did not start: {errors.read().decode()}")
            yield Running(process, json.loads(line))
        finally:
            if process.poll() is None:
                Running(process, {}).end(signal.SIGINT)
            if process.stdout is not None:
                process.stdout.close()


def eventually(condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Wait until ``condition`` holds and return its value; fail naming ``what`` it was."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(LOOK_SECONDS)


async def eventually_async(
    condition: Callable[[], Awaitable[Any]], what: str, seconds: float = WAIT_SECONDS
) -> Any:
    """``eventually`` for what has to be awaited."""
    deadline = time.monotonic() + seconds
    while True:
        value = await condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(LOOK_SECONDS / 10)
