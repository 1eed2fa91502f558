"""The AI payment protocol: what a payer's agent may ask, in the order of a payment (spec 10).

A signed message is judged in a fixed order: its form, what it names, whether it fits that, its
time, its signature, its nonce, and the payer's limit. Up to the signature nothing is held: a
contract wallet is asked on its chain, and nobody waits for a chain in a transaction. Then all is
looked at once more in the one transaction that stores the nonce with what it was used for; a
process that dies before its commit leaves neither, and the same message can be sent again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from gstable_server.accounts.preferences import operations as preferences
from gstable_server.agents import store
from gstable_server.agents.model import Authorization, CreateSession, Prepare, Proven
from gstable_server.agents.pricing import (
    PRESETS_MAX,
    CustomPrices,
    Offer,
    custom_offer,
    fixed_offer,
    price_of,
    total_of,
)
from gstable_server.agents.stages import Stage, stage_of
from gstable_server.agents.verification import Verifier
from gstable_server.catalog import operations as catalog
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.orders import SignedOrder
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import LinkId, id_or_none
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode
from gstable_server.links import operations as links
from gstable_server.links.model import LinkType, PaymentLink
from gstable_server.plumbing.db import Database, Tx
from gstable_server.routing import operations as routing
from gstable_server.routing.model import FeeModel, Route
from gstable_server.sessions import operations as sessions
from gstable_server.sessions import paying
from gstable_server.sessions.model import Preset, Session, SessionView
from gstable_server.sessions.operations import Desk

AHEAD_MAX = timedelta(days=1)
"""How long before its end a message may be signed: published clients take an hour."""
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Agency:
    """What the protocol needs: the desk, who judges signatures, and how many messages of one
    payer are taken in a minute."""

    desk: Desk
    verifier: Verifier
    payer_per_minute: int


@dataclass(frozen=True, slots=True)
class LinkOffer:
    """A link with what can pay for it; ``prices`` where the payer names the amount."""

    link: PaymentLink
    offers: tuple[Offer, ...]
    prices: CustomPrices | None


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """A session as it is now. ``token`` is the one that it was created for, ``offers`` what can
    pay it where it was created for none, ``order`` what its payer was given to pay."""

    view: SessionView
    stage: Stage
    token: Token | None
    offers: tuple[Offer, ...]
    order: SignedOrder | None


# --- what can be paid -----------------------------------------------------------------------------


async def view_link(tx: Tx, agency: Agency, link_id: str) -> LinkOffer:
    """A link that is open, with what each token costs. Refuses like ``links.require_open``, and
    with 400201 a link whose settlement token has left the configuration."""
    link = await links.require_open(tx, _link_id(link_id))
    settlement, fee_model = _settlement(agency.desk, link), FeeModel(link.fee_model)
    accepts = (await preferences.preferences(tx, link.tenant)).accepts
    if link.link_type is LinkType.FIXED:
        options = [
            one
            for one in routing.options(
                agency.desk.market, settlement, link.amount, fee_model, tx.now
            )
            if accepts(one.network.name)
        ]
        return LinkOffer(link, tuple(fixed_offer(one, link.amount) for one in options), None)
    found = routing.routes_to(agency.desk.market, settlement)
    routes = [one for one in found if accepts(one.network.name)]
    if not routes:
        raise Refused(Code.CHANNEL_UNSUPPORTED, "on none of the networks that are accepted")
    presets = await _presets(tx, link)
    prices = CustomPrices(
        MicroUsd(min(route.minimum for route in routes)),
        MicroUsd(max(route.maximum for route in routes)),
        presets,
    )
    offers = (custom_offer(route, settlement, fee_model, presets) for route in routes)
    return LinkOffer(link, tuple(offers), prices)


async def _presets(tx: Tx, link: PaymentLink) -> tuple[MicroUsd, ...]:
    """What the merchant suggests: the common prices of the link's products."""
    ids = [item.product_id for item in link.line_items if item.product_id]
    products = await catalog.shown(tx, link.tenant, ids)
    prices = {price for product in products.values() for price in product.common_prices}
    return tuple(MicroUsd(price) for price in sorted(prices)[:PRESETS_MAX])


# --- a session of a link --------------------------------------------------------------------------


async def create_session(
    db: Database, agency: Agency, request: CreateSession, address: str
) -> tuple[Session, Token]:
    """Open a session for the payer who signed ``request``; with the token that it is paid with.

    ``address`` is the client's. Refused, in this order: 100101 to 100103, 1003xx, 100104, 400101
    for another merchant, 400202, 400201, 400204, 400101 for another amount than the quote, 400105,
    400101 for a message that is good for too long, 400104, 400106, 900101.
    """
    async with db.read() as tx:
        network = (await _session_terms(tx, agency, request)).network
    proven = await agency.verifier.prove(request.authorization, network, address)
    return await db.run(_create, agency, request, proven)


@dataclass(frozen=True, slots=True)
class _SessionTerms:
    """What a message may open; ``amount`` in Micro-USD where the payer named it."""

    link: PaymentLink
    network: Network
    token: Token
    amount: MicroUsd | None


async def _create(
    tx: Tx, agency: Agency, request: CreateSession, proven: Proven
) -> tuple[Session, Token]:
    terms = await _session_terms(tx, agency, request)
    await _take_turn(tx, agency, proven)
    preset = Preset(request.authorization.payer, terms.token.token_id)
    session = await sessions.open_from_agent(
        tx, agency.desk, terms.link, preset, amount=terms.amount
    )
    await store.insert(tx, proven, session.session_id)
    return session, terms.token


async def _session_terms(tx: Tx, agency: Agency, request: CreateSession) -> _SessionTerms:
    link = await links.require_open(tx, _link_id(request.link_id))
    if request.link_version != link.version:
        raise Refused(Code.LINK_VERSION_INVALID, f"it is {link.version} now")
    authorization = request.authorization
    _require_merchant(authorization, link.tenant.merchant_id)
    network, token = _paid_with(agency.desk, authorization, link.tenant.mode)
    amount = _priced(agency.desk, link, token, request.amount, tx.now)
    _require_time(authorization, tx.now)
    return _SessionTerms(link, network, token, amount)


def _priced(
    desk: Desk, link: PaymentLink, token: Token, total: int, now: datetime
) -> MicroUsd | None:
    """Refuse any total but our quote; for a link without a price, the price that it comes to."""
    settlement, fee_model = _settlement(desk, link), FeeModel(link.fee_model)
    named: MicroUsd | None = None
    if link.link_type is LinkType.CUSTOM:
        route = _route(desk, settlement, token)
        named = _named_price(route, settlement, fee_model, total)
    amount = link.amount if named is None else named
    found = routing.require_payable(desk.market, settlement, amount, fee_model, now)
    quoted = routing.require_option(found, token.token_id).quote.payer_pays.atomic
    if quoted != total:
        raise invalid_field("message.amount", f"must be {quoted}, the whole charge in {token.name}")
    return named


def _named_price(route: Route, settlement: Token, fee_model: FeeModel, total: int) -> MicroUsd:
    lowest = total_of(MicroUsd(route.minimum), route, settlement, fee_model)
    highest = total_of(MicroUsd(route.maximum), route, settlement, fee_model)
    if not lowest <= total <= highest:
        detail = f"message.amount must be between {lowest} and {highest}"
        raise Refused(Code.VALUE_OUT_OF_RANGE, detail)
    amount, reached = price_of(total, route, settlement, fee_model)
    if reached != total:
        raise invalid_field(
            "message.amount", f"comes to no price with the fee on top; the next lower is {reached}"
        )
    return amount


def _route(desk: Desk, settlement: Token, token: Token) -> Route:
    for route in routing.routes_to(desk.market, settlement):
        if route.token == token:
            return route
    raise Refused(Code.CHANNEL_UNSUPPORTED, f"{token.token_id} cannot pay for this link")


# --- a session's payment --------------------------------------------------------------------------


async def view_session(tx: Tx, agency: Agency, session_id: str) -> SessionStatus:
    """Where a session stands, and what its payer has to do. Refused: 100201."""
    view = await sessions.view(tx, sessions.session_id_of(session_id))
    session, desk = view.session, agency.desk
    order = await paying.last_prepared(tx, desk, session)
    stage = stage_of(session, tx.now, prepared=order is not None)
    token: Token | None = None
    offers: tuple[Offer, ...] = ()
    if session.preset is not None:
        token = desk.networks.find_token(session.preset.token_id, session.tenant.mode)
    elif stage is Stage.SESSION_READY:
        offers = tuple(
            fixed_offer(option, session.amount) for option in paying.options(desk, session, tx.now)
        )
    return SessionStatus(view, stage, token, offers, order)


async def prepare(
    db: Database, agency: Agency, request: Prepare, address: str
) -> tuple[Session, SignedOrder]:
    """Attest the payment for the payer who signed ``request``.

    ``address`` is the client's. Refused, in this order: 100201, 400101 for another merchant,
    100203 to 100205 and 100209, 400202, 400201, 100206, 400101 for the e-mail address, 400105,
    400101 for a message that is good for too long, 400104, 400106, 900101.
    """
    async with db.read() as tx:
        network, _ = await _payment_terms(tx, agency, request)
    proven = await agency.verifier.prove(request.authorization, network, address)
    return await db.run(_prepare, agency, request, proven)


async def _prepare(
    tx: Tx, agency: Agency, request: Prepare, proven: Proven
) -> tuple[Session, SignedOrder]:
    _, token = await _payment_terms(tx, agency, request)
    await _take_turn(tx, agency, proven)
    made = await paying.prepare_proven(
        tx,
        agency.desk,
        sessions.session_id_of(request.session_id),
        token_id=token.token_id,
        payer=request.authorization.payer,
        payer_email=request.payer_email or None,
    )
    await store.insert(tx, proven, made.session.session_id)
    return made.session, made.signed


async def _payment_terms(tx: Tx, agency: Agency, request: Prepare) -> tuple[Network, Token]:
    session = (await sessions.view(tx, sessions.session_id_of(request.session_id))).session
    authorization = request.authorization
    _require_merchant(authorization, session.tenant.merchant_id)
    paying.check_payable(session, tx.now)
    network, token = _paid_with(agency.desk, authorization, session.tenant.mode)
    paying.require_preset(session, authorization.payer, token.token_id)
    routing.require_option(paying.options(agency.desk, session, tx.now), token.token_id)
    field = "message.payerEmail"
    email = paying.proven_email(session, request.payer_email or None, field)
    sessions.check_email(email, required=session.payer_email_required, field=field)
    _require_time(authorization, tx.now)
    return network, token


# --- what every message is judged by --------------------------------------------------------------


def _link_id(text: str) -> LinkId:
    link_id = id_or_none(LinkId, text)
    if link_id is None:
        raise Refused(Code.LINK_NOT_FOUND)
    return link_id


def _settlement(desk: Desk, link: PaymentLink) -> Token:
    return routing.require_settlement(desk.networks, link.tenant.mode, link.settlement_token)


def _require_merchant(authorization: Authorization, merchant_id: str) -> None:
    if authorization.merchant_id != merchant_id:
        raise invalid_field("message.merchantId", "is not the merchant of what is paid")


def _paid_with(desk: Desk, authorization: Authorization, mode: Mode) -> tuple[Network, Token]:
    network = desk.networks.at_chain(authorization.chain_id)
    if network is None or network.mode is not mode:
        detail = f"message.paymentChainId {authorization.chain_id} is no network that can pay here"
        raise Refused(Code.CHANNEL_UNSUPPORTED, detail)
    token = desk.networks.token_at(network.name, authorization.token)
    if token is None:
        raise Refused(Code.CURRENCY_UNSUPPORTED, f"message.paymentToken on {network.title}")
    return network, token


def _require_time(authorization: Authorization, now: datetime) -> None:
    ahead = authorization.expires_at - unix_seconds(now)
    if ahead < 0:
        raise Refused(Code.AUTHORIZATION_EXPIRED)
    if ahead > AHEAD_MAX.total_seconds():
        raise invalid_field(
            "message.authorizationExpiresAt",
            f"must be at most {AHEAD_MAX.total_seconds():.0f} seconds ahead",
        )


async def _take_turn(tx: Tx, agency: Agency, proven: Proven) -> None:
    """Refuse a nonce that was used, and a payer who asks too often.

    A used nonce is refused also for the very same message: a signature is good for one act, and
    whoever lost the answer signs again, which costs nothing. Only what was signed is counted, so
    that nobody can use up another payer's turns.
    """
    authorization = proven.authorization
    await store.lock_payer(tx, authorization.payer)
    if await store.is_used(tx, authorization.payer, authorization.nonce):
        raise Refused(Code.NONCE_USED)
    oldest = await store.nth_newest(tx, authorization.payer, agency.payer_per_minute)
    if oldest is not None and oldest + _MINUTE > tx.now:
        wait = math.ceil((oldest + _MINUTE - tx.now).total_seconds())
        raise Refused(Code.TOO_MANY_REQUESTS, retry_after=wait)
