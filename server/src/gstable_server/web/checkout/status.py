"""A payment's status in a payer's words, computed from its session and what the chain shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.money import Asset, Money
from gstable_server.sessions.model import (
    STANDING,
    BusinessType,
    Flag,
    Payment,
    PaymentState,
    SessionState,
    SessionView,
)
from gstable_server.sessions.refunds.model import Refund, RefundState
from gstable_server.web.language import N_, Words

SUCCESS = frozenset({SessionState.PAID, SessionState.SETTLING, SessionState.COMPLETED})


@dataclass(frozen=True, slots=True)
class Receipt:
    """The payment that counted, in words, and its transaction."""

    text: str
    tx_hash_hex: str


@dataclass(frozen=True, slots=True)
class Confirmations:
    """How many of how many blocks, and the same in words."""

    count: int
    needed: int
    text: str


@dataclass(frozen=True, slots=True)
class Status:
    """Where the payment stands. ``phase`` is open, progress, done or closed; times are Unix
    seconds."""

    state: str
    phase: str
    headline: str
    detail: str
    expires_at: int
    now: int
    confirmations: Confirmations | None = None
    redirect_url: str | None = None
    receipt: Receipt | None = None
    notices: tuple[str, ...] = field(default=())
    may_start_again: bool = False
    """Whether the payer may open a fresh session from the same link."""

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
            and {
                "count": confirmations.count,
                "needed": confirmations.needed,
                "text": confirmations.text,
            },
            "receipt": receipt and {"text": receipt.text, "txHash": receipt.tx_hash_hex},
            "expiresAt": self.expires_at,
            "now": self.now,
            "redirectUrl": self.redirect_url,
            "again": self.may_start_again,
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
    shop_url: str | None = None
    """Where the payer came from, as far as the merchant told."""
    refunds: tuple[Refund, ...] = ()


def status(view: SessionView, around: Surroundings, words: Words) -> Status:
    """The status in words (spec 6 for the states)."""
    session = view.session
    phase, headline, detail = _words(view, around, words)
    starts_again = may_start_again(
        view, around.now, something_came=around.collects or bool(around.deposit_notices)
    )
    leads_to_shop = phase == "closed" and not starts_again and not _standing(view)
    return Status(
        state=session.state.value,
        phase=phase,
        headline=headline,
        detail=detail,
        expires_at=unix_seconds(session.expires_at),
        now=unix_seconds(around.now),
        confirmations=_confirmations(view, around, words) if phase == "progress" else None,
        redirect_url=(
            around.redirect_url
            if session.state in SUCCESS
            else around.shop_url
            if leads_to_shop
            else None
        ),
        receipt=_receipt(view.payment, around.networks, words),
        notices=tuple(_notices(view, around, words)),
        may_start_again=starts_again,
    )


def may_start_again(view: SessionView, now: datetime, *, something_came: bool) -> bool:
    """Whether a fresh session may follow this one: its time is over, it is of a link, and no money
    has come, in a payment or at the session's own address, that a second one would double."""
    session = view.session
    is_over = session.state is SessionState.EXPIRED or (
        session.state is SessionState.INITIALIZED and session.expires_at <= now
    )
    from_link = session.business_type is BusinessType.PAYMENT_LINK
    return is_over and from_link and not something_came and not _standing(view)


def _words(view: SessionView, around: Surroundings, words: Words) -> tuple[str, str, str]:
    name, _ = around.merchant_name, words.gettext
    session = view.session
    match session.state:
        case SessionState.INITIALIZED if _standing(view):
            # The router takes one payment a session: another one would only fail.
            text = _("Please do not pay again.")
            return "closed", _("This payment needs the merchant"), text
        case SessionState.INITIALIZED if around.collects:
            text = _(
                "It is being brought to %(name)s. Do not send it again; you can leave this page.",
                name=name,
            )
            return "progress", _("Your transfer has arrived"), text
        case SessionState.INITIALIZED if session.expires_at > around.now:
            return "open", _("Waiting for your payment"), ""
        case SessionState.INITIALIZED | SessionState.EXPIRED:
            something = _standing(view) or around.deposit_notices
            text = _("Please do not pay any more.")
            if not something and session.business_type is BusinessType.PAYMENT_LINK:
                text = _("Nothing was charged.")
            elif not something:
                text = _("Nothing was charged. To pay, start again from the shop.")
            return "closed", _("The time for this payment is over"), text
        case SessionState.CANCELLED:
            text = _("%(name)s has withdrawn it. Please do not pay.", name=name)
            return "closed", _("This payment was cancelled"), text
        case SessionState.PAID | SessionState.SETTLING:
            return "progress", _("Your payment has arrived"), _progress(view, around, words)
        case SessionState.SETTLEMENT_PENDING:
            text = _("It takes longer than usual and goes on by itself. Please do not pay again.")
            return "progress", _("Your payment is delayed"), text
        case SessionState.COMPLETED:
            thanks = _("Thank you. %(name)s has received your payment.", name=name)
            return "done", _("Payment complete"), around.success_text or thanks


def _progress(view: SessionView, around: Surroundings, words: Words) -> str:
    """What happens between the payment and its end. No duration is promised: networks and the
    companies that carry tokens between them give none."""
    payment = view.payment
    if payment is not None and payment.crosses and view.session.state is SessionState.SETTLING:
        return words.gettext(
            "It is on its way to %(name)s from %(network)s to %(target)s. That can take from "
            "seconds to some minutes. You can leave this page.",
            name=around.merchant_name,
            network=_title(payment.network, around.networks),
            target=_title(payment.settlement_token.partition("::")[0], around.networks),
        )
    return words.gettext("The network is confirming it. You can leave this page: nothing is lost.")


def _title(network: str, networks: Networks) -> str:
    found = networks.find_network(network)
    return found.title if found else network


def _standing(view: SessionView) -> list[Payment]:
    """The payments that are on the chain now."""
    return [payment for payment in view.payments if payment.state in STANDING]


def _confirmations(view: SessionView, around: Surroundings, words: Words) -> Confirmations | None:
    """The payment's own block counts as the first confirmation (chain.networks.Network)."""
    payment = view.payment
    network = around.networks.find_network(payment.network) if payment else None
    if payment is None or network is None or payment.state is not PaymentState.SEEN:
        return None
    height = around.heights.get(payment.network, payment.block_number)
    needed = network.confirmations
    count = max(1, min(height - payment.block_number + 1, needed))
    text = words.gettext(
        "Confirmation %(count)s of %(needed)s",
        count=words.number(count),
        needed=words.number(needed),
    )
    return Confirmations(count, needed, text)


def _receipt(payment: Payment | None, networks: Networks, words: Words) -> Receipt | None:
    if payment is None:
        return None
    text = words.gettext(
        "%(amount)s on %(network)s",
        amount=_arrived(payment, words),
        network=_title(payment.network, networks),
    )
    return Receipt(text, "0x" + payment.tx_hash.hex())


def _arrived(payment: Payment, words: Words) -> str:
    """What the payer gave, as the chain says."""
    if payment.decimals is None:
        return words.gettext("A payment in a token that is not accepted here")
    given = payment.amount + payment.fee_received
    symbol = payment.token_id.partition("::")[2].upper()
    return words.token(Money(given, Asset(payment.token_id, payment.decimals)), symbol)


_UNUSUAL = (
    (Flag.ACCEPTED, N_("%(amount)s arrived, and %(name)s accepted it.")),
    (
        Flag.LATE,
        N_("%(amount)s arrived after the time was over. Ask %(name)s to accept or return it."),
    ),
    (Flag.DUPLICATE, N_("%(amount)s arrived a second time. Ask %(name)s to return it.")),
    (Flag.UNDER, N_("%(amount)s arrived, which is less than is due. Contact %(name)s.")),
    (
        Flag.OVER,
        N_("%(amount)s arrived, which is more than was due. Ask %(name)s about the rest."),
    ),
)
_NOT_AS_AGREED = N_("%(amount)s arrived, but not as agreed. Contact %(name)s.")


def _notices(view: SessionView, around: Surroundings, words: Words) -> Iterable[str]:
    """What the payer must know of money that is not simply the payment (spec 15, Sessions)."""
    yield from around.deposit_notices
    for payment in _standing(view):
        if payment.flags:
            said = (text for flag, text in _UNUSUAL if flag in payment.flags)
            text = next(said, _NOT_AS_AGREED)
            amount = _arrived(payment, words)
            yield words.gettext(text, amount=amount, name=around.merchant_name)
    for refund in around.refunds:
        terms = refund.terms
        if refund.state in {RefundState.SEEN, RefundState.COMPLETED}:
            symbol = terms.token_id.partition("::")[2].upper()
            yield words.gettext(
                "%(amount)s went back to %(address)s on %(network)s.",
                amount=words.token(
                    Money(terms.amount, Asset(terms.token_id, terms.decimals)), symbol
                ),
                address=to_checksum(terms.receiver),
                network=_title(terms.network, around.networks),
            )
