"""A node over real HTTP that says what a test writes into its chain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from gstable_server.chain.facts import PaymentLog
from gstable_server.reconciliation.logs import PAID


def word(value: int | bytes) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


def hexed(value: bytes) -> str:
    return "0x" + value.hex()


def block_hash(number: int) -> bytes:
    return (number + 7_000_000).to_bytes(32, "big")


def a_log(
    address: bytes, topics: list[bytes], data: bytes, *, tx: bytes, block: int, index: int = 0
) -> dict[str, Any]:
    """A log as nodes write it."""
    return {
        "address": hexed(address),
        "topics": [hexed(topic) for topic in topics],
        "data": hexed(data),
        "blockNumber": hex(block),
        "blockHash": hexed(block_hash(block)),
        "transactionHash": hexed(tx),
        "logIndex": hex(index),
        "removed": False,
    }


def paid(router: bytes, log: PaymentLog) -> dict[str, Any]:
    """What the router writes for a direct payment."""
    topics = [PAID, log.session_key, word(log.payer), word(log.merchant)]
    data = (log.token, log.merchant_received, log.fee_received, log.fee_receiver)
    return a_log(
        router,
        topics,
        b"".join(word(each) for each in data),
        tx=log.tx_hash,
        block=log.block_number,
    )


@dataclass
class Node:
    """``asked`` are the questions so far; ``answers`` replace what it would say to a method."""

    chain_id: int
    logs: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, list[Any]]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        question = await request.json()
        method, params = question["method"], question["params"]
        self.asked.append((method, params))
        result = self.answers.get(method, self._say(method, params))
        return web.json_response({"jsonrpc": "2.0", "id": question["id"], "result": result})

    def _say(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_chainId":
                return hex(self.chain_id)
            case "eth_getBlockByNumber":
                return {"number": params[0], "hash": hexed(block_hash(int(params[0], 16)))}
            case "eth_getLogs":
                first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
                return [
                    log
                    for log in self.logs
                    if first <= int(log["blockNumber"], 16) <= last
                    and log["address"] in params[0]["address"]
                ]
            case "eth_getTransactionReceipt":
                logs = [log for log in self.logs if log["transactionHash"] == params[0]]
                return {"transactionHash": params[0], "status": "0x1", "logs": logs}
        raise AssertionError(f"{method} is not asked")

    def ranges(self) -> list[tuple[int, int]]:
        """The blocks that logs were asked of."""
        return [
            (int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16))
            for method, params in self.asked
            if method == "eth_getLogs"
        ]


@asynccontextmanager
async def listening(node: Node) -> AsyncIterator[Node]:
    app = web.Application()
    app.router.add_post("/", node.answer)
    server = TestServer(app)
    await server.start_server()
    node.url = str(server.make_url("/"))
    try:
        yield node
    finally:
        await server.close()
