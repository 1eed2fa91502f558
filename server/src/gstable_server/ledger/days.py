"""What the book adds up to by day: pure.

A merchant's money is in one of some pockets. Only what is settled is revenue; what a
reorganisation can still undo, and what pays nothing as asked, stand beside it and are never
summed with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date
from enum import StrEnum

from gstable_server.kernel.ids import MerchantId
from gstable_server.ledger.model import (
    FEES,
    FEES_PENDING,
    Kind,
    merchant_exceptional,
    merchant_pending,
    merchant_settled,
)
from gstable_server.ledger.seals import TransferRow


class Pocket(StrEnum):
    """Whose the money is, and how surely."""

    SETTLED = "settled"
    """The merchant's for good."""
    PENDING = "pending"
    """On the way to the merchant: a reorganisation can still undo it."""
    EXCEPTIONAL = "exceptional"
    """In the merchant's wallet, and pays no session as asked."""
    FEES = "fees"
    """The platform's for good, of this merchant's payments."""
    FEES_PENDING = "fees_pending"


@dataclass(frozen=True, slots=True)
class DayTotal:
    """What transfers of one ``kind`` added to ``pocket`` on ``day`` (UTC), in atomic units of
    ``token_id``; negative where they took away. ``entries`` counts them."""

    day: date
    token_id: str
    pocket: Pocket
    kind: Kind
    amount: int
    entries: int


@dataclass(frozen=True, slots=True)
class TokenTotal:
    """What a merchant has of one token, in atomic units. ``settled`` is before refunds: what is
    left of it is ``kept``. Nothing else is revenue."""

    token_id: str
    settled: int = 0
    refunded: int = 0
    pending: int = 0
    exceptional: int = 0
    fees: int = 0
    fees_pending: int = 0

    @property
    def kept(self) -> int:
        """What was settled and not given back."""
        return self.settled - self.refunded


DayKey = tuple[str, str, date, str, str, str]
"""Merchant, mode, day, token id, account and kind."""


def summed(transfers: Iterable[TransferRow]) -> dict[DayKey, tuple[int, int]]:
    """The sum and the number of the entries of each day, those of no merchant left out."""
    sums: dict[DayKey, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for transfer in transfers:
        if transfer.merchant_id is None or transfer.mode is None:
            continue
        day = transfer.posted_at.astimezone(UTC).date()
        for entry in transfer.entries:
            key = (
                transfer.merchant_id,
                transfer.mode,
                day,
                entry.token_id,
                entry.account,
                transfer.kind,
            )
            amount, entries = sums[key]
            sums[key] = amount + entry.amount, entries + 1
    return dict(sums)


def pockets(merchant_id: MerchantId) -> Mapping[str, Pocket]:
    """The accounts of the book that are a merchant's pockets. Fees of other merchants stand in
    other rows: a total names its merchant."""
    return {
        merchant_settled(merchant_id): Pocket.SETTLED,
        merchant_pending(merchant_id): Pocket.PENDING,
        merchant_exceptional(merchant_id): Pocket.EXCEPTIONAL,
        FEES: Pocket.FEES,
        FEES_PENDING: Pocket.FEES_PENDING,
    }


def by_token(totals: Iterable[DayTotal]) -> dict[str, TokenTotal]:
    """The totals of all their days, by token id."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in totals:
        is_refund = one.pocket is Pocket.SETTLED and one.kind is Kind.REFUND
        if is_refund:
            sums[one.token_id]["refunded"] -= one.amount
        else:
            sums[one.token_id][one.pocket.value] += one.amount
    return {token_id: TokenTotal(token_id, **sums[token_id]) for token_id in sorted(sums)}
