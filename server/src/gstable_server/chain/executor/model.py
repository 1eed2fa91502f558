"""A transaction that the server means to send, and what has become of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gstable_server.chain.orders import ContractCall
from gstable_server.kernel.address import Address


class Sender(StrEnum):
    """Whose key signs: the relayer's only pays for gas, the solver's also moves its own tokens."""

    RELAYER = "relayer"
    SOLVER = "solver"


class State(StrEnum):
    """Where an intent stands (the table is ``machine.decide``)."""

    QUEUED = "queued"
    """Wanted; nothing is signed and no nonce is taken."""
    SIGNED = "signed"
    """A nonce is reserved and the signed bytes are stored; whether a node has them is unknown."""
    SENT = "sent"
    """A node took the bytes; in no canonical block yet, or no longer."""
    REPRICED = "repriced"
    """Signed again with the same nonce and higher fees; whether a node has them is unknown."""
    MINED = "mined"
    """In a canonical block that may still be taken back."""
    FINAL = "final"
    """In a block as deep as the network's ``confirmations``, and it succeeded."""
    FAILED = "failed"
    """The same, but the call reverted: only gas was spent."""
    REFUSED = "refused"
    """The deadline passed before anything was signed."""
    WITHDRAWN = "withdrawn"
    """Taken back by whoever wanted it, before anything was signed."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What is wanted, once: ``cause`` is unique, and asking twice is one intent.

    ``network`` is a network's name. ``purpose`` says what for, in one word (relay, mint, fill,
    release, sweep, recover, capture, void, approve, x402); ``subject`` is the object that events
    about it name. At ``deadline`` what is not signed yet is refused; None waits for ever.

    The call must be harmless when somebody else makes it first or it comes late: what was signed
    is always sent, even if it would revert by then (``runner``).
    """

    cause: str
    network: str
    sender: Sender
    call: ContractCall
    purpose: str
    subject: str
    deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    """The account and the nonce that an intent's transactions are signed with."""

    account: Address
    nonce: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transaction that was signed while block number ``head`` was the newest.

    ``fee`` and ``tip`` are the most a unit of gas may cost in all, and for the block's producer.
    """

    tx_hash: bytes
    raw: bytes
    gas: int
    fee: int
    tip: int
    head: int
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where a transaction is mined, and whether its call did what it should."""

    tx_hash: bytes
    block_number: int
    block_hash: bytes
    succeeded: bool


@dataclass(frozen=True, slots=True)
class Queued:
    """An intent that may be signed now, after ``tries`` in vain."""

    intent: Intent
    problem: str | None
    tries: int


@dataclass(frozen=True, slots=True)
class Flight:
    """An intent whose nonce is taken and whose outcome is open; ``attempts``: the oldest first."""

    cause: str
    state: State
    call: ContractCall
    reservation: Reservation
    included: Inclusion | None
    problem: str | None
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class IntentView:
    """An intent as pages and the doctor see it.

    ``reservation`` is the one in force, None while nothing is signed. ``tx_hash`` is the
    transaction that is mined, else the last one signed. ``problem`` says why it waits, or why it
    failed.
    """

    intent: Intent
    state: State
    reservation: Reservation | None
    tx_hash: bytes | None
    included: Inclusion | None
    problem: str | None
    tries: int
    created_at: datetime
    moved_at: datetime


@dataclass(frozen=True, slots=True)
class Funds:
    """What a sending account had of the native coin when it was last looked at, in the smallest
    unit. ``enough`` is false below the network's ``gas.funds_min``."""

    network: str
    sender: Sender
    account: Address
    balance: int
    enough: bool
    seen_at: datetime
