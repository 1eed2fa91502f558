"""The receivers: answer 200 to everything, except that some paths never answer.

As cheap as can be, because it runs on the cores of those who are measured. ``GET /report`` takes
away the list of what has arrived: the ``webhook-id`` of each request and when it came.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import cast

import uvloop

HANGING = b"/hang/"
REPORT = b"/report"
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Sink:
    """What all connections share."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, float]] = []

    def take(self) -> bytes:
        """The report as an HTTP answer; the list begins anew."""
        body = json.dumps(self.arrived).encode()
        self.arrived = []
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + body


class Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end]
        length = _value(head, b"\r\ncontent-length:")
        if len(self._received) < end + 4 + int(length or 0):
            return
        self._received = b""
        self._answer(head)

    def _answer(self, head: bytes) -> None:
        assert self._transport is not None
        path = head.split(b" ", 2)[1]
        if path == REPORT:
            self._transport.write(self._sink.take())
        elif not path.startswith(HANGING):
            event_id = _value(head, b"\r\nwebhook-id:")
            self._sink.arrived.append((event_id.decode(), time.time()))
            self._transport.write(_ANSWER)


def _value(head: bytes, name: bytes) -> bytes:
    at = head.lower().find(name)
    if at < 0:
        return b""
    start = at + len(name)
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


async def serve() -> None:
    """Serve on a free port, which is printed."""
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(sink), "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
