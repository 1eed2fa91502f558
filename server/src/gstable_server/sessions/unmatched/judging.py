"""What the chain and the sessions do to money that pays nothing as asked.

Every function finds out how things stand and writes that down, under the lock of the session: so
it makes no difference in which order the facts are heard, or how often. A process that dies in
between has written nothing, and the fact waits in the outbox.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gstable_server.accounts import operations as accounts
from gstable_server.chain.deposits import NATIVE
from gstable_server.chain.facts import FactWhat, InboundLog, RecoveryLog, SessionLog
from gstable_server.chain.operations import fact_of
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import InflowId, MerchantId, SessionId
from gstable_server.kernel.tenant import Mode
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.sessions import store as session_store
from gstable_server.sessions import store_payments
from gstable_server.sessions.deposits import operations as deposits
from gstable_server.sessions.deposits.model import Deposit
from gstable_server.sessions.model import Payment, PaymentName, Session, SessionView
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.unmatched import machine, rules, store
from gstable_server.sessions.unmatched.machine import Fact
from gstable_server.sessions.unmatched.model import (
    WAITING,
    Act,
    Decision,
    How,
    Inflow,
    Source,
    State,
)
from gstable_server.sessions.unmatched.rules import Ask

ITSELF = "gstable"
"""Who acts where nobody was asked."""
COIN_DECIMALS = 18
"""Of the own coin of every network with an Ethereum virtual machine."""
_STANDS = frozenset({FactWhat.SEEN, FactWhat.FINAL})
_TOLD = frozenset({*WAITING, State.DISMISSED})


# --- what is told ---------------------------------------------------------------------------------


async def note_payments(tx: Tx, desk: Desk, batch: Sequence[StoredEvent]) -> None:
    """Facts about sessions were heard, after whoever else hears them: two statements where, as
    nearly always, nothing is unusual."""
    logs = [fact_of(stored).log for stored in batch]
    about = [log for log in logs if isinstance(log, SessionLog)]
    concerned = await store.concerned(tx, [log.session_key for log in about])
    await judge_sessions(tx, desk, concerned)
    names = [(log.network, log.tx_hash, log.log_position) for log in about]
    for name in await store.strays(tx, names):
        await _judge_stray_payment(tx, desk, name)


async def note_sessions(tx: Tx, desk: Desk, batch: Sequence[StoredEvent]) -> None:
    """Sessions of which something may have come are closed, or money of them was given back."""
    ids = [stored.event.object_id for stored in batch]
    await judge_sessions(tx, desk, await store.known_sessions(tx, ids))


async def note_settlements(tx: Tx, desk: Desk, batch: Sequence[StoredEvent]) -> None:
    """What crosses was delivered, or came back: the session's payment may be unusual by now."""
    keys = [_bytes(stored.event.payload["sessionKey"]) for stored in batch]
    await judge_sessions(tx, desk, await store.concerned(tx, keys))


def _bytes(text_hex: str) -> bytes:
    return bytes.fromhex(text_hex.removeprefix("0x"))


async def note_inbound(tx: Tx, desk: Desk, stored: StoredEvent) -> None:
    """A transfer to an address or a contract of ours was seen, became final, or was taken back."""
    fact = fact_of(stored)
    arrived = fact.log
    assert isinstance(arrived, InboundLog), "flow hands over nothing else"
    deposit = await deposits.at_address(tx, arrived.receiver)
    session = await session_store.lock(tx, deposit.session_id) if deposit else None
    name = arrived.network, arrived.tx_hash, arrived.log_position
    known = await store.lock_named(tx, name)
    stands = fact.what in _STANDS
    if known is None:
        assert stands, "a transfer is seen before anything else of it"
        known = _first_seen(tx, desk, arrived, session)
        await store.insert(tx, known)
    # Mined again, the same transaction may bring another amount; what left is counted anew.
    is_other = arrived.amount != known.amount
    here = replace(
        known,
        amount=arrived.amount,
        collected=0 if is_other else known.collected,
        returned=0 if is_other else known.returned,
        block_number=arrived.block_number,
        arrived_at=arrived.block_time,
        final=fact.what is FactWhat.FINAL,
    )
    if not stands:
        await _write(tx, known, here, Fact.TAKEN_BACK)
    elif session is None:
        flagged = replace(here, flags=rules.flags_of_stray(here))
        await _write(tx, known, flagged, Fact.LEFT_OVER)
    else:
        # Back among what is there first, so that it counts when all of it is judged.
        await _write(tx, known, here, Fact.LEFT_OVER if known.state is State.GONE else None)
    if session is not None:
        await judge_session(tx, desk, session.session_id)


def _first_seen(tx: Tx, desk: Desk, arrived: InboundLog, session: Session | None) -> Inflow:
    network = desk.networks.network(arrived.network)
    token = desk.networks.token_at(arrived.network, arrived.token)
    return Inflow(
        inflow_id=tx.mint(InflowId),
        source=Source.TRANSFER,
        network=network.name,
        mode=network.mode,
        token=arrived.token,
        token_id=desk.networks.token_id_at(network.name, arrived.token),
        decimals=token.decimals if token else None,
        amount=arrived.amount,
        sender=arrived.sender,
        receiver=arrived.receiver,
        tx_hash=arrived.tx_hash,
        log_position=arrived.log_position,
        block_number=arrived.block_number,
        arrived_at=arrived.block_time,
        final=False,
        flags=frozenset(),
        state=State.EXPECTED if session else State.OPEN,
        seen_at=tx.now,
        session_id=session.session_id if session else None,
        merchant_id=session.tenant.merchant_id if session else None,
    )


async def note_recovery(tx: Tx, desk: Desk, stored: StoredEvent) -> None:
    """What was at a deposit address went back, or did not after all."""
    fact = fact_of(stored)
    assert isinstance(fact.log, RecoveryLog), "flow hands over nothing else"
    deposit = await deposits.of_key(tx, fact.log.session_key)
    if deposit is None:
        # Whose address that was we do not know: the collector serves anybody.
        return
    await session_store.lock(tx, deposit.session_id)
    stands = fact.what in _STANDS
    await store.put_return(tx, fact.log, deposit.session_id, stands=stands)
    if fact.log.token == NATIVE:
        await _at_least_returned(tx, deposit.session_id, fact.log.network)
    await judge_session(tx, desk, deposit.session_id)


async def _at_least_returned(tx: Tx, session_id: SessionId, network: str) -> None:
    """What went back was there, also where no balance was seen that says so."""
    back = (await store.returned(tx, [session_id])).get((session_id, network, NATIVE), 0)
    known = await _coins_at(tx, session_id, network)
    if known is not None and known.amount < back:
        await _write(tx, known, replace(known, amount=back), None)


async def _coins_at(tx: Tx, session_id: SessionId, network: str) -> Inflow | None:
    for inflow in (await store.lock_of_sessions(tx, [session_id]))[session_id]:
        if inflow.source is Source.COIN and inflow.network == network:
            return inflow
    return None


async def note_coin(tx: Tx, desk: Desk, stored: StoredEvent) -> None:
    """There is more or less of the network's own coin at a deposit address than before."""
    session_id = SessionId(stored.event.payload["sessionId"])
    session = await session_store.lock(tx, session_id)
    deposit = await deposits.of_session(tx, session_id)
    assert session is not None, "a deposit refers to it"
    assert deposit is not None, "the event is told of a deposit"
    network = desk.networks.network(stored.event.payload["network"])
    back = (await store.returned(tx, [session_id])).get((session_id, network.name, NATIVE), 0)
    amount = int(stored.event.payload["balance"]) + back
    known = await _coins_at(tx, session_id, network.name)
    if known is not None:
        # What went back and was not told of yet makes it less for a moment.
        await _write(tx, known, replace(known, amount=amount, collected=0, returned=0), None)
    elif amount:
        await store.insert(tx, _coins(tx, network.name, session, deposit, amount))
    await judge_session(tx, desk, session_id)


def _coins(tx: Tx, network: str, session: Session, deposit: Deposit, amount: int) -> Inflow:
    return Inflow(
        inflow_id=tx.mint(InflowId),
        source=Source.COIN,
        network=network,
        mode=session.tenant.mode,
        token=NATIVE,
        token_id=f"{network}::coin",
        decimals=COIN_DECIMALS,
        amount=amount,
        sender=None,
        receiver=deposit.address,
        tx_hash=None,
        log_position=None,
        block_number=None,
        arrived_at=tx.now,
        final=False,
        flags=frozenset(),
        state=State.EXPECTED,
        seen_at=tx.now,
        session_id=session.session_id,
        merchant_id=session.tenant.merchant_id,
    )


# --- how it stands --------------------------------------------------------------------------------


async def judge_session(tx: Tx, desk: Desk, session_id: SessionId) -> None:
    """Bring everything that came for one session to how things stand."""
    await judge_sessions(tx, desk, [session_id])


async def judge_sessions(tx: Tx, desk: Desk, session_ids: Sequence[SessionId]) -> None:
    """The same for several, with each kind of row read once."""
    if not session_ids:
        return
    sessions = await session_store.lock_all(tx, session_ids)
    payments = await store_payments.of_sessions(tx, session_ids)
    known = await store.lock_of_sessions(tx, session_ids)
    views = [SessionView(one, tuple(payments[one.session_id])) for one in sessions]
    await _judge_payments(tx, views, known)
    at_addresses = [
        session_id
        for session_id, inflows in known.items()
        if any(inflow.source is not Source.PAYMENT for inflow in inflows)
    ]
    if at_addresses:
        back = await store.returned(tx, at_addresses)
        by_session = {one.session_id: one for one in await deposits.of_sessions(tx, at_addresses)}
        for view in views:
            deposit = by_session.get(view.session.session_id)
            if deposit is not None:
                here = known[deposit.session_id]
                await _judge_deposit(tx, desk, view, deposit, here, back)


async def _judge_payments(
    tx: Tx, views: Sequence[SessionView], known: Mapping[SessionId, Sequence[Inflow]]
) -> None:
    by_payment = {
        one.payment_id: one for inflows in known.values() for one in inflows if one.payment_id
    }
    about = [
        (view, payment)
        for view in views
        for payment in view.payments
        if payment.flags or payment.payment_id in by_payment
    ]
    if not about:
        return
    ids = sorted({view.session.session_id for view, _ in about})
    given_back = await refunds.of_sessions(tx, ids)
    for view, payment in about:
        inflow, tenant = by_payment.get(payment.payment_id), view.session.tenant
        is_new = inflow is None
        if inflow is None:
            inflow = _of_payment(tx, payment, tenant.mode, tenant.merchant_id)
        fact, how = rules.fact_of_payment(payment, given_back)
        await _write(tx, inflow, _as_paid(inflow, payment), fact, how, is_new=is_new)


async def _judge_stray_payment(tx: Tx, desk: Desk, name: PaymentName) -> None:
    """A payment for a session that we do not know, in some wallet."""
    [payment] = [one for one in await store_payments.lock(tx, [], [name]) if one.name == name]
    inflow = await store.lock_named(tx, name)
    is_new = inflow is None
    if inflow is None:
        mode = desk.networks.network(payment.network).mode
        owners = await accounts.owners_of(tx, payment.merchant, mode)
        owner = owners[0] if len(owners) == 1 else None
        inflow = _of_payment(tx, payment, mode, owner)
    fact, how = rules.fact_of_payment(payment, ())
    await _write(tx, inflow, _as_paid(inflow, payment), fact, how, is_new=is_new)


def _of_payment(tx: Tx, payment: Payment, mode: Mode, merchant_id: MerchantId | None) -> Inflow:
    """The row of an unusual payment, in the token that the merchant gets."""
    return Inflow(
        inflow_id=tx.mint(InflowId),
        source=Source.PAYMENT,
        network=payment.network,
        mode=mode,
        token=None,
        token_id=payment.settlement_token,
        decimals=payment.settlement_decimals,
        amount=payment.received,
        sender=payment.payer,
        receiver=payment.merchant,
        tx_hash=payment.tx_hash,
        log_position=payment.log_position,
        block_number=payment.block_number,
        arrived_at=payment.block_time,
        final=False,
        flags=rules.flags_of_payment(payment),
        state=State.OPEN,
        seen_at=tx.now,
        session_id=payment.session_id,
        payment_id=payment.payment_id,
        merchant_id=merchant_id,
    )


def _as_paid(inflow: Inflow, payment: Payment) -> Inflow:
    return replace(
        inflow,
        amount=payment.received,
        block_number=payment.block_number,
        arrived_at=payment.block_time,
        final=payment.final_at is not None,
        flags=rules.flags_of_payment(payment) or inflow.flags,
    )


async def _judge_deposit(
    tx: Tx,
    desk: Desk,
    view: SessionView,
    deposit: Deposit,
    known: Sequence[Inflow],
    back: Mapping[tuple[SessionId, str, Address], int],
) -> None:
    session = view.session
    places: dict[tuple[str, Address], list[Inflow]] = defaultdict(list)
    for inflow in known:
        if inflow.token is not None and inflow.state is not State.GONE:
            places[inflow.network, inflow.token].append(inflow)
    spread = {
        (network, token): rules.spread(
            inflows,
            _taken(desk, view, deposit, network, token),
            back.get((session.session_id, network, token), 0),
        )
        for (network, token), inflows in places.items()
    }
    # What is used up needs no quotes: nobody asks for it any more.
    rests = any(inflow.left for told in spread.values() for inflow in told)
    asks = deposits.asked_for(desk, session, deposit, tx.now) if rests else {}
    networks = {network for network, _ in asks}
    paid = view.payment is not None
    for (network, token), told in spread.items():
        ask = Ask(asks.get((network, token)), network in networks)
        there = sum(one.left for one in told)
        for before, after in zip(places[network, token], told, strict=True):
            fact, how = rules.fact_of_deposit(after, session, ask)
            flags = before.flags
            if after.left:
                flags = rules.flags_of_deposit(after, there, session, ask, paid=paid)
            await _write(tx, before, replace(after, flags=flags), fact, how)


def _taken(desk: Desk, view: SessionView, deposit: Deposit, network: str, token: Address) -> int:
    """What the session's payments took from the address, also such as came back later."""
    token_id = desk.networks.token_id_at(network, token)
    return sum(
        payment.amount + payment.fee_received
        for payment in view.payments
        if payment.payer == deposit.address
        and (payment.network, payment.token_id) == (network, token_id)
        and payment.state in rules.TOOK
    )


# --- what is written ------------------------------------------------------------------------------


async def _write(
    tx: Tx,
    before: Inflow,
    after: Inflow,
    fact: Fact | None,
    how: How | None = None,
    *,
    is_new: bool = False,
) -> None:
    """Keep ``after``, moved by ``fact``, and tell of it if a person may have to know. What
    ``is_new`` has no row yet."""
    answer = machine.decide(after.state, fact) if fact else machine.STAY
    if isinstance(answer, machine.Move):
        after = moved(tx, after, answer.state, how)
    elif after.state is State.RESOLVED and how is not None:
        after = replace(after, how=how)
    if is_new:
        await store.insert(tx, after)
    elif after != before:
        await store.update(tx, after)
    if after.state is not before.state and {before.state, after.state} & _TOLD:
        reason = fact.value if fact else ""
        await record(tx, before, after, None, ITSELF, reason)


def moved(tx: Tx, inflow: Inflow, state: State, how: How | None) -> Inflow:
    """The inflow in ``state``; what is under way belongs to the state that it left."""
    resolved = state is State.RESOLVED
    keeps = state is State.RESOLVING or resolved
    return replace(
        inflow,
        state=state,
        how=how if resolved else None,
        resolved_at=tx.now if resolved else None,
        refund_id=inflow.refund_id if keeps else None,
        cause=inflow.cause if keeps else None,
    )


async def record(
    tx: Tx, before: Inflow, after: Inflow, act: Act | None, actor: str, reason: str
) -> None:
    """Write down who did what and why, for good."""
    decision = Decision(before.inflow_id, act, actor, reason, before.state, after.state, tx.now)
    await store.insert_decision(tx, decision)
