"""HTTP as cheap as can be, because the client runs on the cores of those who are measured.

Requests are asked on connections that are kept alive; letters are received, verified and answered.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import cast

from gstable import GStableError
from gstable.webhooks import Event, SignatureError, verify

_END_OF_HEAD = b"\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
ANSWER_SECONDS = 60.0
IDLE_SECONDS = 2.0


class BadAnswer(Exception):
    """Something else than a success came back; measuring on would measure failures."""


class Client:
    """Requests to one server, as many at once as it has connections."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._port = port
        self._headers = headers
        self._idle: deque[_Connection] = deque()

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> bytes:
        """The body of the answer. Raises ``BadAnswer`` unless it is a success."""
        lines = [f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{self._port}"]
        named = {**self._headers, **(headers or {})}
        if body:
            named |= {"content-type": "application/json", "content-length": str(len(body))}
        lines += [f"{name}: {value}" for name, value in named.items()]
        connection = await self._connection()
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await connection.ask("\r\n".join([*lines, "", ""]).encode() + body)
        self._idle.append(connection)
        return answer

    async def _connection(self) -> _Connection:
        """The one that was used last, or a new one where that has been idle for long: the server
        may be about to close it."""
        if self._idle:
            connection = self._idle.pop()
            if time.monotonic() - connection.used_at < IDLE_SECONDS:
                return connection
            connection.close()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", self._port)
        return connection

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self.used_at = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods without the class.
        self._transport = cast(asyncio.WriteTransport, transport)

    async def ask(self, request: bytes) -> bytes:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        found = _message(self._received)
        if found is None or self._answer is None or self._answer.done():
            return
        (head, body), self._received = found, b""
        self.used_at = time.monotonic()
        if head.startswith(b"HTTP/1.1 200 "):
            self._answer.set_result(body)
        else:
            trouble = (head + b" | " + body)[:500].decode("utf-8", "replace")
            self._answer.set_exception(BadAnswer(trouble))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or BadAnswer("the server hung up"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _message(received: bytes) -> tuple[bytes, bytes] | None:
    """Head and body, once the whole is there; lengths are always told."""
    end = received.find(_END_OF_HEAD)
    if end < 0:
        return None
    head, body = received[:end], received[end + len(_END_OF_HEAD) :]
    length = int(_value(head, b"\r\ncontent-length:") or 0)
    return (head, body) if len(body) >= length else None


def _value(head: bytes, name: bytes) -> bytes:
    at = head.lower().find(name)
    if at < 0:
        return b""
    start = at + len(name)
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


class Receiver:
    """A merchant's endpoint: every letter is verified by the SDK before it counts."""

    def __init__(self, heard: Callable[[Event, float], None]) -> None:
        self.secret = ""
        self.refused = 0
        """Letters whose signature does not fit; there should be none."""
        self._heard = heard

    async def listen(self) -> str:
        """Begin to listen on a free port; the endpoint's address."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Letterbox(self), "127.0.0.1", 0, backlog=4096)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"

    def take(self, head: bytes, body: bytes) -> None:
        """Verify one letter and hand it on, with the time of its arrival (monotonic)."""
        at = time.monotonic()
        headers = [
            (name.decode().lower(), value.decode().strip())
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        ]
        try:
            event = verify(body, headers, self.secret)
        except (SignatureError, GStableError):
            self.refused += 1
        else:
            self._heard(event, at)


class _Letterbox(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        found = _message(self._received)
        if found is None:
            return
        self._received = b""
        self._receiver.take(*found)
        assert self._transport is not None
        self._transport.write(_ANSWER)
