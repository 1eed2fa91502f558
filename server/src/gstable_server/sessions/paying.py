"""The payer's verbs: see what can be paid with, ask for a signed order, hand in a signature.

The server attests terms and, for a payer who only signs, sends the transaction. It can change
neither: the terms are bound by its signature, and what the payer signs names the order.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gstable_server.chain import orders
from gstable_server.chain.executor import operations as executor
from gstable_server.chain.executor.model import Intent, IntentView, Sender, State
from gstable_server.chain.orders import (
    ContractCall,
    Order,
    PaymentOrder,
    RoutedOrder,
    SignedOrder,
)
from gstable_server.chain.typed_data import SIGNATURE_BYTES_MAX
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds, from_unix_seconds, unix_seconds
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Tx
from gstable_server.routing import operations as routing
from gstable_server.routing.model import RouteOption, Way
from gstable_server.routing.ways import ways
from gstable_server.sessions import store
from gstable_server.sessions.attested import AttestedOrder
from gstable_server.sessions.collecting import WalletWork, collected_call, wallet_work
from gstable_server.sessions.machine import Fact, Refuse, decide
from gstable_server.sessions.model import CaptureMethod, Session
from gstable_server.sessions.operations import Desk, check_email

RELAYS_MAX = 5
"""How many signatures a session takes: the first good one pays, and each costs us work."""


@dataclass(frozen=True, slots=True)
class PreparedPayment:
    """Everything a payer needs to pay ``option`` one way; ``ways`` are the others beside it."""

    session: Session
    option: RouteOption
    way: Way
    ways: tuple[Way, ...]
    signed: SignedOrder
    work: WalletWork


@dataclass(frozen=True, slots=True)
class Authorized:
    """What follows a payer's signature: we send it under the name ``cause``, or the payer sends
    ``call``."""

    cause: str | None = None
    call: ContractCall | None = None


def options(desk: Desk, session: Session, now: datetime) -> tuple[RouteOption, ...]:
    """The tokens that can pay this session, each with its quote; the session's own token first.
    The one token of a session that was opened with one."""
    settlement = routing.require_settlement(
        desk.networks, session.tenant.mode, session.settlement_token
    )
    held = session.capture_method is CaptureMethod.MANUAL
    found = routing.options(
        desk.market, settlement, session.amount, session.fee_model, now, held=held
    )
    accepted = session.networks
    if accepted is not None:
        found = tuple(option for option in found if option.network.name in accepted)
    preset = session.preset
    if preset is None:
        return found
    return tuple(option for option in found if option.token.token_id == preset.token_id)


def ways_of(desk: Desk, option: RouteOption) -> tuple[Way, ...]:
    """How the option's token may be taken, the least work for the payer first."""
    return ways(option.network, option.token, relays=desk.relays)


async def prepare(
    tx: Tx,
    desk: Desk,
    session_id: SessionId,
    *,
    client_code: str,
    token_id: str,
    payer: Address,
    payer_email: str | None,
    way: Way = Way.APPROVE,
) -> PreparedPayment:
    """A payer chose how to pay: attest the terms, and say what the wallet has to do.

    From here on the session cannot be cancelled, because a payment may be in flight. The order
    stays valid a little longer than the session, so that a transaction on its way at the last
    moment is mined and recorded as late, instead of failing; but no longer than a rail's price.

    Refuses sessions that are not payable, another client code, a missing e-mail address, and with
    400202 a token or a way that is not offered.
    """
    session = await require_payable(tx, session_id, client_code)
    return await _prepared(tx, desk, session, token_id, payer, payer_email, way)


async def prepare_proven(
    tx: Tx,
    desk: Desk,
    session_id: SessionId,
    *,
    token_id: str,
    payer: Address,
    payer_email: str | None,
) -> PreparedPayment:
    """Like ``prepare``, for a payer who proved who they are by a signature instead of a client
    code, and who then approves and pays by themselves."""
    session = await _held(tx, session_id)
    check_payable(session, tx.now)
    email = proven_email(session, payer_email)
    return await _prepared(tx, desk, session, token_id, payer, email, Way.APPROVE)


async def _prepared(
    tx: Tx,
    desk: Desk,
    session: Session,
    token_id: str,
    payer: Address,
    payer_email: str | None,
    way: Way,
) -> PreparedPayment:
    require_preset(session, payer, token_id)
    email = payer_email or session.payer_email
    check_email(email, required=session.payer_email_required)
    option = routing.require_option(options(desk, session, tx.now), token_id)
    offered = ways_of(desk, option)
    if way not in offered:
        raise Refused(Code.CHANNEL_UNSUPPORTED, f"way {way.value!r} cannot pay with {token_id!r}")
    signed = await attested(tx, desk, session, option, way, payer)
    changed = replace(session, signed_once=True, payer_email=email)
    await store.move(tx, session, changed)
    work = wallet_work(signed, way, payer)
    return PreparedPayment(changed, option, way, offered, signed, work)


def require_preset(session: Session, payer: Address, token_id: str) -> None:
    """Refuse with 100206 anybody but the payer that the session was opened for, and any token but
    the one that it was opened with; most sessions are for everybody."""
    preset = session.preset
    if preset is None:
        return
    if preset.payer != payer:
        raise Refused(Code.SESSION_PAYER_MISMATCH)
    if preset.token_id != token_id:
        detail = f"this session is paid with {preset.token_id}; another token needs a new session"
        raise Refused(Code.SESSION_PAYER_MISMATCH, detail)


def proven_email(session: Session, email: str | None, field: str = "payerEmail") -> str | None:
    """The session's e-mail address, for somebody without its client code who names ``email``.

    Refuses with 400101 to replace one that is there already: whoever knows a session's id could
    else have sent to them what another payer buys. The payer that it was opened for may.
    """
    known = session.payer_email
    if session.preset is None and known is not None and email not in {None, known}:
        raise invalid_field(field, "was given for this session already, and is another one")
    return email or known


async def last_prepared(tx: Tx, desk: Desk, session: Session) -> SignedOrder | None:
    """The order that the preset payer was last given to pay by themselves, while it can be paid."""
    preset = session.preset
    if preset is None:
        return None
    known = await store.latest_order(
        tx, session.session_id, preset.token_id, Way.APPROVE, preset.payer
    )
    if known is None or known.deadline <= tx.now:
        return None
    try:
        return orders.from_json(known.body, desk.networks)
    except LookupError:
        return None


def require_client_code(session: Session, client_code: str) -> None:
    """Refuse who has not seen the session's page."""
    if not hmac.compare_digest(client_code.encode(), session.client_code.encode()):
        raise Refused(Code.SESSION_CLIENT_KEY_INVALID)


async def require_payable(tx: Tx, session_id: SessionId, client_code: str) -> Session:
    """The session, held, if its payer asks and it can be paid. Refuses it otherwise."""
    session = await _held(tx, session_id)
    require_client_code(session, client_code)
    check_payable(session, tx.now)
    return session


async def _held(tx: Tx, session_id: SessionId) -> Session:
    session = await store.lock(tx, session_id)
    if session is None:
        raise Refused(Code.SESSION_NOT_FOUND)
    return session


def check_payable(session: Session, now: datetime) -> None:
    """Refuse a session that cannot be paid any more, by the code of what became of it."""
    answer = decide(session.state, Fact.ORDER_REQUESTED, signed_once=session.signed_once)
    if isinstance(answer, Refuse):
        raise Refused(answer.code)
    if session.expires_at <= now:
        raise Refused(Code.SESSION_EXPIRED)


async def attested(
    tx: Tx, desk: Desk, session: Session, option: RouteOption, way: Way, payer: Address
) -> SignedOrder:
    """The signed order, remembered. The last one is given again while it says the same and most
    of its time is left: a page that asks twice gets one order, whose signature it may hold."""
    deadline = _deadline(desk, session, option)
    known = None
    if session.signed_once:
        known = await store.latest_order(tx, session.session_id, option.token.token_id, way, payer)
    if known is not None:
        age = deadline - known.deadline
        if timedelta(0) <= age <= timedelta(seconds=desk.schedule.quote_seconds / 2):
            signed = _attest(desk, session, option, unix_seconds(known.deadline))
            if signed.digest == known.digest:
                return signed
    signed = _attest(desk, session, option, unix_seconds(deadline))
    await store.insert_order(
        tx,
        AttestedOrder(
            session_id=session.session_id,
            network=option.network.name,
            token_id=option.token.token_id,
            way=way,
            rail=option.rail,
            digest=signed.digest,
            body=orders.to_json(signed),
            merchant_amount=signed.order.merchant_amount,
            fee_amount=signed.order.fee_amount,
            fee_ppm=option.fee_ppm,
            deadline=from_unix_seconds(signed.order.deadline),
            payer=payer,
        ),
    )
    return signed


def _deadline(desk: Desk, session: Session, option: RouteOption) -> datetime:
    """Until when the order may be mined, in whole seconds."""
    last = session.expires_at + desk.order_grace
    if option.rail is not None:
        last = min(last, option.expires_at)
    return from_unix_seconds(unix_seconds(last))


def _attest(
    desk: Desk, session: Session, option: RouteOption, deadline: UnixSeconds
) -> SignedOrder:
    return desk.signer.sign(_order(desk, session, option, deadline), option.network)


def _order(desk: Desk, session: Session, option: RouteOption, deadline: UnixSeconds) -> Order:
    quote = option.quote
    if option.rail is None:
        return PaymentOrder(
            session_key=session.session_key,
            merchant=session.recipient,
            token=option.token,
            merchant_amount=quote.merchant_receives.atomic,
            fee_amount=quote.fee.atomic,
            fee_receiver=desk.fee_receiver,
            deadline=deadline,
        )
    settlement = desk.networks.require_token(session.settlement_token, session.tenant.mode)
    request = routing.rail_request(desk.networks, option.route, settlement, quote)
    terms = desk.market.rail(option.rail).start(request, deadline)
    return RoutedOrder(
        session_key=session.session_key,
        merchant=session.recipient,
        token=option.token,
        amount=quote.amount.atomic,
        fee_amount=quote.fee.atomic,
        fee_receiver=desk.fee_receiver,
        deadline=deadline,
        rail=terms.address,
        settlement=settlement,
        merchant_amount=quote.merchant_receives.atomic,
        rail_data=terms.data,
    )


async def authorize(
    tx: Tx,
    desk: Desk,
    session_id: SessionId,
    *,
    client_code: str,
    digest: bytes,
    way: Way,
    payer: Address,
    signature: bytes,
) -> Authorized:
    """A payer signed the order of ``digest``: send the payment for them, or say what to send.

    Nobody needs to be trusted with the signature: it moves the order's amounts to the order's
    receivers and nothing else. A wrong one cannot block a right one, because each is a payment of
    its own; the token or Permit2 refuses it before anything is sent.

    Refuses sessions that are not payable, orders that were not attested for that payer and way,
    with 400105 an order whose time is over, and with 400205 more than ``RELAYS_MAX`` signatures.
    """
    session = await require_payable(tx, session_id, client_code)
    if not 0 < len(signature) <= SIGNATURE_BYTES_MAX:
        raise invalid_field("signature", f"must have 1 to {SIGNATURE_BYTES_MAX} bytes")
    known = await store.find_order(tx, session_id, digest, way, payer)
    if known is None or way is Way.APPROVE:
        raise invalid_field("digest", "names no order that this payer can authorize that way")
    if known.deadline <= tx.now:
        raise Refused(Code.AUTHORIZATION_EXPIRED)
    try:
        signed = orders.from_json(known.body, desk.networks)
        call = collected_call(signed, way, payer, signature)
    except LookupError as failure:
        raise Refused(Code.ROUTE_UNAVAILABLE, str(failure)) from failure
    if way is Way.PERMIT:
        return Authorized(call=call)
    cause = f"relay:{digest.hex()}:{hashlib.sha256(payer + signature).hexdigest()}"
    return Authorized(cause=await _relay(tx, session, known, cause, call))


async def _relay(
    tx: Tx, session: Session, known: AttestedOrder, cause: str, call: ContractCall
) -> str:
    """Stage the payment with the executor, which sends it whatever becomes of this process; the
    name that it has there."""
    causes = await store.authorizations(tx, [session.session_id])
    signature, turn = cause, 0
    while cause in causes:  # bounded: by RELAYS_MAX
        staged = await executor.find(tx, cause)
        if staged is None or staged.state is not State.WITHDRAWN:
            return cause
        # Another payment had come first, and was taken back: a name that was withdrawn is spent.
        turn += 1
        cause = f"{signature}:{turn}"
    intent = Intent(
        cause=cause,
        network=known.network,
        sender=Sender.RELAYER,
        call=call,
        purpose="relay",
        subject=session.session_id,
        deadline=known.deadline,
    )
    await send_for_payer(tx, session.session_id, intent)
    return cause


async def send_for_payer(tx: Tx, session_id: SessionId, intent: Intent) -> None:
    """Have the executor send what a payer of the session, whose lock is held, signed; its cause is
    a new one. Once the session is paid, what is not sent yet is taken back (``hearing``).

    Refuses with 400205 more than ``RELAYS_MAX`` for one session.
    """
    if len(await store.authorizations(tx, [session_id])) >= RELAYS_MAX:
        raise Refused(Code.ROUTE_UNAVAILABLE, "too many signatures for this session")
    await store.insert_authorization(tx, session_id, intent.cause)
    staged = await executor.intend(tx, intent)
    assert staged, "the cause is a new one"


async def relayed(tx: Tx, session_id: SessionId, cause: str) -> IntentView | None:
    """Where a payment stands that we send for the session's payer; None for any other name."""
    return (await relayed_all(tx, {(session_id, cause)})).get((session_id, cause))


async def relayed_all(
    tx: Tx, asked: Collection[tuple[SessionId, str]]
) -> dict[tuple[SessionId, str], IntentView]:
    """The same of several, with as many questions as for one; other names are left out."""
    # Compared here: a made-up name may be text that no database takes.
    known = await store.authorized(tx, {session_id for session_id, _ in asked}) & set(asked)
    views = await executor.find_all(tx, [cause for _, cause in known]) if known else {}
    return {pair: views[pair[1]] for pair in known if pair[1] in views}
