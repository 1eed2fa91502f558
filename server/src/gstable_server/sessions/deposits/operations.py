"""The verbs of deposits: hand out an address, and act on what was found there.

Nothing here is proof of a payment. What a node says of a balance starts a transaction at most,
which is rehearsed before it is sent; a session is credited for the router's log alone
(``sessions.hearing``). Whoever may call the contract can move the money only to where the terms
say: this server has no key to an address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from gstable_server.chain import operations as chain
from gstable_server.chain import orders
from gstable_server.chain.deposits import NATIVE, DepositTerms, deposit_address, recover_call
from gstable_server.chain.executor import operations as executor
from gstable_server.chain.executor.model import Intent, IntentView, Sender, State
from gstable_server.chain.networks import Network
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.clock import from_unix_seconds, unix_seconds
from gstable_server.kernel.errors import Refused, invalid_field
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import Event
from gstable_server.routing import operations as routing
from gstable_server.routing.model import RouteOption, Way
from gstable_server.routing.ways import takes_deposits
from gstable_server.sessions import operations as sessions
from gstable_server.sessions import paying, store_payments
from gstable_server.sessions import store as session_store
from gstable_server.sessions.deposits import machine, store
from gstable_server.sessions.deposits.machine import Step
from gstable_server.sessions.deposits.model import (
    BALANCES_MAX,
    RECOVERIES_MAX,
    SIGHTINGS_MAX,
    SWEEPS_MAX,
    WATCHED_FOR,
    Deposit,
    DepositView,
    Place,
    Recovery,
    Sweep,
    covered,
    is_worth_returning,
    networks_of,
    place_of,
)
from gstable_server.sessions.model import STANDING, Session, SessionState
from gstable_server.sessions.operations import Desk

log = structlog.get_logger(__name__)

RECOVER_WITHIN = timedelta(hours=1)
"""How long one return is tried; then the balance is looked at anew."""


# --- what payers ask ------------------------------------------------------------------------------


async def open_deposit(
    tx: Tx,
    desk: Desk,
    session_id: SessionId,
    *,
    client_code: str,
    token_id: str,
    refund_to: Address | None,
    payer_email: str | None,
) -> tuple[DepositView, RouteOption]:
    """The address to which a plain transfer of that token pays the session.

    The first call fixes what the address commits to, for all tokens and networks. From here on
    the session cannot be cancelled, because money may be on its way. ``refund_to`` gets what does
    not pay, after the deadline; left out, it is the merchant's wallet.

    Refuses like ``paying.prepare``; with 400101 a ``refund_to`` that is none, or another than the
    session's; with 400202 a token that no transfer can pay with.
    """
    session = await paying.require_payable(tx, session_id, client_code)
    email = payer_email or session.payer_email
    sessions.check_email(email, required=session.payer_email_required)
    offered = routing.require_option(options(desk, session, tx.now), token_id)
    deposit = await store.find(tx, session_id)
    if deposit is None:
        deposit = await _open(tx, desk, session, offered, refund_to)
    else:
        _check_same(deposit, refund_to)
    changed = replace(session, signed_once=True, payer_email=email)
    await session_store.move(tx, session, changed)
    view = (await views(tx, desk, [changed]))[session_id]
    return view, routing.require_option(view.options, token_id)


async def _open(
    tx: Tx, desk: Desk, session: Session, option: RouteOption, refund_to: Address | None
) -> Deposit:
    deposit = _committing(desk, session, option.network, refund_to)
    _check_refund_to(desk, session, deposit.terms.refund_to)
    watched = networks_of(desk.networks, session.tenant.mode, deposit.collector)
    await store.insert(tx, deposit, [network.name for network in watched])
    for network in watched:
        until = deposit.refundable_after + WATCHED_FOR
        await chain.watch_receiver(tx, network.name, deposit.address, until)
    return deposit


def _committing(
    desk: Desk, session: Session, network: Network, refund_to: Address | None
) -> Deposit:
    """The address that commits to the session's terms, by the collector of ``network``."""
    contract = network.contracts.deposit_collector
    assert contract is not None, "options lists no others"
    settlement = desk.networks.require_token(session.settlement_token, session.tenant.mode)
    terms = DepositTerms(
        session_key=session.session_key,
        merchant=session.recipient,
        settlement_chain_id=settlement.chain_id,
        settlement_token=settlement.address,
        fee_receiver=desk.fee_receiver,
        refund_to=refund_to or session.recipient,
        # No order outlives this second, so that money is never both paid and returned.
        refundable_after=unix_seconds(session.expires_at + desk.order_grace),
    )
    address = deposit_address(contract.address, terms)
    return Deposit(session.session_id, contract.address, address, terms)


def _check_same(deposit: Deposit, refund_to: Address | None) -> None:
    if refund_to not in {None, deposit.terms.refund_to}:
        raise invalid_field("refundTo", "was chosen for this session already, and is another one")


def _check_refund_to(desk: Desk, session: Session, refund_to: Address) -> None:
    """Refuse what certainly is nobody's wallet: tokens sent there would be lost."""
    ours = {ZERO_ADDRESS}
    for network in desk.networks.of(session.tenant.mode):
        ours |= {network.router, *(token.address for token in network.tokens)}
        ours |= {contract.address for contract in network.contracts.configured.values()}
    if refund_to in ours:
        raise invalid_field("refundTo", "must be a wallet of the payer")


def options(desk: Desk, session: Session, now: datetime) -> tuple[RouteOption, ...]:
    """What a plain transfer can pay this session with, the session's own token first."""
    return tuple(
        option
        for option in paying.options(desk, session, now)
        if takes_deposits(option.network, relays=desk.relays)
    )


def _options_of(
    desk: Desk, session: Session, deposit: Deposit, now: datetime
) -> tuple[RouteOption, ...]:
    """The options whose network has the deposit's collector; none where the operator has taken
    the settlement token away: the money then goes back."""
    try:
        found = options(desk, session, now)
    except Refused:
        return ()
    usable = networks_of(desk.networks, session.tenant.mode, deposit.collector)
    return tuple(option for option in found if option.network in usable)


def asked_for(desk: Desk, session: Session, deposit: Deposit, now: datetime) -> Mapping[Place, int]:
    """What each token pays the session with, by network and token, in its atomic units."""
    found = _options_of(desk, session, deposit, now)
    return {place_of(option): option.quote.payer_pays.atomic for option in found}


async def of_session(tx: Tx, session_id: SessionId) -> Deposit | None:
    """The session's deposit; None where no address was asked for."""
    return await store.find(tx, session_id)


async def of_sessions(tx: Tx, session_ids: Sequence[SessionId]) -> list[Deposit]:
    """The deposits of those of these sessions that have one."""
    return await store.of_sessions(tx, session_ids)


async def at_address(tx: Tx, address: Address) -> Deposit | None:
    """The deposit whose address this is; None for any other."""
    return await store.at_address(tx, address)


async def of_key(tx: Tx, session_key: bytes) -> Deposit | None:
    """The deposit of the session that the chain knows by ``session_key``."""
    return await store.of_key(tx, session_key)


async def view(tx: Tx, desk: Desk, session: Session) -> DepositView | None:
    """The session's deposit for its page; None where no address was asked for."""
    return (await views(tx, desk, [session])).get(session.session_id)


async def announce(
    tx: Tx, desk: Desk, session: Session, refund_to: Address | None
) -> DepositView | None:
    """The session's deposit, or what ``open_deposit`` would make of it now; nothing is stored, and
    the session may be one that is not yet. None where no transfer can pay it.

    Refuses a ``refund_to`` like ``open_deposit``.
    """
    known = await store.find(tx, session.session_id)
    if known is not None:
        _check_same(known, refund_to)
        return (await views(tx, desk, [session]))[session.session_id]
    found = options(desk, session, tx.now)
    if not found:
        return None
    deposit = _committing(desk, session, found[0].network, refund_to)
    _check_refund_to(desk, session, deposit.terms.refund_to)
    usable = networks_of(desk.networks, session.tenant.mode, deposit.collector)
    offered = tuple(option for option in found if option.network in usable)
    return DepositView(session, deposit, offered, balances={}, sent=None)


async def views(tx: Tx, desk: Desk, sessions: Sequence[Session]) -> dict[SessionId, DepositView]:
    """The deposits of those of these sessions that have one."""
    deposits = await store.of_sessions(tx, [session.session_id for session in sessions])
    if not deposits:
        return {}
    ids = [deposit.session_id for deposit in deposits]
    balances = await store.balances_of(tx, ids)
    causes = await store.last_causes(tx, ids)
    sent = await executor.find_all(tx, list(causes.values())) if causes else {}
    by_id = {session.session_id: session for session in sessions}
    return {
        deposit.session_id: DepositView(
            session=by_id[deposit.session_id],
            deposit=deposit,
            options=_options_of(desk, by_id[deposit.session_id], deposit, tx.now),
            balances=balances[deposit.session_id],
            sent=sent.get(causes.get(deposit.session_id, "")),
        )
        for deposit in deposits
    }


# --- what the watch finds -------------------------------------------------------------------------


async def is_any_due(tx: Tx, network: Network) -> bool:
    """Whether ``take_due`` would find something now."""
    return await store.is_any_due(tx, network.name)


async def take_due(tx: Tx, network: Network) -> list[Deposit]:
    """The deposits that ``network`` is to be asked about now. Each is put off to its next look at
    once: a worker that dies, or whose node does not answer, has lost one look and nothing else."""
    due = await store.lock_due(tx, network.name, BALANCES_MAX)
    looks = {deposit.session_id: deposit.next_look(network, tx.now) for deposit in due}
    await store.schedule(tx, network.name, looks)
    return due


async def last_seen(
    tx: Tx, network: Network, due: list[Deposit]
) -> dict[tuple[SessionId, Address], int]:
    """What was at those addresses when it last changed."""
    return await store.last_seen(tx, network.name, [deposit.session_id for deposit in due])


async def found(
    tx: Tx, desk: Desk, network: Network, deposit: Deposit, balances: Mapping[Address, int]
) -> None:
    """Act on what a node of ``network`` says is at the address.

    The sighting and what follows from it are one transaction, under the session's lock: a process
    that dies before its end has seen nothing, and looks again.
    """
    session = await session_store.lock(tx, deposit.session_id)
    assert session is not None, "a deposit refers to it"
    grown = await _record(tx, network, deposit, balances)
    collects = await _collect(tx, desk, network, deposit, session, balances)
    if tx.now > deposit.refundable_after:
        for token, balance in balances.items():
            await _return(tx, network, deposit, token, balance)
    elif grown and not collects and _is_open(tx, session):
        paying_tokens = {
            option.token.address
            for option in _options_of(desk, session, deposit, tx.now)
            if option.network.name == network.name
        }
        if grown & paying_tokens:
            shown = await sessions.view(tx, session.session_id)
            sessions.tell(tx, desk, "session.underpaid", shown)


async def _record(
    tx: Tx, network: Network, deposit: Deposit, balances: Mapping[Address, int]
) -> set[Address]:
    """Remember what changed; returns the tokens of which there is more than ever before."""
    seen = await store.sightings(tx, deposit.session_id)
    grown = set()
    for token, balance in balances.items():
        place = network.name, token
        before = seen.get(place, [0])
        if balance == before[-1] or (len(before) >= SIGHTINGS_MAX and balance):
            continue
        await store.insert_sighting(tx, deposit.session_id, place, balance)
        if token == NATIVE:
            _tell_of_coins(tx, network, deposit, balance)
        if balance > max(before):
            grown.add(token)
        log.info("deposit seen", session=deposit.session_id, place=network.name, balance=balance)
    return grown


def _tell_of_coins(tx: Tx, network: Network, deposit: Deposit, balance: int) -> None:
    """Of an object of their own: merchants are told of their sessions, and this is not for them."""
    payload = {
        "sessionId": deposit.session_id,
        "network": network.name,
        "balance": str(balance),
    }
    subject = f"{network.name}:0x{deposit.address.hex()}"
    tx.tell(Event("deposit.coin_seen", subject, payload))


async def _is_unpaid(tx: Tx, session: Session) -> bool:
    """Whether the merchant has no money for this session, not even such as does not pay it."""
    payments = (await store_payments.of_sessions(tx, [session.session_id]))[session.session_id]
    stands = any(payment.state in STANDING for payment in payments)
    return not stands and session.state in {SessionState.INITIALIZED, SessionState.EXPIRED}


def _is_open(tx: Tx, session: Session) -> bool:
    return session.state is SessionState.INITIALIZED and session.expires_at > tx.now


async def _collect(
    tx: Tx,
    desk: Desk,
    network: Network,
    deposit: Deposit,
    session: Session,
    balances: Mapping[Address, int],
) -> bool:
    """Stage, keep or take back the collection; True while there is one."""
    last, many = await store.last_sweep(tx, session.session_id)
    sent = await executor.find(tx, last.cause) if last else None
    unpaid = await _is_unpaid(tx, session)
    option = None
    if unpaid and _is_open(tx, session) and many < SWEEPS_MAX:
        option = covered(_options_of(desk, session, deposit, tx.now), network, balances)
    step = machine.sweeping(
        sent.state if sent else None,
        # Past the expiry a staged collection is kept: its order is valid a little longer, and
        # late money that the merchant has is better than money that has to be asked for.
        wanted=unpaid,
        funded=last is None or await _is_funded(tx, deposit, last, network, balances),
        covered=option is not None,
    )
    if step is Step.WITHDRAW and last is not None and not await executor.withdraw(tx, last.cause):
        # It was signed in this moment: then it is sent, and pays or fails.
        return True
    if step is Step.WAIT:
        return sent is not None and sent.state not in machine.OVER
    if option is not None:
        await _sweep(tx, desk, deposit, session, option, many + 1)
    return option is not None


async def _is_funded(
    tx: Tx, deposit: Deposit, last: Sweep, network: Network, balances: Mapping[Address, int]
) -> bool:
    """Whether what a collection takes is there: now, or on another network as last seen."""
    name, token = last.place
    if name == network.name:
        return balances[token] >= last.amount
    seen = await store.sightings(tx, deposit.session_id)
    return seen[last.place][-1] >= last.amount


async def _sweep(
    tx: Tx, desk: Desk, deposit: Deposit, session: Session, option: RouteOption, number: int
) -> None:
    """Attest the order and have it paid with what is at the address.

    The executor rehearses the call until the order ends: a sighting that was false, or that a
    reorganisation took back, costs nothing.
    """
    address = deposit.address
    signed = await paying.attested(tx, desk, session, option, Way.DEPOSIT, address)
    cause = f"sweep:{signed.digest.hex()}:{number}"
    call = orders.collected_call(signed, address, deposit.collector, deposit.terms.encoded)
    sweep = Sweep(cause, place_of(option), signed.order.total)
    await store.insert_sweep(tx, session.session_id, sweep)
    intent = Intent(
        cause=cause,
        network=option.network.name,
        sender=Sender.RELAYER,
        call=call,
        purpose="sweep",
        subject=session.session_id,
        deadline=from_unix_seconds(signed.order.deadline),
    )
    staged = await executor.intend(tx, intent)
    assert staged, "the number makes every cause a new one"


async def on_its_way_back(tx: Tx, session_id: SessionId, place: Place) -> str | None:
    """The executor's name of the return that is staged, None where none is."""
    last = await store.last_recovery(tx, session_id, place)
    sent = await executor.find(tx, last.cause) if last else None
    if last is None or sent is None or sent.state in {*machine.OVER, State.FINAL}:
        return None
    return last.cause


async def send_back(tx: Tx, network: Network, deposit: Deposit, token: Address) -> str:
    """Stage the return of everything of ``token`` at the address, because a person asked for it:
    whatever it is, and however often it went back before. Returns the executor's name of it.

    For a deposit whose time is over, and that is not on its way back. The executor rehearses the
    call: where there is nothing, nothing is sent.
    """
    last = await store.last_recovery(tx, deposit.session_id, (network.name, token))
    number = last.number + 1 if last else 1
    return await _stage_return(tx, network, deposit, token, number, asked=True)


async def _return(tx: Tx, network: Network, deposit: Deposit, token: Address, balance: int) -> None:
    """Send back what is at the address after the deadline, if it is worth its gas."""
    place = network.name, token
    last = await store.last_recovery(tx, deposit.session_id, place)
    sent: IntentView | None = await executor.find(tx, last.cause) if last else None
    number = last.number + 1 if last else 1
    worth = is_worth_returning(network, token, balance)
    step = machine.returning(sent.state if sent else None, worth=worth)
    if step is Step.WITHDRAW and last is not None and not last.asked:
        await executor.withdraw(tx, last.cause)
    if step is not Step.SEND or number > RECOVERIES_MAX:
        return
    await _stage_return(tx, network, deposit, token, number, asked=False)


async def _stage_return(
    tx: Tx, network: Network, deposit: Deposit, token: Address, number: int, *, asked: bool
) -> str:
    place = network.name, token
    cause = f"recover:{network.name}:0x{deposit.address.hex()}:0x{token.hex()}:{number}"
    await store.insert_recovery(tx, deposit.session_id, Recovery(cause, place, number, asked))
    intent = Intent(
        cause=cause,
        network=network.name,
        sender=Sender.RELAYER,
        call=recover_call(deposit.collector, deposit.terms, token),
        purpose="recover",
        subject=deposit.session_id,
        deadline=tx.now + RECOVER_WITHIN,
    )
    await executor.intend(tx, intent)
    return cause
