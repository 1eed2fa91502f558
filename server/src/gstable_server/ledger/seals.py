"""The hash chain over the book: pure.

A seal's hash is SHA-256 over the hash before it, its own number, and everything that the book says
of one transfer with its entries. So a seal vouches for every row up to its own, and who keeps one
elsewhere can find out later whether any of them was changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A row of ``ledger_entries``; ``amount`` in atomic units."""

    entry_number: int
    account: str
    token_id: str
    amount: int


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A row of ``ledger_transfers``, with its entries in the order of their numbers."""

    transfer_id: str
    cause: str
    kind: str
    token_id: str
    merchant_id: str | None
    mode: str | None
    session_id: str | None
    reverses: str | None
    posted_at: datetime
    entries: tuple[EntryRow, ...]


@dataclass(frozen=True, slots=True)
class Seal:
    """A place in the chain: numbers count from 1 without gaps."""

    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"


BEFORE_ALL = Seal(0, bytes(32))
"""What the first seal follows."""


def seal_from_text(text: str) -> Seal:
    """What ``str`` of a seal is. Raises ``ValueError`` for anything else."""
    number, _, hash_hex = text.partition(":")
    seal = Seal(int(number), bytes.fromhex(hash_hex.removeprefix("0x")))
    if seal.number < 0 or len(seal.hash) != len(BEFORE_ALL.hash):
        raise ValueError("a head is a number, a colon and 64 hexadecimal digits")
    return seal


def next_seal(before: Seal, transfer: TransferRow) -> Seal:
    """The seal of ``transfer`` behind ``before``."""
    number = before.number + 1
    content = before.hash + number.to_bytes(_LENGTH_BYTES, "big") + canonical_bytes(transfer)
    return Seal(number, sha256(content).digest())


def canonical_bytes(transfer: TransferRow) -> bytes:
    """The one text of ``transfer``: every member with its length before it, so that nothing can
    move from one member to the next unnoticed."""
    members = [
        transfer.transfer_id,
        transfer.cause,
        transfer.kind,
        transfer.token_id,
        transfer.merchant_id,
        transfer.mode,
        transfer.session_id,
        transfer.reverses,
        str((transfer.posted_at - EPOCH) // _MICROSECOND),
        str(len(transfer.entries)),
    ]
    for entry in transfer.entries:
        members += [str(entry.entry_number), entry.account, entry.token_id, str(entry.amount)]
    return _joined(members)


def _joined(members: Iterable[str | None]) -> bytes:
    parts = []
    for member in members:
        if member is None:
            parts.append(_NOTHING)
        else:
            content = member.encode()
            parts += (_head(len(content)), content)
    return b"".join(parts)


_NOTHING = b"\0" + bytes(_LENGTH_BYTES)


@lru_cache(maxsize=1024)
def _head(length: int) -> bytes:
    return b"\1" + length.to_bytes(_LENGTH_BYTES, "big")
