"""What can be asked of a list of sessions, and what a text in the search box is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import (
    AccountId,
    EventId,
    InflowId,
    LinkId,
    PaymentId,
    ProductId,
    RefundId,
    SessionId,
    WebhookId,
    id_or_none,
)
from gstable_server.kernel.money import MicroUsd
from gstable_server.sessions.model import Flag, SessionState, SessionView

TEXT_LENGTH_MAX = 254


class Kind(StrEnum):
    """What somebody typed, by its form alone."""

    SESSION = "session"
    LINK = "link"
    PRODUCT = "product"
    REFUND = "refund"
    PAYMENT = "payment"
    INFLOW = "inflow"
    EVENT = "event"
    ACCOUNT = "account"
    WEBHOOK = "webhook"
    REQUEST = "request"
    WALLET = "wallet"
    TRANSACTION = "transaction"
    EMAIL = "email"
    REFERENCE = "reference"
    """Anything else may be the shop's own name of an order."""


_IDS: tuple[tuple[Kind, type[str]], ...] = (
    (Kind.SESSION, SessionId),
    (Kind.LINK, LinkId),
    (Kind.PRODUCT, ProductId),
    (Kind.REFUND, RefundId),
    (Kind.PAYMENT, PaymentId),
    (Kind.INFLOW, InflowId),
    (Kind.EVENT, EventId),
    (Kind.ACCOUNT, AccountId),
    (Kind.WEBHOOK, WebhookId),
)
_REQUEST = re.compile(r"req_[0-9A-Za-z]{1,64}")
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{64}|[0-9a-fA-F]{40})")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_IN_ADDRESS = re.compile(r"(?:^|[/=?&])((?:sess|lnk|prd|rfd|pay|inf|evt|acc|wkid)_[0-9A-Za-z_]+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """``text`` as it is looked for: an identifier, an e-mail address in small letters, or as it was
    typed; for wallets and transactions ``key`` has their bytes."""

    kind: Kind
    text: str
    key: bytes = b""


def understood(typed: str) -> Asked | None:
    """What ``typed`` can only be, None for nothing. Spaces around it, 0x or its absence, and the
    address of a page or of an explorer in place of the bare identifier are all the same."""
    text = typed.replace("\0", "").strip()[: 4 * TEXT_LENGTH_MAX]
    if not text:
        return None
    if "://" in text:
        text = _named_in_address(text)
    text = text[:TEXT_LENGTH_MAX]
    for kind, id_type in _IDS:
        if id_or_none(id_type, text) is not None:  # type: ignore[type-var]
            return Asked(kind, text)
    if _REQUEST.fullmatch(text):
        return Asked(Kind.REQUEST, text)
    if found := _HEX.fullmatch(text):
        key = bytes.fromhex(found[1])
        kind = Kind.WALLET if len(key) == 20 else Kind.TRANSACTION
        return Asked(kind, f"0x{key.hex()}", key)
    if _EMAIL.fullmatch(text):
        return Asked(Kind.EMAIL, text.lower())
    return Asked(Kind.REFERENCE, text)


def _named_in_address(text: str) -> str:
    """The last identifier, transaction or wallet that a web address names."""
    if ids := _IN_ADDRESS.findall(text):
        return str(ids[-1])
    parts = re.split(r"[/=?&#]", text)
    return next((part for part in reversed(parts) if _HEX.fullmatch(part)), text)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sessions of a tenant; what is None lets all pass. Amounts in Micro-USD, both ends
    included; ``since`` is included, ``until`` is not. ``token_id`` is what a session settles in,
    ``network`` where money for it came in. ``asked``: a wallet, a transaction, an e-mail address
    or an order reference."""

    state: SessionState | None = None
    token_id: str | None = None
    network: str | None = None
    amount_min: MicroUsd | None = None
    amount_max: MicroUsd | None = None
    since: datetime | None = None
    until: datetime | None = None
    link_id: LinkId | None = None
    product_id: ProductId | None = None
    flag: Flag | None = None
    is_unusual: bool = False
    asked: Asked | None = None


class Way(StrEnum):
    """From which side of a session a page begins."""

    OLDER = "older"
    NEWER = "newer"


@dataclass(frozen=True, slots=True)
class Place:
    """Behind the session ``session_id``, on its older or its newer side."""

    way: Way
    session_id: SessionId


@dataclass(frozen=True, slots=True)
class Found:
    """A page, newest first. ``newer`` and ``older`` are where the list goes on.

    A page looks through so many sessions at most: where few pass the filters, ``looked_back_to``
    says how far it came, and ``older`` (or ``newer``) is there to look on.
    """

    views: tuple[SessionView, ...]
    newer: Place | None = None
    older: Place | None = None
    looked_back_to: datetime | None = None


class StepKind(StrEnum):
    """What happened around a session besides its payments and events."""

    SIGNED = "signed"
    """An order was signed: the payer's wallet asked for it."""
    RELAYED = "relayed"
    ADDRESS = "address"
    BALANCE = "balance"
    COLLECTING = "collecting"
    RETURNING = "returning"
    INSTRUCTED = "instructed"


@dataclass(frozen=True, slots=True)
class Asking:
    """What was asked for, and how: the token and way of an order, the kind and state of what was
    instructed."""

    what: str
    how: str


@dataclass(frozen=True, slots=True)
class Step:
    """``wallet`` is the payer's, the deposit address or the token's; ``amount`` in the token's
    atomic units."""

    kind: StepKind
    at: datetime
    network: str
    asking: Asking
    wallet: Address | None
    amount: int | None
