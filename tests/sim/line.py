"""The way to the real PostgreSQL: a socket that is written and read without the loop's selector.

A history asks thousands of small questions, one at a time, and nobody does anything meanwhile: so
the answer may simply be waited for. What has no answer worth reading (BEGIN, COMMIT, ROLLBACK and
the time) travels in front of the next question, which saves three of ten round trips.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any

READ_BYTES = 1 << 18
HEAD = 5
"""Bytes of a message's kind and length (PostgreSQL documentation, chapter 55.7)."""


class Line(asyncio.Transport):
    """The transport below asyncpg's protocol."""

    def __init__(self, protocol: Any, path: str) -> None:
        super().__init__()
        self._protocol = protocol
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._ahead: list[str] = []
        self._unread: bytes | None = None
        """What has arrived of the answer to what went ahead; None when none is due."""
        self.is_waiting = False
        """Whether an answer is due."""

    def send_ahead(self, sql: str) -> None:
        """Send ``sql`` in front of the next question. It must not fail: nobody could be told."""
        self._ahead.append(sql)

    def write(self, data: Any) -> None:
        if self._ahead:
            text = ";".join(self._ahead).encode() + b"\0"
            self._ahead.clear()
            self._unread = b""
            data = b"Q" + (len(text) + 4).to_bytes(4, "big") + text + bytes(data)
        self.is_waiting = True
        self._socket.sendall(data)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def read(self) -> None:
        """Wait for bytes, and hand them on."""
        data = self._socket.recv(READ_BYTES)
        if not data:
            self.abort()
            return
        if self._unread is not None:
            data = self._after_what_went_ahead(self._unread + data)
        if data:
            self._protocol.data_received(data)

    def _after_what_went_ahead(self, data: bytes) -> bytes:
        at = 0
        while len(data) >= at + HEAD:
            kind, size = data[at : at + 1], int.from_bytes(data[at + 1 : at + HEAD], "big") + 1
            if len(data) < at + size:
                break
            assert kind != b"E", f"what went ahead failed: {data[at : at + size]!r}"
            at += size
            if kind == b"Z":
                self._unread = None
                return data[at:]
        self._unread = data[at:]
        return b""

    # What else asyncpg asks of a transport.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else default

    def is_closing(self) -> bool:
        return self._socket.fileno() < 0

    def pause_reading(self) -> None:
        """It is read only when an answer is due."""

    def resume_reading(self) -> None:
        """See ``pause_reading``."""

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self.is_closing():
            self.is_waiting = False
            self._socket.close()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)
