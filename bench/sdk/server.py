"""A server that costs nothing: it reads a request and sends bytes made before, keep-alive."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from gstable.testing import FakeGStable

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"
LINES = 3


def answers() -> dict[bytes, bytes]:
    """The bodies by the beginning of a path: a session as our platform has it, and the same fields
    in Stripe's manner, so that both clients read as much."""
    fake = FakeGStable()
    client = fake.client()
    line: Any = {"item_type": "one_time", "quantity": 1, "unit_price": 4_500_000}
    lines: Any = [
        {**line, "product_data": {"product_name": f"Tea {number}"}} for number in range(LINES)
    ]
    session = client.checkout_session.create(
        account_id=fake.account_id,
        settlement_token="polygon::usdc",
        line_items=lines,
        metadata={"orderId": "ORD_1"},
    )
    fake.pay(session.session_id)
    transport = fake.transport()
    with fake.client(transport=transport) as asking:
        asking.checkout_session.detail(session.session_id)
    detail = transport.send(transport.requests[0]).body
    flat = json.loads(detail)["data"]
    stripe = {
        **flat["session"],
        "id": session.session_id,
        "object": "checkout.session",
        "transaction": flat["transaction"],
    }
    alone = json.dumps({"code": 0, "message": "success", "data": flat["session"]})
    return {
        b"/api/v1/session/checkout/": alone.encode(),
        b"/api/v1/": detail,
        b"/v1/": json.dumps(stripe).encode(),
    }


class Bare(asyncio.Protocol):
    """One connection."""

    def __init__(self, bodies: dict[bytes, bytes]) -> None:
        self._answers = {
            prefix: b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
            b"x-request-id: req_000000000000000000000000\r\n"
            b"content-length: " + str(len(body)).encode() + _END_OF_HEAD + body
            for prefix, body in bodies.items()
        }
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(_END_OF_HEAD)
        if end < 0:
            return
        head = self._received[:end]
        _, found, rest = head.lower().partition(_LENGTH)
        length = int(rest.split(b"\r\n", 1)[0]) if found else 0
        if len(self._received) < end + len(_END_OF_HEAD) + length:
            return
        self._received = b""
        path = head.split(b" ", 2)[1]
        answer = next(text for prefix, text in self._answers.items() if path.startswith(prefix))
        assert self._transport is not None
        self._transport.write(answer)


async def serve() -> None:
    """Serve on a free port, which is told in the first line."""
    bodies = answers()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Bare(bodies), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with the process that started it.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
