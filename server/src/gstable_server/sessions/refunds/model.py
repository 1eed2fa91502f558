"""A refund, and how much of a payment can be given back. Amounts are atomic units of the token
that the merchant received, unless they are said to be Micro-USD."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import MemberId, PaymentId, RefundId, SessionId
from gstable_server.kernel.money import MicroUsd
from gstable_server.sessions.model import Flag, Payment, PaymentState

LIFETIME = timedelta(hours=24)
"""How long a prepared refund keeps its part of the payment."""

WATCHED_AFTER = timedelta(days=7)
"""How much longer its transfer is looked for: a wallet may send late what it was once given."""

CLOCK_TOLERANCE = timedelta(minutes=5)
"""A transfer in a block older than this before the refund was made for another reason. Not 0,
because a block's time is its proposer's and may be before what is in it was sent."""


class RefundState(StrEnum):
    """As they are written on the wire."""

    AWAITING = "awaiting_approval"
    PREPARED = "prepared"
    SEEN = "seen"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


COUNTED = frozenset(
    {RefundState.AWAITING, RefundState.PREPARED, RefundState.SEEN, RefundState.COMPLETED}
)
"""The states of a refund whose part of the payment is not free for another one."""


class Approval(StrEnum):
    """Whether a second person has to stand behind a refund, and does."""

    NOT_NEEDED = "not_needed"
    AWAITED = "awaited"
    GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Claim:
    """The log that proves a refund: (network, ``tx_hash``, ``log_position``) names it for good."""

    tx_hash: bytes
    log_position: int


@dataclass(frozen=True, slots=True)
class Terms:
    """The one transfer that is to be made: plain ERC-20, from the wallet that was paid."""

    network: str
    chain_id: int
    token_id: str
    token: Address
    decimals: int
    sender: Address
    receiver: Address
    amount: int


@dataclass(frozen=True, slots=True)
class Refund:
    """``amount`` is in Micro-USD, rounded down; ``terms.amount`` is exact. ``watched_until`` is
    None once its transfer is no longer looked for. ``prepared_by`` is None where no person of the
    team did it: an API key, or the operator of the server."""

    refund_id: RefundId
    session_id: SessionId
    payment_id: PaymentId
    terms: Terms
    amount: MicroUsd
    reason: str | None
    state: RefundState
    expires_at: datetime
    watched_until: datetime | None
    created_at: datetime
    claim: Claim | None = None
    completed_at: datetime | None = None
    prepared_by: MemberId | None = None
    approval: Approval = Approval.NOT_NEEDED


def remaining(payment: Payment, refunds: Iterable[Refund]) -> int:
    """What can still be given back of ``payment``; 0 where more was given than arrived, as when a
    merchant sends what was prepared, given up and prepared again."""
    counted = sum(
        refund.terms.amount
        for refund in refunds
        if refund.payment_id == payment.payment_id and refund.state in COUNTED
    )
    return max(payment.received - counted, 0)


def obstacle(payment: Payment) -> str | None:
    """Why no money of ``payment`` can be given back, or None when it is in the merchant's wallet
    and no reorganisation takes it away."""
    if payment.state is PaymentState.RETURNED:
        return "names a payment that went back to its payer"
    if Flag.WRONG_RECIPIENT in payment.flags:
        return "names a payment that went to another wallet"
    is_final = payment.state is PaymentState.FINAL
    if payment.delivery is not None:
        is_final = is_final and payment.delivery.final_at is not None
    elif payment.crosses:
        is_final = False
    if not is_final:
        return "names a payment that is not final yet"
    if payment.received == 0:
        return "names a payment whose money is not in the merchant's wallet"
    return None
