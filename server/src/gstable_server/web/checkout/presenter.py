"""What the payer's pages show, computed from links and sessions; no input, output or clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gstable_server.catalog.model import LineItem, Product
from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.ids import ProductId
from gstable_server.kernel.money import (
    MicroUsd,
    share_rounded_up,
    token_text,
    usd_text,
)
from gstable_server.kernel.tenant import Mode
from gstable_server.links.model import LinkStatus, LinkType, PaymentLink
from gstable_server.routing.model import FeeModel, RouteOption, Way
from gstable_server.sessions.model import BusinessType, Session, SessionView
from gstable_server.web.checkout.status import Status

UNTITLED = "Product"
SUGGESTIONS_MAX = 5
_AMOUNT = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?")


class AmountError(Exception):
    """What a payer typed is no amount; the text says how to write one."""


def parse_usd(text: str) -> MicroUsd:
    """Decimal US dollars as a payer types them, in Micro-USD: ``"12.5"`` → 12500000.

    Raises ``AmountError`` with a sentence for the payer. A comma is refused, because it means
    thousands to some and cents to others.
    """
    match = _AMOUNT.fullmatch(text.strip().removeprefix("$").strip())
    if match is None:
        raise AmountError("Write the amount in figures with a point, like 12.50.")
    whole, fraction = match.group(1), match.group(2) or ""
    amount = int(whole + fraction.ljust(6, "0"))
    if amount == 0:
        raise AmountError("Enter an amount above zero.")
    return MicroUsd(amount)


@dataclass(frozen=True, slots=True)
class LineView:
    """One line of the order; prices in Micro-USD, None where the payer decides."""

    name: str
    description: str | None
    image: str | None
    attributes: tuple[tuple[str, str], ...]
    quantity: int
    unit_price: MicroUsd | None
    total: MicroUsd | None


def line_view(item: LineItem) -> LineView:
    """``image`` only for pictures that this server hosts: the page may load no other."""
    shown = item.product
    price = MicroUsd(item.unit_price) if item.unit_price else None
    image = shown.image_url if shown else None
    return LineView(
        name=shown.name if shown else UNTITLED,
        description=shown.description if shown else None,
        image=image if image and image.startswith("/images/") else None,
        attributes=tuple((one.name, one.value) for one in shown.attributes) if shown else (),
        quantity=item.quantity,
        unit_price=price,
        total=None if price is None else MicroUsd(price * item.quantity),
    )


@dataclass(frozen=True, slots=True)
class LinkForm:
    """What the payer has filled in on the link's page, and what is wrong with it."""

    pick: str = ""
    amount: str = ""
    email: str = ""
    problem: str = ""
    amount_error: str = ""
    email_error: str = ""

    @classmethod
    def sent(cls, fields: Mapping[str, str]) -> LinkForm:
        """The fields as they came, cut to what a page may carry back."""
        return cls(
            pick=fields.get("pick", "")[:40],
            amount=fields.get("amount", "")[:40],
            email=fields.get("email", "").strip()[:254],
        )

    @property
    def amount_text(self) -> str:
        """The amount that was chosen, or typed under "Other"."""
        return self.amount if self.pick in {"", "other"} else self.pick

    def marked(self, **problems: str) -> LinkForm:
        """The same entries with what is wrong."""
        return replace(self, **problems)


@dataclass(frozen=True, slots=True)
class LinkPage:
    """The page of a payment link. ``amount`` is None where the payer names it."""

    link_id: str
    title: str
    merchant_name: str
    test_mode: bool
    lines: tuple[LineView, ...]
    amount: MicroUsd | None
    fee_text: str
    is_custom: bool
    suggestions: tuple[MicroUsd, ...]
    email_required: bool
    is_archived: bool
    closed_title: str
    closed_text: str


def link_page(
    link: PaymentLink, merchant_name: str, products: Mapping[ProductId, Product]
) -> LinkPage:
    """``products`` are those of the link; their common prices are offered for custom amounts."""
    is_custom = link.link_type is LinkType.CUSTOM
    closed_title, closed_text = _closed(link)
    return LinkPage(
        link_id=link.link_id,
        title=link.name,
        merchant_name=merchant_name,
        test_mode=link.tenant.mode is Mode.TEST,
        lines=tuple(line_view(item) for item in link.line_items),
        amount=None if is_custom else link.amount,
        fee_text=_fee_text(FeeModel(link.fee_model)),
        is_custom=is_custom,
        suggestions=_suggestions(products.values()) if is_custom else (),
        email_required=link.payer_email_required,
        is_archived=link.status is LinkStatus.ARCHIVED,
        closed_title=closed_title,
        closed_text=closed_text,
    )


def _closed(link: PaymentLink) -> tuple[str, str]:
    """Why the link opens no payment; empty while it does."""
    match link.status:
        case LinkStatus.ACTIVE:
            return "", ""
        case LinkStatus.INACTIVE:
            text = "The merchant has switched this payment page off. Please contact them."
            return "Not available at the moment", link.custom_disabled_text or text
        case LinkStatus.ARCHIVED:
            return "Closed", "This payment page has been closed for good. Contact the merchant."


def _suggestions(products: Iterable[Product]) -> tuple[MicroUsd, ...]:
    prices = {price for product in products for price in product.common_prices}
    return tuple(MicroUsd(price) for price in sorted(prices)[:SUGGESTIONS_MAX])


def _fee_text(fee_model: FeeModel) -> str:
    if fee_model is FeeModel.MERCHANT_PAYS:
        return "paid by the merchant"
    return "added at the next step"


@dataclass(frozen=True, slots=True)
class OptionView:
    """A token to pay with: what it costs, in words, and the way that is the least work."""

    token_id: str
    symbol: str
    payer_pays: str
    fee: str
    hint: str
    way: str


@dataclass(frozen=True, slots=True)
class NetworkView:
    """The tokens to pay with on one network, the cheapest first."""

    title: str
    options: tuple[OptionView, ...]


@dataclass(frozen=True, slots=True)
class PayPage:
    """The page of a session. ``added_fee`` and ``total`` (Micro-USD) are known where the payer
    bears a fee that is the same for every way to pay."""

    session_id: str
    client_code: str
    url: str
    qr: str
    merchant_name: str
    test_mode: bool
    lines: tuple[LineView, ...]
    amount: MicroUsd
    fee_text: str
    added_fee: MicroUsd | None
    total: MicroUsd
    networks: tuple[NetworkView, ...]
    asks_email: bool
    time_left: str
    expires_text: str
    again_path: str | None
    status: Status


def pay_page(
    view: SessionView,
    options: Sequence[tuple[RouteOption, tuple[Way, ...]]],
    shown: Status,
    *,
    merchant_name: str,
    url: str,
    qr: str,
) -> PayPage:
    """``options``: what can be paid with, each with its ways, the least work first. ``url`` is the
    page's own address and ``qr`` a picture of it as a ``data:`` URL."""
    session = view.session
    fee = _added_fee(session, [option for option, _ in options])
    from_link = session.business_type is BusinessType.PAYMENT_LINK
    return PayPage(
        session_id=session.session_id,
        client_code=session.client_code,
        url=url,
        qr=qr,
        merchant_name=merchant_name,
        test_mode=session.tenant.mode is Mode.TEST,
        lines=tuple(line_view(item) for item in session.line_items),
        amount=session.amount,
        fee_text=_fee_text(session.fee_model),
        added_fee=fee,
        total=MicroUsd(session.amount + (fee or 0)),
        networks=_grouped(session, options),
        asks_email=session.payer_email_required and session.payer_email is None,
        time_left=_time_left(shown.expires_at - shown.now),
        expires_text=f"{wire_time(session.expires_at)} UTC",
        again_path=f"/link/{session.business_id}"
        if from_link and shown.phase == "closed"
        else None,
        status=shown,
    )


def _added_fee(session: Session, options: Sequence[RouteOption]) -> MicroUsd | None:
    if session.fee_model is FeeModel.MERCHANT_PAYS:
        return None
    fees = {share_rounded_up(session.amount, option.fee_ppm) for option in options}
    return MicroUsd(fees.pop()) if len(fees) == 1 else None


def _grouped(
    session: Session, options: Sequence[tuple[RouteOption, tuple[Way, ...]]]
) -> tuple[NetworkView, ...]:
    groups: dict[str, list[OptionView]] = {}
    for option, ways in options:
        groups.setdefault(option.network.title, []).append(_option_view(session, option, ways))
    return tuple(NetworkView(title, tuple(rows)) for title, rows in groups.items())


def _option_view(session: Session, option: RouteOption, ways: tuple[Way, ...]) -> OptionView:
    """The fee is named where the payer bears it: all that comes on top, whoever gets it."""
    symbol, fee = option.token.symbol, ""
    if session.fee_model is FeeModel.PAYER_PAYS:
        added = MicroUsd(share_rounded_up(session.amount, option.fee_ppm))
        fee = f"{usd_text(added)} USD fee"
    return OptionView(
        token_id=option.token.token_id,
        symbol=symbol,
        payer_pays=f"{token_text(option.quote.payer_pays)} {symbol}",
        fee=fee,
        hint="No network fee" if ways[0] is Way.ERC3009 else "",
        way=ways[0].value,
    )


def _time_left(seconds: int) -> str:
    minutes, rest = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
