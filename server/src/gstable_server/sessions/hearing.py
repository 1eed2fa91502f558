"""What the chain and the clock do to sessions.

Each function handles one fact in one transaction: the session's row is locked, the machine
decides, and the state, the payment, the ledger's rows and the event are written together. A
process that dies in between has written nothing, and the fact waits in the outbox.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from gstable_server.chain.executor import operations as executor
from gstable_server.chain.facts import Fact, FactWhat, PaymentLog, RailName
from gstable_server.chain.operations import fact_of
from gstable_server.chain.rails.hold import hold_terms
from gstable_server.kernel.clock import from_unix_seconds
from gstable_server.kernel.ids import PaymentId, ReceiptId, SessionId
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.sessions import booking, machine, matching, store
from gstable_server.sessions.model import (
    Flag,
    Hold,
    Payment,
    PaymentState,
    Session,
    SessionState,
    SessionView,
)
from gstable_server.sessions.operations import Desk, tell

log = structlog.get_logger(__name__)

EXPIRE_BATCH = 100
_FACT_OF = {
    FactWhat.SEEN: machine.Fact.PAYMENT_SEEN,
    FactWhat.FINAL: machine.Fact.PAYMENT_FINAL,
    FactWhat.REORGED: machine.Fact.PAYMENT_REVERTED,
    FactWhat.LOST: machine.Fact.PAYMENT_LOST,
}


async def hear(tx: Tx, desk: Desk, stored: StoredEvent) -> None:
    """A router's log was seen, became final, or was taken back by a reorganisation."""
    fact = fact_of(stored)
    seen = fact.log
    assert isinstance(seen, PaymentLog), "flow hands over nothing else"
    session = await store.lock_by_key(tx, seen.session_key)
    known = await store.lock_payment(tx, seen.network, seen.tx_hash, seen.log_position)
    if fact.what is FactWhat.SEEN:
        payment = await _seen(tx, desk, session, known, seen)
    else:
        payment = await _moved(tx, session, known, fact)
    if payment is None or session is None:
        return
    if payment.pays:
        await _follow(tx, desk, session, payment, fact)
    elif session.state is SessionState.SETTLEMENT_PENDING:
        await stop_waiting(tx, desk, session)
    news = payment.flags - known.flags if known else payment.flags
    if news:
        await tell_of_flags(tx, desk, session.session_id, news)


async def _follow(tx: Tx, desk: Desk, session: Session, payment: Payment, fact: Fact) -> None:
    """Move the session after the payment that pays it."""
    # While one payment was off the chain another may have paid: then the session is that one's.
    if await _other_payment(tx, session, payment):
        return
    # One payment is given up while another may still return: the session goes on waiting.
    if fact.what is FactWhat.LOST and await awaited(tx, session):
        return
    happened = _FACT_OF[fact.what]
    if happened is machine.Fact.PAYMENT_FINAL and payment.rail is RailName.HOLD:
        # Authorised for good, and not the merchant's yet: it is captured later, or goes back.
        return
    if happened is machine.Fact.PAYMENT_FINAL and payment.crosses:
        happened = machine.Fact.CROSSING_FINAL
    await advance(tx, desk, session, happened, fact.log.block_time)


async def stop_waiting(tx: Tx, desk: Desk, session: Session) -> None:
    """Reopen a session whose only payment came back as one that does not pay it any more."""
    if not await _other_payment(tx, session, None) and not await awaited(tx, session):
        await advance(tx, desk, session, machine.Fact.PAYMENT_LOST)


async def _seen(
    tx: Tx, desk: Desk, session: Session | None, known: Payment | None, seen: PaymentLog
) -> Payment | None:
    """Record the payment, or where it stands after a reorganisation; None for a repeated fact."""
    if known is None:
        return await _first_seen(tx, desk, session, seen)
    if known.state not in {PaymentState.REVERTED, PaymentState.LOST}:
        return None
    # Mined again. It was in time when it was first seen, so the new block does not make it late;
    # but another payment may have paid the session meanwhile, and what arrived is decided by the
    # block: a fee may be skipped in one and taken in the other.
    flags = known.flags
    if session is not None:
        flags = await _flags_again(tx, session, known, seen)
    again = replace(
        known,
        payer=seen.payer,
        amount=seen.amount,
        merchant_received=seen.merchant_received,
        fee_received=seen.fee_received,
        state=PaymentState.SEEN,
        block_number=seen.block_number,
        block_hash=seen.block_hash,
        block_time=seen.block_time,
        flags=flags,
        pays=session is not None and matching.pays(flags),
        times_mined=known.times_mined + 1,
    )
    again = await _rebook_delivery(tx, session, known, again)
    await store.update_payment(tx, again)
    await booking.book_seen(tx, session, again)
    return again


async def _rebook_delivery(
    tx: Tx, session: Session | None, known: Payment, again: Payment
) -> Payment:
    """Move what was delivered to where the merchant's money stands now, if that changed: another
    payment may have paid the session while this one was off the chain."""
    if known.delivery is None or known.pays is again.pays:
        return again
    await booking.reverse_delivered(tx, session, known)
    moved = replace(again, times_delivered=known.times_delivered + 1)
    await booking.book_delivered(tx, session, moved)
    return moved


async def _flags_again(
    tx: Tx, session: Session, known: Payment, seen: PaymentLog
) -> frozenset[Flag]:
    flags = known.flags
    # What crosses is judged by what is delivered, whichever block it began in.
    if Flag.WRONG_TOKEN not in flags and not known.crosses:
        attested = await store.attested_amounts(
            tx, session.session_id, known.network, known.token_id, known.rail
        )
        flags = flags - {Flag.UNDER, Flag.OVER} | matching.amount_flags(attested, seen)
    if await _other_payment(tx, session, known):
        flags = flags | {Flag.DUPLICATE}
    return flags


async def _first_seen(tx: Tx, desk: Desk, session: Session | None, seen: PaymentLog) -> Payment:
    token = desk.networks.token_at(seen.network, seen.token)
    destination = desk.networks.at_chain(seen.settlement_chain_id)
    settlement = (
        desk.networks.token_at(destination.name, seen.settlement_token) if destination else None
    )
    place = destination.name if destination else f"chain:{seen.settlement_chain_id}"
    payment = Payment(
        payment_id=tx.mint(PaymentId),
        session_id=session.session_id if session else None,
        network=seen.network,
        chain_id=seen.chain_id,
        tx_hash=seen.tx_hash,
        log_position=seen.log_position,
        block_number=seen.block_number,
        block_hash=seen.block_hash,
        block_time=seen.block_time,
        payer=seen.payer,
        merchant=seen.merchant,
        token_id=desk.networks.token_id_at(seen.network, seen.token),
        decimals=token.decimals if token else None,
        amount=seen.amount,
        fee_received=seen.fee_received,
        rail=seen.rail,
        settlement_token=desk.networks.token_id_at(place, seen.settlement_token),
        settlement_decimals=settlement.decimals if settlement else None,
        promised=seen.merchant_amount,
        merchant_received=seen.merchant_received,
        state=PaymentState.SEEN,
        flags=frozenset({Flag.UNMATCHED}),
        pays=False,
        seen_at=tx.now,
        hold=_hold(seen),
    )
    if session is None:
        log.warning("payment without a session", network=seen.network, tx=seen.tx_hash.hex())
    else:
        flags = await _flags(tx, session, payment, seen)
        payment = replace(payment, flags=flags, pays=matching.pays(flags))
    await store.insert_payment(tx, payment)
    await booking.book_seen(tx, session, payment)
    return payment


def _hold(seen: PaymentLog) -> Hold | None:
    """Nothing was captured when a hold begins; its deadline is in what the payer paid by."""
    if seen.rail is not RailName.HOLD:
        return None
    return Hold(capture_before=from_unix_seconds(hold_terms(seen.rail_data).capture_before))


async def _flags(tx: Tx, session: Session, payment: Payment, seen: PaymentLog) -> frozenset[Flag]:
    attested: frozenset[int] = frozenset()
    # Tokens that are not configured have no decimals; no order for them is valid any more.
    known = payment.decimals is not None and payment.settlement_decimals is not None
    if known and (seen.rail is None or payment.settlement_token == session.settlement_token):
        attested = await store.attested_amounts(
            tx, session.session_id, payment.network, payment.token_id, payment.rail
        )
    paid_already = await _other_payment(tx, session, None)
    return matching.flags_of(session, attested, seen, paid_already=paid_already)


async def _other_payment(tx: Tx, session: Session, known: Payment | None) -> bool:
    """True when a payment other than ``known`` stands for this session and pays it."""
    payments = (await store.payments_of(tx, [session.session_id]))[session.session_id]
    standing = SessionView(session, tuple(payments)).payment
    return standing is not None and (known is None or standing.payment_id != known.payment_id)


async def awaited(tx: Tx, session: Session) -> bool:
    """True when a payment that pays this session was taken back and not given up yet."""
    return any(
        payment.pays and payment.state is PaymentState.REVERTED
        for payment in (await _view(tx, session)).payments
    )


async def tell_of_flags(tx: Tx, desk: Desk, session_id: SessionId, flags: frozenset[Flag]) -> None:
    """Tell of what is unusual about a payment, once, with the session as it is by now."""
    session = await store.find(tx, session_id)
    assert session is not None, "its row is locked"
    view = await _view(tx, session)
    for event_type in matching.events_of(flags):
        tell(tx, desk, event_type, view)


async def _moved(
    tx: Tx, session: Session | None, known: Payment | None, fact: Fact
) -> Payment | None:
    """Bring a known payment to where its transaction stands now; None for a repeated fact."""
    assert known is not None, "the indexer tells that a payment was seen before anything else of it"
    if fact.what is FactWhat.FINAL:
        return await _finalised(tx, session, known)
    if fact.what is FactWhat.REORGED:
        return await _reverted(tx, session, known)
    if known.state is not PaymentState.REVERTED:
        return None
    lost = replace(known, state=PaymentState.LOST)
    await store.update_payment(tx, lost)
    return lost


async def _finalised(tx: Tx, session: Session | None, known: Payment) -> Payment | None:
    if known.state is not PaymentState.SEEN:
        return None
    final = replace(known, state=PaymentState.FINAL, final_at=tx.now)
    await store.update_payment(tx, final)
    await booking.book_final(tx, session, final)
    return final


async def _reverted(tx: Tx, session: Session | None, known: Payment) -> Payment | None:
    if known.state is not PaymentState.SEEN:
        return None
    reverted = replace(known, state=PaymentState.REVERTED)
    await store.update_payment(tx, reverted)
    await booking.reverse_seen(tx, session, known)
    return reverted


async def advance(
    tx: Tx,
    desk: Desk,
    session: Session,
    fact: machine.Fact,
    paid_at: datetime | None = None,
) -> None:
    """Move the session as the machine says and tell of it. ``paid_at``: the payment's block's
    time."""
    answer = machine.decide(session.state, fact, signed_once=session.signed_once)
    if not isinstance(answer, machine.Move):
        return
    moved = replace(session, state=answer.state)
    if answer.state is SessionState.PAID:
        moved = replace(moved, paid_at=paid_at, receipt_id=tx.mint(ReceiptId))
    elif answer.state is SessionState.COMPLETED:
        moved = replace(moved, completed_at=tx.now)
    elif answer.state is SessionState.INITIALIZED:
        moved = replace(moved, paid_at=None, receipt_id=None)
    await store.move(tx, session, moved)
    if answer.state is SessionState.PAID:
        await _withdraw_relays(tx, session)
    tell(tx, desk, answer.event, await _view(tx, moved))


async def _withdraw_relays(tx: Tx, session: Session) -> None:
    """What the payer signed and we have not sent is not sent any more: who pays another way in
    the meantime, or comes too late, must not be made to pay by it as well."""
    for cause in await store.authorizations(tx, session.session_id):
        await executor.withdraw(tx, cause)


async def _view(tx: Tx, session: Session) -> SessionView:
    payments = await store.payments_of(tx, [session.session_id])
    return SessionView(session, tuple(payments[session.session_id]))


async def expire_due(tx: Tx, desk: Desk) -> int:
    """Close open sessions whose time is over; returns how many."""
    due = await store.lock_due(tx, EXPIRE_BATCH)
    for session in due:
        answer = machine.decide(
            session.state, machine.Fact.TIME_PASSED, signed_once=session.signed_once
        )
        assert isinstance(answer, machine.Move)
        expired = replace(session, state=answer.state)
        await store.move(tx, session, expired)
        await _withdraw_relays(tx, session)
        tell(tx, desk, answer.event, await _view(tx, expired))
    return len(due)
