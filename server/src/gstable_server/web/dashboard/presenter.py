"""What the console's pages show, computed from the slices' models; no input, output or clock."""

from __future__ import annotations

from dataclasses import dataclass

from gstable_server.catalog.model import Product
from gstable_server.kernel.money import (
    MicroUsd,
)
from gstable_server.links.model import LinkType, PaymentLink
from gstable_server.links.wire import LinkView
from gstable_server.sessions.model import (
    Session,
    SessionState,
    SessionType,
    SessionView,
)
from gstable_server.web.dashboard.speech import N_, _, dollars, moment, ngettext, usd


@dataclass(frozen=True, slots=True)
class Badge:
    """A state in one word; ``tone`` picks its colour: good, busy, quiet or bad."""

    text: str
    tone: str


SESSION_BADGES = {
    SessionState.INITIALIZED: Badge(N_("Open"), "busy"),
    SessionState.PAID: Badge(N_("Paid, not final"), "busy"),
    SessionState.SETTLING: Badge(N_("Settling"), "busy"),
    SessionState.SETTLEMENT_PENDING: Badge(N_("Settlement pending"), "bad"),
    SessionState.COMPLETED: Badge(N_("Completed"), "good"),
    SessionState.EXPIRED: Badge(N_("Expired"), "quiet"),
    SessionState.CANCELLED: Badge(N_("Cancelled"), "quiet"),
}
SOURCES = {
    SessionType.CHECKOUT: N_("Checkout"),
    SessionType.PAYMENT_LINK: N_("Payment link"),
    SessionType.AI_CHECKOUT: N_("Payment link, by an agent"),
}
_SWITCHES = {"active": Badge(N_("Active"), "good"), "inactive": Badge(N_("Disabled"), "quiet")}
_ARCHIVED = Badge(N_("Archived"), "quiet")


@dataclass(frozen=True, slots=True)
class ProductRow:
    product_id: str
    name: str
    image: str
    prices: str
    badge: Badge
    created_at: str


def product_row(product: Product) -> ProductRow:
    return ProductRow(
        product_id=product.product_id,
        name=product.name,
        image=product.image_path or "",
        prices=" · ".join(usd(MicroUsd(price)) for price in product.common_prices),
        badge=_SWITCHES.get(product.status.value, _ARCHIVED),
        created_at=moment(product.created_at),
    )


def _choice(link: PaymentLink) -> str:
    """How many of what the payer may choose; empty where the merchant decided all of it."""
    ranges = [item.adjustable for item in link.line_items if item.adjustable]
    if len(ranges) == 1:
        return _("Quantity %(least)s to %(most)s", least=ranges[0].minimum, most=ranges[0].maximum)
    if not ranges:
        return ""
    return ngettext(
        "%(num)s quantity chosen by the payer",
        "%(num)s quantities chosen by the payer",
        len(ranges),
    )


@dataclass(frozen=True, slots=True)
class LinkRow:
    link_id: str
    name: str
    amount: str
    choice: str
    settles_in: str
    account_name: str
    badge: Badge
    created_at: str


def link_row(view: LinkView) -> LinkRow:
    link = view.link
    is_custom = link.link_type is LinkType.CUSTOM
    return LinkRow(
        link_id=link.link_id,
        name=link.name,
        amount=_("Payer decides") if is_custom else dollars(link.amount),
        choice=_choice(link),
        settles_in=link.settlement_token,
        account_name=view.account.name if view.account else "",
        badge=_SWITCHES.get(link.status.value, _ARCHIVED),
        created_at=moment(link.created_at),
    )


@dataclass(frozen=True, slots=True)
class SessionRow:
    """``what`` names the lines as the payer sees them."""

    session_id: str
    what: str
    source: str
    amount: str
    settles_in: str
    badge: Badge
    has_unusual: bool
    created_at: str


def session_row(view: SessionView) -> SessionRow:
    session = view.session
    return SessionRow(
        session_id=session.session_id,
        what=_what(session),
        source=SOURCES[session.session_type],
        amount=dollars(session.amount),
        settles_in=session.settlement_token,
        badge=SESSION_BADGES[session.state],
        has_unusual=any(payment.flags for payment in view.payments),
        created_at=moment(session.created_at),
    )


def _what(session: Session) -> str:
    """The first line's name, and how many more there are."""
    first = session.line_items[0].product if session.line_items else None
    name = first.name if first else _("Product")
    more = len(session.line_items) - 1
    return (
        ngettext("%(name)s and %(num)s more", "%(name)s and %(num)s more", more, name=name)
        if more > 0
        else name
    )


@dataclass(frozen=True, slots=True)
class Pager:
    """Which part of a list is shown; 0 for a page that there is not."""

    first: int
    last: int
    count: int
    previous: int
    following: int


def pager(number: int, size: int, shown: int, count: int) -> Pager:
    """``shown`` of ``count`` objects stand on page ``number``, which has room for ``size``."""
    first = (number - 1) * size + 1 if shown else 0
    pages = -(-count // size)
    return Pager(
        first=first,
        last=first + shown - 1 if shown else 0,
        count=count,
        previous=min(number - 1, pages),
        following=number + 1 if number < pages else 0,
    )
