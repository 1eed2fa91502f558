"""What the console's pages show, computed from the slices' models; no input, output or clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gstable_server.accounts.model import ApiKey, KeyUse, ReceivingAccount, key_prefix
from gstable_server.catalog.model import Product
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks, Token
from gstable_server.chain.orders import transfer_call
from gstable_server.kernel.money import (
    Asset,
    MicroUsd,
    Money,
    micro_usd_rounded_down,
    token_text,
    usd_text,
)
from gstable_server.kernel.tenant import Mode
from gstable_server.kernel.urls import is_loopback
from gstable_server.links.model import LinkType, PaymentLink
from gstable_server.links.wire import LinkView
from gstable_server.sessions.holds.model import held_payment
from gstable_server.sessions.model import (
    BusinessType,
    Payment,
    Session,
    SessionState,
    SessionType,
    SessionView,
)
from gstable_server.sessions.refunds.model import Approval, Refund, RefundState
from gstable_server.web.dashboard.people.people_presenter import key_limits
from gstable_server.web.dashboard.speech import N_, _, dollars, moment, ngettext, usd
from gstable_server.web.dashboard.words import FLAGS, PAYMENT_STATES, REFUND_WORDS


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
class AccountRow:
    account_id: str
    name: str
    address: str
    created_at: str


def account_row(account: ReceivingAccount) -> AccountRow:
    return AccountRow(
        account.account_id,
        account.name,
        to_checksum(account.address),
        moment(account.created_at),
    )


@dataclass(frozen=True, slots=True)
class KeyRow:
    key_id: str
    name: str
    hint: str
    kind: str
    limits: tuple[str, ...]
    created_at: str
    revoked_at: str
    used_at: str
    used_from: str


def key_row(key: ApiKey, use: KeyUse | None = None) -> KeyRow:
    is_secret = key_prefix(key.tenant.mode, key.access).startswith("sk_")
    return KeyRow(
        key_id=key.key_id,
        name=key.name,
        hint=key.hint,
        kind=_("Secret key") if is_secret else _("Restricted key"),
        limits=key_limits(key),
        created_at=moment(key.created_at),
        revoked_at=moment(key.revoked_at) if key.revoked_at else "",
        used_at=moment(use.used_at) if use else "",
        used_from=use.address if use else "",
    )


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
class SessionPage:
    """One session with all that is known of it."""

    row: SessionRow
    recipient: str
    account_id: str
    link_id: str
    payer_email: str
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


def payment_row(payment: Payment, networks: Networks, mode: Mode) -> PaymentRow:
    network = next((one for one in networks.of(mode) if one.name == payment.network), None)
    token = networks.find_token(payment.token_id, mode)
    settlement = networks.find_token(payment.settlement_token, mode)
    transaction_hash = f"0x{payment.tx_hash.hex()}"
    explorer = network.explorer_url if network else ""

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
        transaction_hash=transaction_hash,
        transaction_url=f"{explorer}/tx/{transaction_hash}" if explorer else "",
        payer=to_checksum(payment.payer),
        received=amount(payment.received, settlement),
        fee=amount(payment.fee_received, token),
        token=token.symbol if token else payment.token_id,
        state=PAYMENT_STATES[payment.state],
        flags=tuple(FLAGS[flag] for flag in sorted(payment.flags)),
        seen_at=moment(payment.seen_at),
    )


@dataclass(frozen=True, slots=True)
class RefundableRow:
    """A payment of which money can be given back; ``left_usd`` as it is typed into the form."""

    payment_id: str
    text: str
    left: str
    left_usd: str
    payer: str


def refundable_rows(
    view: SessionView, left: Mapping[str, int], networks: Networks, mode: Mode
) -> tuple[RefundableRow, ...]:
    """``left`` in atomic units, by payment; without those whose token is not configured any more,
    of which no transfer can be made."""
    rows = []
    for payment in view.payments:
        token = networks.find_token(payment.settlement_token, mode)
        if payment.payment_id in left and token is not None:
            money = Money(left[payment.payment_id], token.asset)
            shown = f"{token_text(money)} {token.symbol}"
            rows.append(
                RefundableRow(
                    payment_id=payment.payment_id,
                    text=f"{shown}, paid {moment(payment.block_time)}",
                    left=shown,
                    left_usd=usd_text(micro_usd_rounded_down(money)),
                    payer=to_checksum(payment.payer),
                )
            )
    return tuple(rows)


REFUND_BADGES = {
    RefundState.AWAITING: Badge(N_("To be approved"), "bad"),
    RefundState.PREPARED: Badge(N_("To be sent"), "busy"),
    RefundState.SEEN: Badge(N_("Not final yet"), "busy"),
    RefundState.COMPLETED: Badge(N_("Given back"), "good"),
    RefundState.EXPIRED: Badge(N_("Expired"), "quiet"),
    RefundState.CANCELLED: Badge(N_("Given up"), "quiet"),
}


@dataclass(frozen=True, slots=True)
class RefundRow:
    """``amount`` is exact, with the token's symbol."""

    refund_id: str
    session_id: str
    amount: str
    network: str
    sender: str
    receiver: str
    reason: str
    badge: Badge
    created_at: str
    expires_at: str
    transaction_hash: str
    transaction_url: str


def refund_row(refund: Refund, networks: Networks, mode: Mode) -> RefundRow:
    terms = refund.terms
    network = networks.find_network(terms.network)
    token = networks.find_token(terms.token_id, mode)
    explorer = network.explorer_url if network else ""
    transaction_hash = f"0x{refund.claim.tx_hash.hex()}" if refund.claim else ""
    amount = token_text(Money(terms.amount, Asset(terms.token_id, terms.decimals)))
    return RefundRow(
        refund_id=refund.refund_id,
        session_id=refund.session_id,
        amount=f"{amount} {token.symbol if token else terms.token_id}",
        network=network.title if network else terms.network,
        sender=to_checksum(terms.sender),
        receiver=to_checksum(terms.receiver),
        reason=refund.reason or "",
        badge=REFUND_BADGES[refund.state],
        created_at=moment(refund.created_at),
        expires_at=moment(refund.expires_at),
        transaction_hash=transaction_hash,
        transaction_url=f"{explorer}/tx/{transaction_hash}" if explorer and refund.claim else "",
    )


@dataclass(frozen=True, slots=True)
class RefundPage:
    """A refund with the call that the merchant's wallet sends, member by member.
    ``was_unapproved`` says that it was sent before enough people had approved it."""

    row: RefundRow
    state: str
    was_unapproved: bool
    headline: str
    detail: str
    chain_id: int
    native_symbol: str
    rpc_url: str
    token_address: str
    atomic_amount: int
    call_data: str


def refund_page(refund: Refund, networks: Networks, mode: Mode) -> RefundPage:
    terms = refund.terms
    network = networks.find_network(terms.network)
    headline, detail = REFUND_WORDS[refund.state]
    # Only a local network's: another RPC address may carry the operator's access key.
    urls = [url for url in network.rpc_urls if is_loopback(url)] if network else []
    return RefundPage(
        row=refund_row(refund, networks, mode),
        state=refund.state.value,
        was_unapproved=refund.approval is Approval.AWAITED and refund.claim is not None,
        headline=headline,
        detail=detail,
        chain_id=terms.chain_id,
        native_symbol=network.native_symbol if network else "",
        rpc_url=urls[0] if urls else "",
        token_address=to_checksum(terms.token),
        atomic_amount=terms.amount,
        call_data=f"0x{transfer_call(terms.token, terms.receiver, terms.amount).data.hex()}",
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
