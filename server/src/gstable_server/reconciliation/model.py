"""What is read, what is told of the rest of the server, and what comes of comparing them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import SessionId

ROWS_AT_ONCE = 250
"""So many rows are held and worked on at once, however large the book is: some 10 ms, in which the
process does nothing else."""


@dataclass(frozen=True, slots=True)
class RawLog:
    """A log as a node gives it."""

    network: str
    block_number: int
    log_index: int
    tx_hash: bytes
    address: Address
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """How far the book follows a network: everything up to this block, and nothing above."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose session the chain calls ``session_key``."""

    session_id: SessionId
    session_key: bytes
    merchant_id: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A refund that the server says is done, by this one transfer: ``amount`` in atomic units."""

    session_id: SessionId
    network: str
    tx_hash: bytes
    token: Address
    sender: Address
    receiver: Address
    amount: int


@dataclass(frozen=True, slots=True)
class Booked:
    """A sum of the book, in atomic units: what its transfers about one session, or about one
    transaction of a network where no session is named, added to ``account``.

    ``by_hand``: moved by an operator between accounts, with no fact of a chain behind it.
    """

    session_id: str | None
    network: str | None
    tx_hash: bytes | None
    token_id: str
    account: str
    amount: int
    by_hand: bool


@dataclass(frozen=True, slots=True)
class Sum:
    """What the chains say should be on ``account`` and what the book says is, in atomic units: of
    the session ``session_id``, or of none.

    It belongs to the session ``session_key`` or to the transaction ``tx_hash`` of ``network``, and
    is left out with it; to neither where nobody is known.
    """

    session_key: bytes | None
    session_id: str | None
    network: str | None
    tx_hash: bytes | None
    token_id: str
    account: str
    expected: int
    booked: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One network, read up to ``to_block``; ``unread`` says why it was not."""

    network: str
    to_block: int | None
    unread: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What an account should have by the chains and has by the book, in atomic units: of one
    session, or of all where ``session_id`` is None."""

    session_id: str | None
    token_id: str
    account: str
    expected: int
    booked: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished comparison. ``sessions`` of those that were found on the chains were compared,
    ``left_out`` are in motion or cross to a network that was not read. ``count`` is of all
    differences; ``differences`` are the first of them."""

    at: datetime
    readings: tuple[Reading, ...]
    sessions: int
    left_out: int
    count: int
    differences: tuple[Difference, ...]

    @property
    def unread(self) -> tuple[Reading, ...]:
        """The networks that were not compared."""
        return tuple(one for one in self.readings if one.unread is not None)
