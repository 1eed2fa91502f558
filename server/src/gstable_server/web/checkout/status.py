"""A payment's status in a payer's words, computed from its session and what the chain shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gstable_server.chain.networks import Networks
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.money import Asset, Money, token_text
from gstable_server.sessions.model import (
    STANDING,
    Flag,
    Payment,
    SessionState,
    SessionView,
)

_SUCCESS = frozenset({SessionState.PAID, SessionState.SETTLING, SessionState.COMPLETED})


@dataclass(frozen=True, slots=True)
class Receipt:
    """The payment that counted, in words, and its transaction."""

    text: str
    tx_hash_hex: str


@dataclass(frozen=True, slots=True)
class Status:
    """Where the payment stands. ``phase`` is open, progress, done or closed; times are Unix
    seconds; ``confirmations`` is how many of how many blocks."""

    state: str
    phase: str
    headline: str
    detail: str
    expires_at: int
    now: int
    confirmations: tuple[int, int] | None = None
    redirect_url: str | None = None
    receipt: Receipt | None = None
    notices: tuple[str, ...] = field(default=())

    @property
    def is_over(self) -> bool:
        """Whether nothing more is expected to change."""
        return self.phase in {"done", "closed"}

    def to_json(self) -> dict[str, Any]:
        """What the page's script reads."""
        confirmations = self.confirmations
        receipt = self.receipt
        return {
            "state": self.state,
            "phase": self.phase,
            "headline": self.headline,
            "detail": self.detail,
            "notices": list(self.notices),
            "confirmations": confirmations
            and {"count": confirmations[0], "needed": confirmations[1]},
            "receipt": receipt and {"text": receipt.text, "txHash": receipt.tx_hash_hex},
            "expiresAt": self.expires_at,
            "now": self.now,
            "redirectUrl": self.redirect_url,
        }


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a session's status needs beside the session: the merchant's words, the chain's height
    by network, where to go afterwards."""

    merchant_name: str
    success_text: str | None
    networks: Networks
    heights: Mapping[str, int]
    redirect_url: str | None
    now: datetime
    collects: bool = False
    """Whether a transfer to the session's own address is being brought to the merchant."""
    deposit_notices: tuple[str, ...] = ()
    """What there is to say of money at that address."""


def status(view: SessionView, around: Surroundings) -> Status:
    """The status in words (spec 6 for the states)."""
    session = view.session
    phase, headline, detail = _words(view, around)
    return Status(
        state=session.state.value,
        phase=phase,
        headline=headline,
        detail=detail,
        expires_at=unix_seconds(session.expires_at),
        now=unix_seconds(around.now),
        confirmations=_confirmations(view, around) if phase == "progress" else None,
        redirect_url=around.redirect_url if session.state in _SUCCESS else None,
        receipt=_receipt(view.payment, around.networks),
        notices=tuple(_notices(view, around)),
    )


def _words(view: SessionView, around: Surroundings) -> tuple[str, str, str]:
    name = around.merchant_name
    session = view.session
    match session.state:
        case SessionState.INITIALIZED if _standing(view):
            # The router takes one payment a session: another one would only fail.
            return "closed", "This payment needs the merchant", "Please do not pay again."
        case SessionState.INITIALIZED if around.collects:
            text = f"It is being brought to {name}. Do not send it again; you can leave this page."
            return "progress", "Your transfer has arrived", text
        case SessionState.INITIALIZED if session.expires_at > around.now:
            return "open", "Waiting for your payment", ""
        case SessionState.INITIALIZED | SessionState.EXPIRED:
            something = _standing(view) or around.deposit_notices
            text = "Please do not pay any more." if something else "Nothing was charged."
            return "closed", "The time for this payment is over", text
        case SessionState.CANCELLED:
            text = f"{name} has withdrawn it. Please do not pay."
            return "closed", "This payment was cancelled", text
        case SessionState.SETTLING if view.payment and view.payment.crosses:
            text = f"It is on its way to {name} on another network. You can leave this page."
            return "progress", "Your payment has arrived", text
        case SessionState.PAID | SessionState.SETTLING:
            text = "The network is confirming it. You can leave this page: nothing is lost."
            return "progress", "Your payment has arrived", text
        case SessionState.SETTLEMENT_PENDING:
            text = "It takes longer than usual and goes on by itself. Please do not pay again."
            return "progress", "Your payment is delayed", text
        case SessionState.COMPLETED:
            text = around.success_text or f"Thank you. {name} has received your payment."
            return "done", "Payment complete", text


def _standing(view: SessionView) -> list[Payment]:
    """The payments that are on the chain now."""
    return [payment for payment in view.payments if payment.state in STANDING]


def _confirmations(view: SessionView, around: Surroundings) -> tuple[int, int] | None:
    """The payment's own block counts as the first confirmation (chain.networks.Network)."""
    payment = view.payment
    network = around.networks.find_network(payment.network) if payment else None
    if payment is None or network is None:
        return None
    height = around.heights.get(payment.network, payment.block_number)
    needed = network.confirmations
    return max(1, min(height - payment.block_number + 1, needed)), needed


def _receipt(payment: Payment | None, networks: Networks) -> Receipt | None:
    if payment is None:
        return None
    network = networks.find_network(payment.network)
    title = network.title if network else payment.network
    return Receipt(f"{_arrived(payment)} on {title}", "0x" + payment.tx_hash.hex())


def _arrived(payment: Payment) -> str:
    """What the payer gave, as the chain says."""
    if payment.decimals is None:
        return "A payment in a token that is not accepted here"
    given = payment.amount + payment.fee_received
    symbol = payment.token_id.partition("::")[2].upper()
    return f"{token_text(Money(given, Asset(payment.token_id, payment.decimals)))} {symbol}"


def _notices(view: SessionView, around: Surroundings) -> Iterable[str]:
    """What the payer must know of money that is not simply the payment (spec 15, Sessions)."""
    yield from around.deposit_notices
    for payment in _standing(view):
        amount, name = _arrived(payment), around.merchant_name
        if Flag.ACCEPTED in payment.flags:
            yield f"{amount} arrived, and {name} accepted it."
        elif Flag.LATE in payment.flags:
            yield f"{amount} arrived after the time was over. Ask {name} to accept or return it."
        elif Flag.DUPLICATE in payment.flags:
            yield f"{amount} arrived a second time. Ask {name} to return it."
        elif Flag.UNDER in payment.flags:
            yield f"{amount} arrived, which is less than is due. Contact {name}."
        elif Flag.OVER in payment.flags:
            yield f"{amount} arrived, which is more than was due. Ask {name} about the rest."
        elif payment.flags:
            yield f"{amount} arrived, but not as agreed. Contact {name}."
