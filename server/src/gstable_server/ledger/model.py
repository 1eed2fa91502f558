"""Accounts, entries and transfers of the book."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import MerchantId, SessionId
from gstable_server.kernel.tenant import Tenant


class Kind(StrEnum):
    """Why money is booked."""

    PAYMENT = "payment"
    DELIVERY = "delivery"
    SETTLEMENT = "settlement"
    RELEASE = "release"
    RETURN = "return"
    REVERSAL = "reversal"
    REFUND = "refund"


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


def in_rail(rail: str) -> str:
    """Money that a settlement rail has now: in its contract, or burnt and not minted yet."""
    return f"rail:{rail}"


def conversion(rail: str) -> str:
    """Where a rail turns one asset into another: what it took in of the paying asset, and what it
    gave out of the settlement asset, as a negative balance. It never empties."""
    return f"conversion:{rail}"


def solver(address: Address) -> str:
    """The same for one who fills from own money: filled is negative, released is positive."""
    return f"solver:0x{address.hex()}"


def rail_costs(rail: str) -> str:
    """What a rail kept for itself on the way, in the settlement asset."""
    return f"costs:{rail}"


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


@dataclass(frozen=True, slots=True)
class Standing:
    """What transfers about one session added to ``account``, in atomic units; where they name no
    session, those about one transaction, which ``about`` names as ``network:hash``.

    ``by_hand``: an operator moved it, and no chain knows of it.
    """

    session_id: str | None
    about: str | None
    token_id: str
    account: str
    amount: int
    by_hand: bool


def moved(
    cause: str,
    kind: Kind,
    token_id: str,
    *entries: Entry,
    tenant: Tenant | None = None,
    session_id: SessionId | None = None,
) -> Transfer:
    """A transfer of these entries; those of 0 are left out. Raises as ``Transfer`` does."""
    return Transfer(
        cause=cause,
        kind=kind,
        token_id=token_id,
        entries=tuple(entry for entry in entries if entry.amount),
        tenant=tenant,
        session_id=session_id,
    )


def payment(
    cause: str,
    token_id: str,
    *,
    receiver: str,
    amount: int,
    fee_amount: int,
    tenant: Tenant | None,
    session_id: SessionId | None,
) -> Transfer:
    """A payer's money on its way: ``amount`` for ``receiver``, who is the merchant or a rail, and
    the fee, both still revocable."""
    return moved(
        cause,
        Kind.PAYMENT,
        token_id,
        Entry(PAYERS, -(amount + fee_amount)),
        Entry(receiver, amount),
        Entry(FEES_PENDING, fee_amount),
        tenant=tenant,
        session_id=session_id,
    )


def delivery(
    cause: str,
    token_id: str,
    *,
    giver: str,
    receiver: str,
    amount: int,
    costs: int = 0,
    rail: str,
    tenant: Tenant | None = None,
    session_id: SessionId | None = None,
) -> Transfer:
    """``amount`` came from ``giver`` to ``receiver``; ``costs`` on top stayed with the rail."""
    return moved(
        cause,
        Kind.DELIVERY,
        token_id,
        Entry(giver, -(amount + costs)),
        Entry(receiver, amount),
        Entry(rail_costs(rail), costs),
        tenant=tenant,
        session_id=session_id,
    )


def fee_settled(
    cause: str,
    token_id: str,
    amount: int,
    *,
    tenant: Tenant | None,
    session_id: SessionId | None,
) -> Transfer:
    """A payment became final: its fee is not taken back any more."""
    return moved(
        cause,
        Kind.SETTLEMENT,
        token_id,
        Entry(FEES_PENDING, -amount),
        Entry(FEES, amount),
        tenant=tenant,
        session_id=session_id,
    )


def settled(
    cause: str,
    token_id: str,
    *,
    pending: str,
    final: str,
    amount: int,
    tenant: Tenant | None,
    session_id: SessionId | None,
) -> Transfer:
    """The merchant's money became final. Without entries where nothing was pending."""
    legs = (Entry(pending, -amount), Entry(final, amount)) if pending != final else ()
    return moved(cause, Kind.SETTLEMENT, token_id, *legs, tenant=tenant, session_id=session_id)
