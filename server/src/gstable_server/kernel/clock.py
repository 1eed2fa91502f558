"""Time as a parameter: the clock is handed in, and every instant is aware and in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NewType, Protocol

UnixSeconds = NewType("UnixSeconds", int)


class Clock(Protocol):
    """Where the current time comes from."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""


def unix_seconds(instant: datetime) -> UnixSeconds:
    """The whole seconds since 1970 of ``instant``, rounded down."""
    return UnixSeconds(int(instant.timestamp()))


def from_unix_seconds(seconds: int) -> datetime:
    """The instant of a Unix time in seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def wire_time(instant: datetime) -> str:
    """``YYYY-MM-DD HH:mm:ss`` in UTC, the form of ``createAt`` and ``occurrence`` (spec 2)."""
    return instant.astimezone(UTC).isoformat(" ", "seconds")[: len("YYYY-MM-DD HH:mm:ss")]
