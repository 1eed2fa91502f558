"""What the payer's pages show, computed from links and sessions; no input, output or clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from gstable_server.accounts.branding.model import Branding
from gstable_server.catalog.model import LineItem, Product
from gstable_server.chain.checksum import to_checksum
from gstable_server.kernel.errors import Code
from gstable_server.kernel.ids import ProductId
from gstable_server.kernel.money import MicroUsd, share_rounded_up, usd_text
from gstable_server.kernel.tenant import Mode
from gstable_server.links.model import LinkStatus, LinkType, PaymentLink
from gstable_server.routing.model import FeeModel, RouteOption, Way
from gstable_server.sessions.model import BusinessType, Session, SessionView
from gstable_server.web.checkout.status import Status
from gstable_server.web.checkout.words import WORDS
from gstable_server.web.language import N_, Words

UNTITLED = "Product"
SUGGESTIONS_MAX = 5
_AMOUNT = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?")


class AmountError(Exception):
    """What a payer typed is no amount; the text says how to write one, in English."""


def parse_usd(text: str) -> MicroUsd:
    """Decimal US dollars as a payer types them, in Micro-USD: ``"12.5"`` → 12500000.

    Raises ``AmountError`` with a sentence for the payer. A comma is refused, because it means
    thousands to some and cents to others.
    """
    match = _AMOUNT.fullmatch(text.strip().removeprefix("$").strip())
    if match is None:
        raise AmountError(N_("Write the amount in figures with a point, like 12.50."))
    whole, fraction = match.group(1), match.group(2) or ""
    amount = int(whole + fraction.ljust(6, "0"))
    if amount == 0:
        raise AmountError(N_("Enter an amount above zero."))
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
    branding: Branding
    test_mode: bool
    lines: tuple[LineView, ...]
    amount: MicroUsd | None
    payer_bears_fee: bool
    is_custom: bool
    suggestions: tuple[MicroUsd, ...]
    email_required: bool
    is_archived: bool
    closed_title: str
    closed_text: str


def link_page(
    link: PaymentLink, branding: Branding, products: Mapping[ProductId, Product], words: Words
) -> LinkPage:
    """``products`` are those of the link; their common prices are offered for custom amounts."""
    is_custom = link.link_type is LinkType.CUSTOM
    closed_title, closed_text = _closed(link, words)
    return LinkPage(
        link_id=link.link_id,
        title=link.name,
        branding=branding,
        test_mode=link.tenant.mode is Mode.TEST,
        lines=tuple(line_view(item) for item in link.line_items),
        amount=None if is_custom else link.amount,
        payer_bears_fee=FeeModel(link.fee_model) is FeeModel.PAYER_PAYS,
        is_custom=is_custom,
        suggestions=_suggestions(products.values()) if is_custom else (),
        email_required=link.payer_email_required,
        is_archived=link.status is LinkStatus.ARCHIVED,
        closed_title=closed_title,
        closed_text=closed_text,
    )


def _closed(link: PaymentLink, words: Words) -> tuple[str, str]:
    """Why the link opens no payment; empty while it does."""
    match link.status:
        case LinkStatus.ACTIVE:
            return "", ""
        case LinkStatus.INACTIVE:
            text = words.gettext(WORDS[Code.LINK_NOT_ACTIVE])
            return words.gettext("Not available at the moment"), link.custom_disabled_text or text
        case LinkStatus.ARCHIVED:
            return words.gettext("Closed"), words.gettext(WORDS[Code.LINK_ARCHIVED])


def _suggestions(products: Iterable[Product]) -> tuple[MicroUsd, ...]:
    prices = {price for product in products for price in product.common_prices}
    return tuple(MicroUsd(price) for price in sorted(prices)[:SUGGESTIONS_MAX])


@dataclass(frozen=True, slots=True)
class OptionView:
    """A token to pay with: what it costs, in words and in atomic units, the way that is the least
    work, and what a wallet must be asked for its balance."""

    token_id: str
    symbol: str
    payer_pays: str
    atomic: int
    fee: str
    needs_no_gas: bool
    way: str
    token_address: str
    chain_id: int


@dataclass(frozen=True, slots=True)
class NetworkView:
    """The tokens to pay with on one network, the cheapest first."""

    title: str
    options: tuple[OptionView, ...]


@dataclass(frozen=True, slots=True)
class WalletApp:
    """A phone's wallet app with a browser of its own, and the link that opens a page there."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Again:
    """A fresh payment like this one: the form that opens it at once, with what it sends, or the
    page where it begins (``fields`` None)."""

    path: str
    fields: tuple[tuple[str, str], ...] | None


@dataclass(frozen=True, slots=True)
class PayPage:
    """The page of a session. ``added_fee`` and ``total`` (Micro-USD) are known where the payer
    bears a fee that is the same for every way to pay."""

    session_id: str
    client_code: str
    url: str
    qr: str
    apps: tuple[WalletApp, ...]
    branding: Branding
    test_mode: bool
    lines: tuple[LineView, ...]
    amount: MicroUsd
    payer_bears_fee: bool
    added_fee: MicroUsd | None
    total: MicroUsd
    networks: tuple[NetworkView, ...]
    asks_email: bool
    time_left: str
    expires_text: str
    again: Again | None
    status: Status


def pay_page(
    view: SessionView,
    options: Sequence[tuple[RouteOption, tuple[Way, ...]]],
    shown: Status,
    words: Words,
    *,
    branding: Branding,
    url: str,
    qr: str,
) -> PayPage:
    """``options``: what can be paid with, each with its ways, the least work first. ``url`` is the
    page's own address and ``qr`` a picture of it as a ``data:`` URL."""
    session = view.session
    fee = _added_fee(session, [option for option, _ in options])
    return PayPage(
        session_id=session.session_id,
        client_code=session.client_code,
        url=url,
        qr=qr,
        apps=wallet_apps(url),
        branding=branding,
        test_mode=session.tenant.mode is Mode.TEST,
        lines=tuple(line_view(item) for item in session.line_items),
        amount=session.amount,
        payer_bears_fee=session.fee_model is FeeModel.PAYER_PAYS,
        added_fee=fee,
        total=MicroUsd(session.amount + (fee or 0)),
        networks=_grouped(session, options, words),
        asks_email=session.payer_email_required and session.payer_email is None,
        time_left=words.duration(shown.expires_at - shown.now),
        expires_text=words.moment(session.expires_at),
        again=_again(session),
        status=shown,
    )


def wallet_apps(url: str) -> tuple[WalletApp, ...]:
    """The apps that document a link which opens ``url`` in their browser: MetaMask (deeplinks),
    Coinbase Wallet (mobile linking), Trust Wallet (deep linking) and OKX (app universal link)."""
    bare = url.partition("://")[2]
    encoded = quote(url, safe="")
    okx = quote(f"okx://wallet/dapp/url?dappUrl={encoded}", safe="")
    return (
        WalletApp("MetaMask", f"https://link.metamask.io/dapp/{bare}"),
        WalletApp("Coinbase Wallet", f"https://go.cb-w.com/dapp?cb_url={encoded}"),
        WalletApp(
            "Trust Wallet", f"https://link.trustwallet.com/open_url?coin_id=60&url={encoded}"
        ),
        WalletApp("OKX Wallet", f"https://web3.okx.com/download?deeplink={okx}"),
    )


def _again(session: Session) -> Again | None:
    """For links only. Who has to give an e-mail gives it again: a page that anybody with its
    address may open does not tell it."""
    if session.business_type is not BusinessType.PAYMENT_LINK:
        return None
    if session.payer_email_required:
        return Again(f"/link/{session.business_id}", None)
    amount = usd_text(session.amount)
    return Again(f"/link/{session.business_id}/open", (("pick", "other"), ("amount", amount)))


def _added_fee(session: Session, options: Sequence[RouteOption]) -> MicroUsd | None:
    if session.fee_model is FeeModel.MERCHANT_PAYS:
        return None
    fees = {share_rounded_up(session.amount, option.fee_ppm) for option in options}
    return MicroUsd(fees.pop()) if len(fees) == 1 else None


def _grouped(
    session: Session, options: Sequence[tuple[RouteOption, tuple[Way, ...]]], words: Words
) -> tuple[NetworkView, ...]:
    groups: dict[str, list[OptionView]] = {}
    for option, ways in options:
        shown = _option_view(session, option, ways, words)
        groups.setdefault(option.network.title, []).append(shown)
    return tuple(NetworkView(title, tuple(rows)) for title, rows in groups.items())


def _option_view(
    session: Session, option: RouteOption, ways: tuple[Way, ...], words: Words
) -> OptionView:
    """The fee is named where the payer bears it: all that comes on top, whoever gets it."""
    fee = ""
    if session.fee_model is FeeModel.PAYER_PAYS:
        added = MicroUsd(share_rounded_up(session.amount, option.fee_ppm))
        fee = words.dollars(added)
    return OptionView(
        token_id=option.token.token_id,
        symbol=option.token.symbol,
        payer_pays=words.token(option.quote.payer_pays, option.token.symbol),
        atomic=option.quote.payer_pays.atomic,
        fee=fee,
        needs_no_gas=ways[0] is Way.ERC3009,
        way=ways[0].value,
        token_address=to_checksum(option.token.address),
        chain_id=option.network.chain_id,
    )
