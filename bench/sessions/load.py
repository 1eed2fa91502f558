"""A load generator that costs little: requests are bytes made before, answers are only counted.

Every connection keeps one request under way. It ends by itself: at its deadline each connection
takes its last answer and closes, and one that gets none is cut off.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

LAST_ANSWER_SECONDS = 30.0
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length: "


class BadAnswer(Exception):
    """Something else than a success came back; measuring on would measure failures."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was done: answers that came, in how many seconds."""

    requests: int
    seconds: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def request(method: str, path: str, key: str, body: bytes = b"") -> bytes:
    """One HTTP/1.1 request as it goes over the wire."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: 127.0.0.1",
        f"authorization: Bearer {key}",
    ]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def generate(
    port: int, requests: Sequence[bytes], *, connections: int, seconds: float
) -> Load:
    """Send ``requests`` over and over for ``seconds`` on ``connections`` kept open.

    Raises ``BadAnswer`` for the first answer that is not a success.
    """
    loop = asyncio.get_running_loop()
    supply = itertools.cycle(requests)
    began = time.perf_counter()
    workers = []
    for _ in range(connections):
        _, worker = await loop.create_connection(
            lambda: _Connection(supply, began + seconds), "127.0.0.1", port
        )
        workers.append(worker)
    async with asyncio.timeout(seconds + LAST_ANSWER_SECONDS):
        await asyncio.gather(*(worker.done for worker in workers))
    return Load(sum(worker.answers for worker in workers), time.perf_counter() - began)


class _Connection(asyncio.Protocol):
    def __init__(self, supply: Iterator[bytes], deadline: float) -> None:
        self._supply = supply
        self._deadline = deadline
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods without the class.
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.write(next(self._supply))

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(_END_OF_HEAD)
        if end < 0:
            return
        head = self._received[:end].lower()
        length = int(head.split(_LENGTH, 1)[1].split(b"\r\n", 1)[0])
        if len(self._received) < end + len(_END_OF_HEAD) + length:
            return
        body = self._received[end + len(_END_OF_HEAD) :]
        if not head.startswith(b"http/1.1 200 ") or not body.startswith(b'{"code":0,'):
            self._stop(BadAnswer((head + b" | " + body)[:500].decode("utf-8", "replace")))
            return
        self._received = b""
        self.answers += 1
        assert self._transport is not None
        if time.perf_counter() < self._deadline:
            self._transport.write(next(self._supply))
        else:
            self._stop(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._stop(error or BadAnswer("the server hung up"))

    def _stop(self, problem: Exception | None) -> None:
        if self.done.done():
            return
        if problem is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(problem)
        if self._transport is not None:
            self._transport.close()
