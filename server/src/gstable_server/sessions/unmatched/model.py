"""Money that came to an address or a contract of ours, or to a merchant's wallet through them.

Amounts are atomic units of the token that is named beside them; the network's own coin is the
token ``NATIVE``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gstable_server.chain.orders import ContractCall
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import InflowId, MerchantId, PaymentId, RefundId, SessionId
from gstable_server.kernel.tenant import Mode
from gstable_server.sessions.refunds.model import Refund

REASON_MAX = 500


class Source(StrEnum):
    """What proves the money."""

    PAYMENT = "payment"
    """The router's log: it is in the merchant's wallet, or on the way there."""
    TRANSFER = "transfer"
    """A token's own log: it is at a deposit address, or at a contract of ours."""
    COIN = "coin"
    """Balances of the network's own coin at a deposit address, which leaves no log."""


class Why(StrEnum):
    """Why money is not simply the payment that was asked for; a set, not one of many."""

    UNDER = "under"
    OVER = "over"
    LATE = "late"
    DUPLICATE = "duplicate"
    WRONG_TOKEN = "wrong_token"  # noqa: S105
    WRONG_CHAIN = "wrong_chain"
    WRONG_RECIPIENT = "wrong_recipient"
    UNMATCHED = "unmatched"
    """It belongs to no session."""
    STRAY = "stray"
    """It was sent straight to a contract of ours."""
    COIN = "coin"
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105
    DUST = "dust"


class State(StrEnum):
    """Where the money stands; those of ``WAITING`` wait for a person or for what one began."""

    EXPECTED = "expected"
    """At a deposit address whose session may still take it."""
    OPEN = "open"
    RESOLVING = "resolving"
    RESOLVED = "resolved"
    DISMISSED = "dismissed"
    GONE = "gone"
    """Its block left the chain, so that it never came; it may come again."""


WAITING = (State.OPEN, State.RESOLVING)


class How(StrEnum):
    """What became of resolved money."""

    COLLECTED = "collected"
    """A payment of its session took it."""
    ACCEPTED = "accepted"
    REFUNDED = "refunded"
    RETURNED = "returned"
    """It went back to the address that the payer named, or that the deposit address commits to."""


class Act(StrEnum):
    """What a person may do about money that waits."""

    ACCEPT = "accept"
    REFUND = "refund"
    SWEEP = "sweep"
    DISMISS = "dismiss"


@dataclass(frozen=True, slots=True)
class Inflow:
    """``amount`` came from ``sender`` to ``receiver``. ``collected`` and ``returned`` of it left a
    deposit address again, by logs that stand.

    ``token`` is None where only its name in the book is known. ``name`` of the log is (network,
    ``tx_hash``, ``log_position``), None for coins. ``cause`` is the executor's name of the return
    that was asked for, ``refund_id`` the refund.
    """

    inflow_id: InflowId
    source: Source
    network: str
    mode: Mode
    token: Address | None
    token_id: str
    decimals: int | None
    amount: int
    sender: Address | None
    receiver: Address
    tx_hash: bytes | None
    log_position: int | None
    block_number: int | None
    arrived_at: datetime
    final: bool
    flags: frozenset[Why]
    state: State
    seen_at: datetime
    session_id: SessionId | None = None
    payment_id: PaymentId | None = None
    merchant_id: MerchantId | None = None
    how: How | None = None
    collected: int = 0
    returned: int = 0
    refund_id: RefundId | None = None
    cause: str | None = None
    resolved_at: datetime | None = None

    @property
    def left(self) -> int:
        """What is still where it arrived."""
        return self.amount - self.collected - self.returned


@dataclass(frozen=True, slots=True)
class Decision:
    """What was done about an inflow, by whom and why. ``act`` is None for what the chain or a
    session did by itself."""

    inflow_id: InflowId
    act: Act | None
    actor: str
    reason: str
    before: State
    after: State
    at: datetime


@dataclass(frozen=True, slots=True)
class InflowView:
    """An inflow with what can be done about it (None: possible, else why not), what was done, and
    the call that anybody may send to return it, where there is one."""

    inflow: Inflow
    resolutions: Mapping[Act, str | None]
    decisions: Sequence[Decision]
    refund: Refund | None
    call: ContractCall | None
    chain_id: int | None


@dataclass(frozen=True, slots=True)
class Total:
    """What waits in one token on one network: how often, and how much in all."""

    network: str
    token_id: str
    decimals: int | None
    count: int
    amount: int
