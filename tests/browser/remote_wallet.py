"""A wallet on another device: the program ``remote/peer.mjs`` speaks WalletConnect for it, and the
keys are here. With it runs the relay that both sides meet at."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.browser.wallet import InjectedWallet

PEER = Path(__file__).parent / "remote" / "peer.mjs"
NAME = "Lighthouse Wallet"
PATIENCE_SECONDS = 180.0


@dataclass
class RemoteWallet:
    """``keys`` signs what is asked for; ``declines`` the connection, or methods by their names."""

    process: subprocess.Popen[str]
    keys: InjectedWallet
    declines: set[str] = field(default_factory=set)
    told: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    proposals: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def scan(self, uri: str) -> None:
        """The owner points the device at a code."""
        self._do(pair=uri)

    def run(self) -> None:
        """Answer what comes, until the program ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if "proposal" in said:
                self._propose(said)
            elif "request" in said:
                self._answer(said)
            self.told.put(said)

    def _propose(self, said: dict[str, Any]) -> None:
        self.proposals.append(said["params"])
        if "connection" in self.declines:
            self._do(reject=said["proposal"])
            return
        wanted = said["params"]["optionalNamespaces"]["eip155"]
        accounts = [f"{chain}:{self.keys.address}" for chain in wanted["chains"]]
        namespaces = {"eip155": {**wanted, "accounts": accounts}}
        self._do(approve={"id": said["proposal"], "namespaces": namespaces})

    def _answer(self, said: dict[str, Any]) -> None:
        asked = said["params"]
        self.requests.append(asked)
        response: dict[str, Any] = {"id": said["request"], "jsonrpc": "2.0"}
        if asked["request"]["method"] in self.declines:
            response["error"] = {"code": 5000, "message": "User rejected."}
        else:
            self.keys.chain_id = int(asked["chainId"].partition(":")[2])
            response |= self.keys.answer(asked["request"])
        self._do(respond={"topic": said["topic"], "response": response})

    def _do(self, **act: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(act) + "\n")
        self.process.stdin.flush()


@contextmanager
def remote_wallet(keys: InjectedWallet, port: int) -> Iterator[RemoteWallet]:
    """The wallet and its relay on ``port`` of this machine, until the end."""
    node = shutil.which("node")
    assert node is not None, "no node: ./run setup installs it"
    with subprocess.Popen(
        [node, PEER, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        wallet = RemoteWallet(process, keys)
        thread = threading.Thread(target=wallet.run, daemon=True)
        thread.start()
        try:
            assert wallet.told.get(timeout=PATIENCE_SECONDS) == {"ready": port}
            yield wallet
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(PATIENCE_SECONDS)
            thread.join()
