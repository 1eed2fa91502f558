"""The way to the real PostgreSQL: a socket that is written and read without the loop.

A history asks thousands of small questions, one at a time, and nobody does anything meanwhile: so
the answer is waited for right where it was asked for. What has no answer worth reading (BEGIN,
COMMIT, ROLLBACK and settings) travels in front of the next question, which saves three of ten
round trips.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Iterable
from typing import Any

READ_BYTES = 1 << 18
HEAD = 5
"""Bytes of a message's kind and length (PostgreSQL documentation, chapter 55.7)."""
AHEAD_ANSWERS = b"12C"
"""What the server says to a statement that went ahead: parsed, bound, done."""
_EXECUTE = b"E\0\0\0\x09\0\0\0\0\0"


class Line(asyncio.Transport):
    """The transport below asyncpg's protocol."""

    def __init__(self, protocol: Any, path: str) -> None:
        super().__init__()
        self._protocol = protocol
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._prepared: dict[str, Any] = {}
        """Of each statement that was asked, what asyncpg knows of it."""
        self._ahead: list[bytes] = []
        self._bound: dict[str, bytes] = {}
        """Of each statement that went ahead, the messages that do it again."""
        self._due = 0
        """How many answers are due to what went ahead."""
        self._unread = b""
        self.is_waiting = False
        """Whether an answer is due."""

    # --- questions --------------------------------------------------------------------------------

    def ask(
        self, connection: Any, sql: str, values: tuple[Any, ...], *, limit: int = 0
    ) -> tuple[Any, bytes]:
        """The rows of a statement, at most ``limit`` of them unless 0, and its status. Raises
        what asyncpg raises."""
        prepared = self._prepared.get(sql)
        if prepared is None:
            prepared = self.finish(connection._get_statement(sql, None))
            self._prepared[sql] = prepared
        asked = self._protocol.bind_execute(prepared, values, "", limit, True, None)
        rows, status, _ = self.finish(asked)
        return rows, status

    def finish(self, asking: Coroutine[Any, Any, Any]) -> Any:
        """The result of what waits for nothing but this line. No other task runs before that."""
        try:
            while True:
                answer = asking.send(None)
                while not answer.done():
                    self.read()
        except StopIteration as done:
            return done.value
        finally:
            self.is_waiting = False

    def send_ahead(self, sql: str) -> None:
        """Do one statement before the next question. It must not fail: nobody could be told."""
        again = self._bound.get(sql)
        if again is not None:
            self._due += 2
        else:
            name = b"ahead%d" % len(self._bound)
            again = self._bound[sql] = _bind(name)
            self._ahead.append(_parse(name, sql))
            self._due += 3
        self._ahead.append(again)

    def set_ahead(self, sql: str) -> None:
        """The same for a statement that is not likely to be asked again."""
        self._ahead += (_parse(b"", sql), _bind(b""))
        self._due += 3

    # --- what asyncpg asks of a transport ---------------------------------------------------------

    def write(self, data: Any) -> None:
        if self._ahead:
            data = b"".join((*self._ahead, data))
            self._ahead.clear()
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
        if self._due:
            data = self._after_what_went_ahead(self._unread + data)
        if data:
            self._protocol.data_received(data)

    def _after_what_went_ahead(self, data: bytes) -> bytes:
        at = 0
        while self._due and len(data) >= at + HEAD:
            kind, size = data[at], int.from_bytes(data[at + 1 : at + HEAD], "big") + 1
            if len(data) < at + size:
                break
            assert kind in AHEAD_ANSWERS, f"what went ahead failed: {data[at : at + size]!r}"
            at += size
            self._due -= 1
        self._unread = data[at:] if self._due else b""
        return b"" if self._due else data[at:]

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


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def _parse(name: bytes, sql: str) -> bytes:
    return _message(b"P", name + b"\0" + sql.encode() + b"\0\0\0")


def _bind(name: bytes) -> bytes:
    """Bind without values, and execute."""
    return _message(b"B", b"\0" + name + b"\0\0\0\0\0\0\0") + _EXECUTE
