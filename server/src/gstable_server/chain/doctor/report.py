"""What the probe found, one line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gstable_server.kernel.address import Address


class Outcome(StrEnum):
    """``failed``: do not use it like this. ``unknown``: this node does not let it be found out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One look at one thing; ``found`` is for people."""

    subject: str
    check: str
    outcome: Outcome
    found: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """The server's accounts, as far as they are known, and by token id accounts that hold some."""

    order_signer: Address | None = None
    relayer: Address | None = None
    solver: Address | None = None
    attestor: Address | None = None
    holders: Mapping[str, Address] = field(default_factory=dict)


def ok(subject: str, check: str, found: str) -> Finding:
    """As it should be."""
    return Finding(subject, check, Outcome.OK, found)


def warning(subject: str, check: str, found: str) -> Finding:
    """It works, but somebody should know."""
    return Finding(subject, check, Outcome.WARNING, found)


def failed(subject: str, check: str, found: str) -> Finding:
    """It does not work, or not with this server."""
    return Finding(subject, check, Outcome.FAILED, found)


def unknown(subject: str, check: str, found: str) -> Finding:
    """Nobody can say; ``found`` says why."""
    return Finding(subject, check, Outcome.UNKNOWN, found)


def judged(good: bool, subject: str, check: str, found: str) -> Finding:
    """``ok`` or ``failed``."""
    return ok(subject, check, found) if good else failed(subject, check, found)
