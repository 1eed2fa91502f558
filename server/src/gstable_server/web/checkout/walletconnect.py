"""A wallet of another device, connected through a relay (WalletConnect 2.0).

Such a wallet signs and sends, but it answers no questions about its networks. The page asks this
server instead: only what it rehearses a payment with, for the networks that are sold on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from gstable_server.chain.networks import Network, Networks
from gstable_server.chain.rpc import NodeRefused
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.tenant import Mode
from gstable_server.web.checkout.wire import NetworkInput


class Node(Protocol):
    """What answers JSON-RPC for one network. Raises ``Passing``, and ``NodeRefused`` for calls
    that would fail."""

    async def ask(self, questions: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """The answers as plain JSON."""


@dataclass(frozen=True, slots=True)
class Relay:
    """The operator's project at a relay, and who is asked about networks, by their names."""

    project_id: str
    url: str
    nodes: Mapping[str, Node] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """What a page may connect to besides this server."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    async def answer(self, networks: Networks, mode: Mode, asked: NetworkInput) -> dict[str, Any]:
        """``{"result": …}``, or ``{"problem": …}`` for a call that would fail; of the networks of
        the session's ``mode`` only.

        Raises ``Refused`` for what no page asks, and ``Passing``.
        """
        network = next((one for one in networks.of(mode) if one.chain_id == asked.chain_id), None)
        node = self.nodes.get(network.name) if network else None
        if network is None or node is None:
            raise Refused(Code.SESSION_NOT_FOUND)
        try:
            [result] = await node.ask([question(network, asked)])
        except NodeRefused as refusal:
            return {"problem": str(refusal)}
        return {"result": result}


def question(network: Network, asked: NetworkInput) -> tuple[str, list[Any]]:
    """The one question that ``asked`` may become: our contracts and tokens, at the newest block.
    Raises ``Refused`` for anything else."""
    match asked.method:
        case "eth_getBalance" if asked.account is not None:
            return asked.method, [asked.account, "latest"]
        case "eth_getTransactionReceipt" if asked.tx_hash is not None:
            return asked.method, [asked.tx_hash]
        case "eth_getBlockByNumber":
            return asked.method, ["latest", False]
    ours = {network.router, *(token.address for token in network.tokens)}
    if asked.to is None or bytes.fromhex(asked.to[2:]) not in ours:
        raise Refused(Code.SESSION_NOT_FOUND)
    call = {"to": asked.to, "data": asked.data or "0x"}
    return asked.method, [
        call if asked.account is None else {"from": asked.account, **call},
        "latest",
    ]
