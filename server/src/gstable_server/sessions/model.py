"""A checkout session, the orders signed for it, and the money that reached the chain for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from gstable_server.accounts.model import ReceivingAccount
from gstable_server.catalog.model import LineItem
from gstable_server.chain.facts import RailName
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import (
    AccountId,
    ClientCode,
    PaymentId,
    ReceiptId,
    SessionId,
)
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Tenant
from gstable_server.routing.model import FeeModel


class SessionState(StrEnum):
    """The states of spec 6, as they are written on the wire."""

    INITIALIZED = "initialized"
    PAID = "paid"
    SETTLING = "settling"
    SETTLEMENT_PENDING = "settlement_pending"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class SessionType(StrEnum):
    """What opened the session (spec 15, Names and states)."""

    CHECKOUT = "checkout"
    PAYMENT_LINK = "payment_link"
    AI_CHECKOUT = "ai_checkout"


class BusinessType(StrEnum):
    """What ``business_id`` names (spec 15, Names and states)."""

    CHECKOUT_SESSION = "checkout_session"
    PAYMENT_LINK = "payment_link"


class CaptureMethod(StrEnum):
    """When the merchant gets a payer's money, as it is written on the wire."""

    AUTOMATIC = "automatic"
    """With the payment."""
    MANUAL = "manual"
    """When the merchant captures it: until then it is held (docs/operations/authorize.md)."""


@dataclass(frozen=True, slots=True)
class Preset:
    """Who alone prepares the session's payment, and with which token; fixed when it was opened."""

    payer: Address
    token_id: str


@dataclass(frozen=True, slots=True)
class Announced:
    """What was told of a session before anything of it was stored: it is opened as just that."""

    session_id: SessionId
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """One payment that is awaited. ``amount`` is in Micro-USD, before a fee added on top."""

    session_id: SessionId
    session_key: bytes
    tenant: Tenant
    session_type: SessionType
    business_type: BusinessType
    business_id: str
    client_code: ClientCode
    account_id: AccountId
    recipient: Address
    settlement_token: str
    fee_model: FeeModel
    amount: MicroUsd
    line_items: tuple[LineItem, ...]
    payer_email_required: bool
    expires_at: datetime
    created_at: datetime
    payer_email: str | None = None
    success_url: str | None = None
    metadata: dict[str, Any] | None = None
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    preset: Preset | None = None
    networks: frozenset[str] | None = None
    """Where it may be paid, None for everywhere: as its merchant had decided when it began."""
    state: SessionState = SessionState.INITIALIZED
    signed_once: bool = False
    receipt_id: ReceiptId | None = None
    paid_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What a session is asked to be, by whichever door it came in."""

    tenant: Tenant
    account: ReceivingAccount
    settlement_token: str
    fee_model: FeeModel
    amount: MicroUsd
    line_items: tuple[LineItem, ...]
    session_type: SessionType
    business_type: BusinessType
    business_id: str | None
    lifetime: timedelta
    payer_email_required: bool = False
    payer_email: str | None = None
    success_url: str | None = None
    metadata: dict[str, Any] | None = None
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    preset: Preset | None = None


def opened(
    draft: Draft, session_id: SessionId, session_key: bytes, client_code: ClientCode, now: datetime
) -> Session:
    """The session that ``draft`` asks for; the account's wallet is fixed here for good."""
    return Session(
        session_id=session_id,
        session_key=session_key,
        tenant=draft.tenant,
        session_type=draft.session_type,
        business_type=draft.business_type,
        business_id=draft.business_id or session_id,
        client_code=client_code,
        account_id=draft.account.account_id,
        recipient=draft.account.address,
        settlement_token=draft.settlement_token,
        fee_model=draft.fee_model,
        amount=draft.amount,
        line_items=draft.line_items,
        payer_email_required=draft.payer_email_required,
        payer_email=draft.payer_email,
        success_url=draft.success_url,
        metadata=draft.metadata,
        capture_method=draft.capture_method,
        preset=draft.preset,
        networks=draft.account.accepted_networks,
        expires_at=now + draft.lifetime,
        created_at=now,
    )


class PaymentState(StrEnum):
    """Where the payment's transaction stands on its chain; returned: it is final, and the payer
    took the money back from the rail."""

    SEEN = "seen"
    FINAL = "final"
    REVERTED = "reverted"
    LOST = "lost"
    RETURNED = "returned"


STANDING = frozenset({PaymentState.SEEN, PaymentState.FINAL})
"""The states of a payment whose money is the merchant's, or on the way there."""


class Flag(StrEnum):
    """Why a payment is not simply the payment that was asked for; a set, not one of many."""

    UNDER = "under"
    OVER = "over"
    LATE = "late"
    DUPLICATE = "duplicate"
    WRONG_TOKEN = "wrong_token"  # noqa: S105
    WRONG_RECIPIENT = "wrong_recipient"
    UNMATCHED = "unmatched"
    ACCEPTED = "accepted"
    """Unusual in the ways above, and the merchant took it all the same."""


CROSSING = frozenset({RailName.CCTP, RailName.ESCROW})
"""Rails that end on another network, with a transaction of their own there."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The far end of a payment that crosses: what reached the merchant there, in atomic units of
    the payment's settlement token. ``final_at`` once both ends are final."""

    network: str
    tx_hash: bytes
    log_position: int
    received: int
    delivered_at: datetime
    final_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """What became of a payment that is held, in atomic units of its token.

    ``captured`` and ``returned`` left the hold by logs that stand, final or not. Of the final
    captures ``received`` reached the merchant and ``fee`` the platform; ``capture_tx`` is the last
    of them. From ``capture_before`` on nothing is captured, and anybody can have the rest given
    back to the payer.
    """

    capture_before: datetime
    captured: int = 0
    returned: int = 0
    received: int = 0
    fee: int = 0
    capture_tx: bytes | None = None
    captured_at: datetime | None = None


PaymentName = tuple[str, bytes, int]
"""Network, transaction hash and position among the transaction's logs: one log for good."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that a router's log proves.

    ``amount`` (what the payer gave besides the fee, net of change) and ``fee_received`` are atomic
    units of ``token_id``. What the merchant gets is in atomic units of ``settlement_token``:
    ``promised`` in the signed order, ``merchant_received`` in the payment's own transaction, and
    later ``delivery`` or the captures of ``hold``. A direct payment has one token, and its three
    amounts are one.

    ``decimals`` and ``settlement_decimals`` are the tokens', kept because a token may leave the
    configuration; None for one that never was in it.
    """

    payment_id: PaymentId
    session_id: SessionId | None
    network: str
    chain_id: int
    tx_hash: bytes
    log_position: int
    block_number: int
    block_hash: bytes
    block_time: datetime
    payer: Address
    merchant: Address
    token_id: str
    decimals: int | None
    amount: int
    fee_received: int
    rail: RailName | None
    settlement_token: str
    settlement_decimals: int | None
    promised: int
    merchant_received: int
    state: PaymentState
    flags: frozenset[Flag]
    pays: bool
    seen_at: datetime
    final_at: datetime | None = None
    times_mined: int = 1
    delivery: Delivery | None = None
    times_delivered: int = 0
    hold: Hold | None = None

    @property
    def received(self) -> int:
        """What reached the merchant so far, in atomic units of ``settlement_token``."""
        if self.hold is not None:
            return self.hold.received
        return self.delivery.received if self.delivery else self.merchant_received

    @property
    def remaining(self) -> int:
        """What is still held, in atomic units of ``token_id``; 0 for what is not held at all."""
        if self.hold is None:
            return 0
        return self.amount - self.hold.captured - self.hold.returned

    @property
    def crosses(self) -> bool:
        """Whether the merchant is paid by another transaction, on another network."""
        return self.rail in CROSSING

    @property
    def name(self) -> PaymentName:
        """Which log it is."""
        return self.network, self.tx_hash, self.log_position

    @property
    def cause(self) -> str:
        """How the ledger names this payment since it last came into a block. Counted, not named
        by the block: a chain may turn back to a branch that it had left."""
        return f"{self.network}:{self.tx_hash.hex()}:{self.log_position}:{self.times_mined}"


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session with every payment that reached the chain for it, oldest first."""

    session: Session
    payments: tuple[Payment, ...] = field(default=())

    @property
    def payment(self) -> Payment | None:
        """The payment that pays the session, if there is one that still stands."""
        for payment in self.payments:
            if payment.pays and payment.state in STANDING:
                return payment
        return None
