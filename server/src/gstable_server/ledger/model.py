"""Accounts, entries and transfers of the book."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gstable_server.kernel.ids import MerchantId, SessionId
from gstable_server.kernel.tenant import Tenant


class Kind(StrEnum):
    """Why money is booked."""

    PAYMENT = "payment"
    SETTLEMENT = "settlement"
    REVERSAL = "reversal"


PAYERS = "payers"
"""Everyone who pays: the outside of the book."""
FEES_PENDING = "fees:pending"
FEES = "fees"
UNMATCHED = "unmatched"
"""Money that reached a merchant's wallet for no session that we know."""


def merchant_pending(merchant_id: MerchantId) -> str:
    """What a merchant was paid by payments that a reorganisation can still undo."""
    return f"merchant:{merchant_id}:pending"


def merchant_settled(merchant_id: MerchantId) -> str:
    """What a merchant was paid finally."""
    return f"merchant:{merchant_id}"


def merchant_exceptional(merchant_id: MerchantId) -> str:
    """Money in the merchant's wallet that pays no session as asked: late, short, twice."""
    return f"merchant:{merchant_id}:exceptional"


@dataclass(frozen=True, slots=True)
class Entry:
    """``amount`` atomic units added to ``account``; negative takes away, never zero."""

    account: str
    amount: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """Entries in one asset that sum to zero. ``cause`` names what made it happen, once.

    Raises ``ValueError`` for entries that do not cancel out.
    """

    cause: str
    kind: Kind
    token_id: str
    entries: tuple[Entry, ...]
    tenant: Tenant | None = None
    session_id: SessionId | None = None
    reverses: str | None = None
    """The cause of the transfer that this one takes back."""

    def __post_init__(self) -> None:
        if sum(entry.amount for entry in self.entries) != 0:
            raise ValueError(f"the entries of {self.cause} do not sum to zero")

    def reversed_by(self, cause: str) -> Transfer:
        """The transfer that takes this one back."""
        return Transfer(
            cause=cause,
            kind=Kind.REVERSAL,
            token_id=self.token_id,
            entries=tuple(Entry(entry.account, -entry.amount) for entry in self.entries),
            tenant=self.tenant,
            session_id=self.session_id,
            reverses=self.cause,
        )


def payment(
    cause: str,
    token_id: str,
    *,
    merchant_account: str,
    merchant_amount: int,
    fee_amount: int,
    tenant: Tenant | None,
    session_id: SessionId | None,
) -> Transfer:
    """A payer's money on its way: the merchant's share and the fee, both still revocable."""
    legs = (
        Entry(PAYERS, -(merchant_amount + fee_amount)),
        Entry(merchant_account, merchant_amount),
        Entry(FEES_PENDING, fee_amount),
    )
    return Transfer(
        cause=cause,
        kind=Kind.PAYMENT,
        token_id=token_id,
        entries=tuple(entry for entry in legs if entry.amount),
        tenant=tenant,
        session_id=session_id,
    )


def settlement(
    cause: str,
    token_id: str,
    *,
    pending_account: str,
    settled_account: str,
    merchant_amount: int,
    fee_amount: int,
    tenant: Tenant | None,
    session_id: SessionId | None,
) -> Transfer:
    """A payment became final: its shares leave the pending accounts."""
    legs: tuple[Entry, ...] = (
        Entry(pending_account, -merchant_amount),
        Entry(settled_account, merchant_amount),
        Entry(FEES_PENDING, -fee_amount),
        Entry(FEES, fee_amount),
    )
    if pending_account == settled_account:
        legs = legs[2:]
    return Transfer(
        cause=cause,
        kind=Kind.SETTLEMENT,
        token_id=token_id,
        entries=tuple(entry for entry in legs if entry.amount),
        tenant=tenant,
        session_id=session_id,
    )
