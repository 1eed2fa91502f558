"""What the press tells its typesetter, and how: each message with its length before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

from gstable_server.web.receipts.sheet import Sheet

LENGTH_BYTES = 4
PDF, NO_FONT = b"P", b"N"
"""What the first byte of an answer says."""


@dataclass(frozen=True, slots=True)
class Fonts:
    """``cjk`` is a font with Chinese, Japanese and Korean letters, if the operator has one."""

    cjk: Path | None = None


class Reading(Protocol):
    """How it is read: the language's tag, and ``ltr`` or ``rtl``. A page's ``Words`` are one."""

    @property
    def tag(self) -> str: ...

    @property
    def direction(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be set. ``cjk`` is the path of the operator's font."""

    sheet: Sheet
    tag: str
    direction: str
    at: datetime
    cjk: str | None


def write(pipe: IO[bytes], message: bytes) -> None:
    """Raises ``OSError`` when the other process is gone."""
    pipe.write(len(message).to_bytes(LENGTH_BYTES) + message)
    pipe.flush()


def read(pipe: IO[bytes]) -> bytes:
    """The next message. Raises ``EOFError`` when the other process is gone."""
    length = int.from_bytes(_exactly(pipe, LENGTH_BYTES))
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    found = pipe.read(length)
    if len(found) < length:
        raise EOFError("the other process is gone")
    return found
