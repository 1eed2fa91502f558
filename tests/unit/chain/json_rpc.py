"""A provider on a real socket, honest until a test tells it otherwise."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

CHAIN_ID = 1337001
Reply = Callable[[web.Request, Any], Awaitable[web.StreamResponse]]


def hash_text(number: int) -> str:
    return "0x" + number.to_bytes(32, "big").hex()


ASKED = bytes.fromhex(hash_text(1005)[2:])


def block(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "number": hex(number),
        "hash": hash_text(number + 1000),
        "parentHash": hash_text(number + 999),
        "timestamp": "0x1",
        "logsBloom": "0x" + "00" * 256,
        "receiptsRoot": hash_text(0),
        "transactions": [],
        **changes,
    }


def a_log(**changes: Any) -> dict[str, Any]:
    return {
        "address": "0x" + "50" * 20,
        "topics": [hash_text(1)],
        "data": "0x",
        "blockNumber": "0x5",
        "blockHash": hash_text(1005),
        "transactionHash": hash_text(7),
        "logIndex": "0x0",
        "removed": False,
        **changes,
    }


def result_of(method: str, parameters: list[Any]) -> Any:
    """What an honest node says."""
    match method:
        case "eth_chainId":
            return hex(CHAIN_ID)
        case "eth_blockNumber":
            return "0x64"
        case "eth_getBlockByNumber":
            number = 90 if parameters[0] == "finalized" else int(parameters[0], 16)
            return block(number) if number <= 100 else None
        case "eth_getBlockByHash":
            return block(int(parameters[0], 16) - 1000)
        case "eth_getLogs":
            return [a_log()]
        case "eth_call":
            return "0x01"
    raise AssertionError(method)


def answer(question: dict[str, Any]) -> dict[str, Any]:
    result = result_of(question["method"], question["params"])
    return {"jsonrpc": "2.0", "id": question["id"], "result": result}


def honest(body: Any) -> Any:
    return [answer(each) for each in body] if isinstance(body, list) else answer(body)


def changed(change: Callable[[dict[str, Any], Any], Any]) -> Reply:
    """An honest node whose answers ``change`` rewrites, except to what the chain id is."""

    async def reply(_request: web.Request, body: Any) -> web.StreamResponse:
        if isinstance(body, dict) and body["method"] == "eth_chainId":
            return web.json_response(answer(body))
        if isinstance(body, list):
            return web.json_response([change(each, answer(each)) for each in body])
        return web.json_response(change(body, answer(body)))

    return reply


def with_result(method: str, result: Any) -> Reply:
    return changed(lambda q, a: {**a, "result": result} if q["method"] == method else a)


def with_error(method: str, code: int, message: str, data: Any = None) -> Reply:
    error = {"code": code, "message": message, "data": data}
    return changed(
        lambda q, a: (
            {"jsonrpc": "2.0", "id": a["id"], "error": error} if q["method"] == method else a
        )
    )


def raw(content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    async def reply(_request: web.Request, body: Any) -> web.StreamResponse:
        if isinstance(body, dict) and body["method"] == "eth_chainId":
            return web.json_response(answer(body))
        return web.Response(body=content, status=status, headers=headers)

    return reply


class Provider:
    """A provider on a real socket; ``reply`` may be exchanged while it runs."""

    def __init__(self) -> None:
        self.reply: Reply = changed(lambda _question, honest_answer: honest_answer)
        self.bodies: list[Any] = []
        app = web.Application()
        app.router.add_post("/key", self._handle)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        return str(self.server.make_url("/key"))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.bodies.append(body)
        return await self.reply(request, body)


def a_receipt(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "transactionHash": hash_text(number),
        "blockHash": hash_text(1005),
        "cumulativeGasUsed": "0x5208",
        "logsBloom": "0x" + "00" * 256,
        "logs": [],
        "status": "0x1",
        "type": "0x2",
        **changes,
    }


def node_with_receipts(known: dict[str, Any]) -> Reply:
    """Answers by method, and for receipts by transaction; what is an integer is an error's code."""

    async def reply(_request: web.Request, body: Any) -> web.StreamResponse:
        asked = body if isinstance(body, list) else [body]
        answers = []
        for each in asked:
            key = each["method"]
            found = hex(CHAIN_ID) if key == "eth_chainId" else known[key]
            if isinstance(found, dict) and key == "eth_getTransactionReceipt":
                found = found.get(each["params"][0])
            if isinstance(found, int):
                error = {"code": found, "message": "the method does not exist"}
                answers.append({"id": each["id"], "error": error})
            else:
                answers.append({"id": each["id"], "result": found})
        return web.json_response(answers if isinstance(body, list) else answers[0])

    return reply
