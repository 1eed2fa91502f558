"""What the list of sessions shows of each, and the page of one; no input, output or clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks, Token
from gstable_server.kernel.money import (
    Asset,
    MicroUsd,
    Money,
    micro_usd_rounded_down,
    token_text,
)
from gstable_server.kernel.tenant import Mode
from gstable_server.sessions.holds.model import held_payment
from gstable_server.sessions.model import (
    BusinessType,
    Payment,
    SessionState,
    SessionView,
)
from gstable_server.web.dashboard.presenter import SessionRow, session_row
from gstable_server.web.dashboard.purse import Purse
from gstable_server.web.dashboard.speech import _, dollars, moment
from gstable_server.web.dashboard.words import FLAGS, PAYMENT_STATES


@dataclass(frozen=True, slots=True)
class ListedSession:
    """``final`` is the merchant's for good; ``unfinal`` is what a reorganisation can still undo.
    They stand in columns of their own and are never added up."""

    row: SessionRow
    final: str
    unfinal: str


def listed(view: SessionView, networks: Networks) -> ListedSession:
    final = unfinal = ""
    payment = view.payment
    if payment is not None:
        purse = Purse(networks, view.session.tenant.mode)
        if view.session.state is SessionState.COMPLETED:
            final = purse.text(payment.settlement_token, payment.received)
        else:
            amount = payment.received or payment.promised
            unfinal = purse.text(payment.settlement_token, amount)
    return ListedSession(session_row(view), final, unfinal)


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One session with all that is known of it. ``metadata`` is what the shop wrote to it."""

    row: SessionRow
    recipient: str
    account_id: str
    link_id: str
    payer_email: str
    success_url: str
    metadata: tuple[tuple[str, str], ...]
    expires_at: str
    paid_at: str
    completed_at: str
    lines: tuple[LineRow, ...]
    payments: tuple[PaymentRow, ...]


@dataclass(frozen=True, slots=True)
class LineRow:
    name: str
    quantity: int
    unit_price: str


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """Money on a chain. ``transaction_url`` only where the operator named an explorer."""

    payment_id: str
    session_id: str
    network: str
    chain_id: int
    transaction_hash: str
    transaction_url: str
    payer: str
    received: str
    fee: str
    token: str
    state: str
    flags: tuple[str, ...]
    seen_at: str


def session_page(view: SessionView, networks: Networks) -> SessionPage:
    session = view.session
    is_link = session.business_type is BusinessType.PAYMENT_LINK
    return SessionPage(
        row=session_row(view),
        recipient=to_checksum(session.recipient),
        account_id=session.account_id,
        link_id=session.business_id if is_link else "",
        payer_email=session.payer_email or "",
        success_url=session.success_url or "",
        metadata=_metadata(session.metadata or {}),
        expires_at=moment(session.expires_at),
        paid_at=moment(session.paid_at) if session.paid_at else "",
        completed_at=moment(session.completed_at) if session.completed_at else "",
        lines=tuple(
            LineRow(
                name=item.product.name if item.product else _("Product"),
                quantity=item.quantity,
                unit_price=dollars(MicroUsd(item.unit_price)) if item.unit_price else "",
            )
            for item in session.line_items
        ),
        payments=tuple(
            payment_row(payment, networks, session.tenant.mode) for payment in view.payments
        ),
    )


def _metadata(given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Texts as they are, everything else as JSON."""
    return tuple(
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in given.items()
    )


def payment_row(payment: Payment, networks: Networks, mode: Mode) -> PaymentRow:
    network = networks.find_network(payment.network)
    paid = networks.find_token(payment.token_id, mode)
    settlement = networks.find_token(payment.settlement_token, mode)

    def amount(atomic: int, of: Token | None) -> str:
        """Exact; in atomic units where the configuration no longer knows the token."""
        if of is None:
            return _("%(amount)s atomic units", amount=atomic)
        return token_text(Money(atomic, of.asset))

    return PaymentRow(
        payment_id=payment.payment_id,
        session_id=payment.session_id or "",
        network=network.title if network else payment.network,
        chain_id=payment.chain_id,
        transaction_hash=f"0x{payment.tx_hash.hex()}",
        transaction_url=networks.transaction_url(payment.network, payment.tx_hash),
        payer=to_checksum(payment.payer),
        received=amount(payment.received, settlement),
        fee=amount(payment.fee_received, paid),
        token=paid.symbol if paid else payment.token_id,
        state=PAYMENT_STATES[payment.state],
        flags=tuple(FLAGS[flag] for flag in sorted(payment.flags)),
        seen_at=moment(payment.seen_at),
    )


@dataclass(frozen=True, slots=True)
class HoldRow:
    """What became of a payment that is captured by hand. ``can_capture``: it pays its session."""

    authorized: str
    captured: str
    returned: str
    remaining: str
    capture_before: str
    is_open: bool
    can_capture: bool


def hold_row(view: SessionView) -> HoldRow | None:
    payment = held_payment(view.payments)
    if payment is None or payment.hold is None or payment.decimals is None:
        return None
    asset = Asset(payment.token_id, payment.decimals)

    def shown(atomic: int) -> str:
        return dollars(micro_usd_rounded_down(Money(atomic, asset)))

    return HoldRow(
        authorized=shown(payment.amount),
        captured=shown(payment.hold.captured),
        returned=shown(payment.hold.returned),
        remaining=shown(payment.remaining),
        capture_before=moment(payment.hold.capture_before),
        is_open=payment.remaining > 0,
        can_capture=payment.pays,
    )
