"""The verbs of a checkout session, in the order of its life.

The merchant's verbs are here, the payer's in ``paying``; what the chain and the clock do to a
session is in ``hearing``. Each verb reads, computes, decides, writes and tells in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from gstable_server.accounts import operations as accounts
from gstable_server.catalog import operations as catalog
from gstable_server.catalog.model import (
    Attribute,
    ItemType,
    LineItem,
    Product,
    ProductSnapshot,
    snapshot,
    total,
)
from gstable_server.catalog.wire import ProductLineItem
from gstable_server.chain.networks import Networks
from gstable_server.chain.orders import OrderSigner, session_key
from gstable_server.chain.rails.port import Rail
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import from_unix_seconds, unix_seconds
from gstable_server.kernel.email import email_problem
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.fields import TOTAL_MAX
from gstable_server.kernel.ids import (
    AccountId,
    ClientCode,
    LineItemId,
    MerchantId,
    ProductId,
    SessionId,
    id_or_none,
)
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.paging import Page
from gstable_server.kernel.tenant import Tenant
from gstable_server.kernel.urls import require_https
from gstable_server.links.model import LinkType, PaymentLink
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import Event, first_id
from gstable_server.routing import operations as routing
from gstable_server.routing.model import FeeModel, Market, Schedule
from gstable_server.sessions import store, store_payments
from gstable_server.sessions.machine import Fact, Refuse, decide
from gstable_server.sessions.model import (
    Announced,
    BusinessType,
    CaptureMethod,
    Draft,
    Preset,
    Session,
    SessionState,
    SessionType,
    SessionView,
    opened,
)
from gstable_server.sessions.wire import (
    METADATA_BYTES_MAX,
    CreateCheckoutSession,
    OneTimeProduct,
    render_letter,
)

LIFETIME_MIN = timedelta(seconds=1800)
LIFETIME_MAX = timedelta(days=7)
_AMOUNT_FIELD = "lineItems"


@dataclass(frozen=True, slots=True)
class Desk:
    """What selling needs beside the database: networks, rates, the order signer, our address.

    ``rails`` in the order of preference; ``relays`` says whether this server sends payments that
    a payer only signed, which takes an account of ours with money for the network's fee, and
    ``sends_mail`` whether letters to members are sent.
    """

    networks: Networks
    signer: OrderSigner
    fee_receiver: Address
    public_url: str
    schedule: Schedule
    lifetime: timedelta
    order_grace: timedelta
    rails: tuple[Rail, ...] = ()
    relays: bool = False
    sends_mail: bool = False

    @property
    def market(self) -> Market:
        """What can be paid with what at this desk."""
        return Market(self.networks, self.schedule, self.rails)


def session_id_of(text: str) -> SessionId:
    """The id in ``text``. Refuses with 100201 what cannot be one."""
    session_id = id_or_none(SessionId, text)
    if session_id is None:
        raise Refused(Code.SESSION_NOT_FOUND)
    return session_id


async def create_checkout(
    tx: Tx, desk: Desk, tenant: Tenant, request: CreateCheckoutSession
) -> SessionView:
    """A merchant opens a session (spec 6). Refuses accounts, products, tokens and amounts that
    cannot be used, and an expiry outside 1,800 s to 7 days ahead."""
    lifetime = _lifetime(tx, desk, request.expiration_time)
    if len(msgspec.json.encode(request.metadata)) > METADATA_BYTES_MAX:
        raise invalid_field("metadata", f"must have at most {METADATA_BYTES_MAX} bytes")
    if request.success_url:
        require_https("successUrl", request.success_url, tenant.mode)
    account = await accounts.require_account(tx, tenant, _account_id(request.account_id))
    items = await _line_items(tx, tenant, request)
    amount = total(items)
    if amount > TOTAL_MAX:
        raise invalid_field(_AMOUNT_FIELD, f"must total at most {TOTAL_MAX} Micro-USD")
    draft = Draft(
        tenant=tenant,
        account=account,
        settlement_token=request.settlement_token,
        fee_model=FeeModel(request.fee_model),
        amount=amount,
        line_items=items,
        session_type=SessionType.CHECKOUT,
        business_type=BusinessType.CHECKOUT_SESSION,
        business_id=None,
        lifetime=lifetime,
        payer_email_required=bool(request.payer_email_required),
        success_url=request.success_url,
        metadata=request.metadata,
        capture_method=CaptureMethod(request.capture_method),
    )
    return await _open(tx, desk, draft)


async def open_from_link(
    tx: Tx,
    desk: Desk,
    link: PaymentLink,
    *,
    amount: MicroUsd | None,
    payer_email: str | None,
    announced: Announced | None = None,
) -> Session:
    """A payer opens a link: a fresh session with the link's terms.

    ``amount`` (Micro-USD) is what the payer typed, for custom links only. ``announced``: as
    ``announce_from_link`` was asked.
    """
    check_email(payer_email, required=link.payer_email_required)
    draft = await _link_draft(tx, desk, link, amount)
    draft = replace(draft, payer_email=payer_email)
    return (await _open(tx, desk, draft, announced)).session


async def announce_from_link(
    tx: Tx,
    desk: Desk,
    link: PaymentLink,
    announced: Announced,
    *,
    amount: MicroUsd | None,
    payer_email: str | None,
) -> Session:
    """The session that ``open_from_link`` would open now, with the same refusals; nothing of it is
    stored. Its client code is not the one that it will have."""
    check_email(payer_email, required=link.payer_email_required)
    draft = await _link_draft(tx, desk, link, amount)
    return _made(tx, desk, replace(draft, payer_email=payer_email), announced)


async def open_from_agent(
    tx: Tx, desk: Desk, link: PaymentLink, preset: Preset, *, amount: MicroUsd | None
) -> Session:
    """A payer's agent opens a link: like ``open_from_link``, for that payer and token alone. An
    e-mail address comes with ``paying.prepare_proven``."""
    draft = await _link_draft(tx, desk, link, amount)
    draft = replace(draft, session_type=SessionType.AI_CHECKOUT, preset=preset)
    return (await _open(tx, desk, draft)).session


async def _link_draft(tx: Tx, desk: Desk, link: PaymentLink, amount: MicroUsd | None) -> Draft:
    if (link.link_type is LinkType.CUSTOM) != (amount is not None):
        raise invalid_field("amount", "is for links with a custom amount, and needed there")
    account = await accounts.require_account(tx, link.tenant, link.account_id)
    ids = tuple(item.product_id for item in link.line_items if item.product_id)
    products = await catalog.require_sellable(tx, link.tenant, ids)
    items = tuple(
        replace(
            item,
            unit_price=item.unit_price if amount is None else _typed_price(link, amount),
            product=_kept(products[item.product_id]) if item.product_id else item.product,
            adjustable=None,
        )
        for item in link.line_items
    )
    return Draft(
        tenant=link.tenant,
        account=account,
        settlement_token=link.settlement_token,
        fee_model=FeeModel(link.fee_model),
        amount=link.amount if amount is None else amount,
        line_items=items,
        session_type=SessionType.PAYMENT_LINK,
        business_type=BusinessType.PAYMENT_LINK,
        business_id=link.link_id,
        lifetime=desk.lifetime,
        payer_email_required=link.payer_email_required,
        success_url=link.success_url,
    )


def _typed_price(link: PaymentLink, amount: MicroUsd) -> MicroUsd | None:
    """The payer types one amount for the whole link; only a single piece can carry it."""
    only = link.line_items[0]
    return amount if len(link.line_items) == 1 and only.quantity == 1 else None


async def _open(
    tx: Tx, desk: Desk, draft: Draft, announced: Announced | None = None
) -> SessionView:
    session = _made(tx, desk, draft, announced)
    await store.insert(tx, session)
    view = SessionView(session)
    tell(tx, desk, "session.created", view)
    return view


def _made(tx: Tx, desk: Desk, draft: Draft, announced: Announced | None) -> Session:
    """The session of ``draft``, if it could be paid; not stored yet."""
    settlement = routing.require_settlement(
        desk.networks, draft.tenant.mode, draft.settlement_token
    )
    held = draft.capture_method is CaptureMethod.MANUAL
    if held and not desk.relays:
        raise invalid_field("captureMethod", "cannot be manual: this server sends no captures")
    found = routing.require_payable(
        desk.market, settlement, draft.amount, draft.fee_model, tx.now, held=held
    )
    accepted = draft.account.accepted_networks
    if accepted is not None and not any(one.network.name in accepted for one in found):
        detail = "none of the networks that the merchant accepts can pay that"
        raise Refused(Code.CHANNEL_UNSUPPORTED, detail)
    session_id = announced.session_id if announced else tx.mint(SessionId)
    if announced is not None:
        draft = replace(draft, lifetime=announced.expires_at - tx.now)
    return opened(draft, session_id, session_key(session_id), tx.mint(ClientCode), tx.now)


def tell(tx: Tx, desk: Desk, event_type: str, view: SessionView) -> None:
    """Stage a session event, its letter rendered as the session is now."""
    tx.tell(
        Event(
            type=event_type,
            object_id=view.session.session_id,
            payload=render_letter(view, desk.public_url),
            tenant=view.session.tenant,
            business_type="session",
            first_id=first_id(event_type, view.session.session_id),
        )
    )


def _lifetime(tx: Tx, desk: Desk, expiration_time: int | None) -> timedelta:
    if expiration_time is None:
        return desk.lifetime
    ahead = expiration_time - unix_seconds(tx.now)
    lowest, highest = LIFETIME_MIN.total_seconds(), LIFETIME_MAX.total_seconds()
    if not lowest <= ahead <= highest:
        raise invalid_field(
            "expirationTime",
            f"must be between {lowest:.0f} and {highest:.0f} seconds ahead, in Unix seconds",
        )
    return from_unix_seconds(expiration_time) - tx.now


def _account_id(text: str) -> AccountId:
    account_id = id_or_none(AccountId, text)
    if account_id is None:
        raise Refused(Code.ACCOUNT_NOT_FOUND)
    return account_id


async def _line_items(
    tx: Tx, tenant: Tenant, request: CreateCheckoutSession
) -> tuple[LineItem, ...]:
    """The lines with what is sold as it is now: a later change of a product moves no session."""
    wanted = [line.product_id for line in request.line_items if isinstance(line, ProductLineItem)]
    products = await catalog.require_sellable(tx, tenant, wanted) if wanted else {}
    items = []
    for position, line in enumerate(request.line_items):
        if isinstance(line, ProductLineItem):
            product_id = ProductId(line.product_id)
            kind, shown = ItemType.PRODUCT, _kept(products[product_id])
        else:
            product_id, kind = None, ItemType.ONE_TIME
            shown = _one_time(line.product_data, position, tenant)
        item_id = tx.mint(LineItemId)
        items.append(LineItem(item_id, kind, product_id, line.quantity, line.unit_price, shown))
    return tuple(items)


def _kept(product: Product) -> ProductSnapshot:
    """What a session keeps of a product. Not its status, which changes: every answer about the
    session shows the same lines."""
    return replace(snapshot(product), status=None)


def _one_time(data: OneTimeProduct, position: int, tenant: Tenant) -> ProductSnapshot:
    if data.image_url:
        field = f"lineItems[{position}].productData.imageUrl"
        require_https(field, data.image_url, tenant.mode)
    return ProductSnapshot(
        name=data.product_name,
        description=data.product_description,
        image_url=data.image_url,
        attributes=tuple(Attribute(one.name, one.value) for one in data.attributes or ()),
    )


async def cancel(tx: Tx, desk: Desk, tenant: Tenant, session_id: SessionId) -> None:
    """The merchant withdraws a session that nobody has started to pay (spec 6)."""
    session = await store.lock(tx, session_id)
    if session is None or session.tenant != tenant:
        raise Refused(Code.SESSION_NOT_FOUND)
    answer = decide(session.state, Fact.CANCEL_REQUESTED, signed_once=session.signed_once)
    if isinstance(answer, Refuse):
        raise Refused(answer.code)
    cancelled = replace(session, state=SessionState.CANCELLED)
    await store.move(tx, session, cancelled)
    tell(tx, desk, "session.cancelled", SessionView(cancelled))


async def detail(tx: Tx, tenant: Tenant, session_id: SessionId) -> SessionView:
    """A merchant's own session. Refuses with 100201 for anybody else's."""
    found = await view(tx, session_id)
    if found.session.tenant != tenant:
        raise Refused(Code.SESSION_NOT_FOUND)
    return found


async def list_sessions(
    tx: Tx, tenant: Tenant, state: SessionState | None, page: Page
) -> tuple[int, list[SessionView]]:
    """How many sessions there are in ``state`` (None: in any), and one page of them."""
    count, sessions = await store.page(tx, tenant, state, page.size, page.offset)
    payments = await store_payments.of_sessions(tx, [session.session_id for session in sessions])
    return count, [
        SessionView(session, tuple(payments[session.session_id])) for session in sessions
    ]


async def count_by_state(tx: Tx, tenant: Tenant) -> dict[SessionState, int]:
    """How many sessions a merchant has in each state, 0 included."""
    counts = await store.count_by_state(tx, tenant)
    return {state: counts.get(state, 0) for state in SessionState}


async def owners(
    tx: Tx, session_keys: Sequence[bytes], session_ids: Sequence[str]
) -> list[tuple[SessionId, bytes, MerchantId]]:
    """Identifier, key and merchant of the sessions that the chain or the book names so; what is
    no session of ours is left out."""
    return await store.owners(tx, session_keys, session_ids)


async def unsettled(tx: Tx) -> list[tuple[SessionState, int, datetime | None]]:
    """Of every merchant, for operators: how many sessions are paid and not settled, by state, and
    since when the oldest has been paid."""
    return await store.unsettled(tx)


async def view(tx: Tx, session_id: SessionId) -> SessionView:
    """A session as its payer sees it. Refuses with 100201 an id that is none."""
    session = await store.find(tx, session_id)
    if session is None:
        raise Refused(Code.SESSION_NOT_FOUND)
    payments = await store_payments.of_sessions(tx, [session_id])
    return SessionView(session, tuple(payments[session_id]))


async def views(tx: Tx, session_ids: Sequence[SessionId]) -> dict[SessionId, SessionView]:
    """The same of several at once; an id that is none is left out."""
    found = await store.find_all(tx, session_ids)
    payments = await store_payments.of_sessions(tx, [session.session_id for session in found])
    return {
        session.session_id: SessionView(session, tuple(payments[session.session_id]))
        for session in found
    }


def check_email(email: str | None, *, required: bool, field: str = "payerEmail") -> None:
    """Refuse an e-mail address that is none, or missing where the merchant asks for one."""
    if email is None:
        if required:
            raise invalid_field(field, "is required")
    elif problem := email_problem(email):
        raise invalid_field(field, problem)


def redirect_url(session: Session) -> str | None:
    """Where the payer goes after success: the merchant's own query kept, ``sessionId`` and
    ``status`` added, ``{SESSION_ID}`` replaced (spec 15, Redirect)."""
    if session.success_url is None:
        return None
    parts = urlsplit(session.success_url.replace("{SESSION_ID}", session.session_id))
    query = parse_qsl(parts.query, keep_blank_values=True)
    query += [("sessionId", session.session_id), ("status", session.state.value)]
    return urlunsplit(parts._replace(query=urlencode(query)))


def shop_url(session: Session) -> str | None:
    """The front page of the site that the payer goes to after success: where there was none, what
    stands at its address says that there was."""
    if session.success_url is None:
        return None
    parts = urlsplit(session.success_url)
    return urlunsplit((parts.scheme, parts.netloc, "/", "", ""))


async def open_of_account(
    tx: Tx, tenant: Tenant, account_id: AccountId, limit: int
) -> list[tuple[SessionId, datetime]]:
    """Which sessions keep paying an account's address whatever becomes of the account, and until
    when: the one that is open longest first, at most ``limit``."""
    return await store.open_of_account(tx, tenant, account_id, limit)
