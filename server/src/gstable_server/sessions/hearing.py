"""What the chain and the clock do to sessions.

A batch of facts is handled in one transaction: the sessions' rows are locked together, the machine
decides on one fact after the other without any I/O, and states, payments, the ledger's rows and
the events are written together. A process that dies in between has written nothing, and the facts
wait in the outbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from gstable_server.chain.facts import Fact, FactWhat, PaymentLog, RailName
from gstable_server.chain.operations import fact_of
from gstable_server.chain.rails.hold import hold_terms
from gstable_server.kernel.clock import from_unix_seconds
from gstable_server.kernel.ids import PaymentId, ReceiptId
from gstable_server.plumbing import event_log, tracing
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.sessions import booking, machine, matching, store
from gstable_server.sessions.cases import Case, Cases
from gstable_server.sessions.model import (
    Flag,
    Hold,
    Payment,
    PaymentName,
    PaymentState,
    SessionState,
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


async def hear_all(tx: Tx, desk: Desk, batch: Sequence[StoredEvent]) -> None:
    """Routers' logs were seen, became final, or were taken back by a reorganisation."""
    facts = [fact_of(stored) for stored in batch]
    logs = [_payment_log(fact) for fact in facts]
    cases = await Cases.about(
        tx,
        [seen.session_key for seen in logs],
        [_name(seen) for seen in logs],
        orders=any(fact.at_once or fact.what is FactWhat.SEEN for fact in facts),
    )
    origins = await _origins(tx, cases, logs) if tracing.is_on() else {}
    for stored, fact, seen in zip(batch, facts, logs, strict=True):
        with tracing.span(stored.event.type, parent=stored.event.trace_parent):
            tracing.link(origins.get(seen.session_key))
            case = cases.case(seen.session_key, _name(seen))
            for step in fact.steps:
                _hear(tx, desk, case, step, seen)
    await cases.write(tx)


async def _origins(tx: Tx, cases: Cases, logs: Sequence[PaymentLog]) -> dict[bytes, str]:
    """By session key the trace in which the session was opened: no chain hands it on."""
    found = {seen.session_key: cases.case(seen.session_key, _name(seen)).session for seen in logs}
    ids = {key: session.session_id for key, session in found.items() if session}
    traces = await event_log.origins(tx, list(ids.values()))
    return {key: traces[name] for key, name in ids.items() if name in traces}


def _payment_log(fact: Fact) -> PaymentLog:
    assert isinstance(fact.log, PaymentLog), "flow hands over nothing else"
    return fact.log


def _name(seen: PaymentLog) -> PaymentName:
    return seen.network, seen.tx_hash, seen.log_position


def _hear(tx: Tx, desk: Desk, case: Case, fact: Fact, seen: PaymentLog) -> None:
    known = case.payment(_name(seen))
    if fact.what is FactWhat.SEEN:
        payment = _seen(tx, desk, case, known, seen)
    else:
        payment = _moved(tx, case, known, fact)
    if payment is None or case.session is None:
        return
    if payment.pays:
        _follow(tx, desk, case, payment, fact)
    elif case.session.state is SessionState.SETTLEMENT_PENDING:
        stop_waiting(tx, desk, case)
    news = payment.flags - known.flags if known else payment.flags
    if news:
        tell_of_flags(tx, desk, case, news)


def _follow(tx: Tx, desk: Desk, case: Case, payment: Payment, fact: Fact) -> None:
    """Move the session after the payment that pays it."""
    # While one payment was off the chain another may have paid: then the session is that one's.
    if case.other_payment(payment):
        return
    # One payment is given up while another may still return: the session goes on waiting.
    if fact.what is FactWhat.LOST and case.awaits_one:
        return
    happened = _FACT_OF[fact.what]
    if happened is machine.Fact.PAYMENT_FINAL and payment.rail is RailName.HOLD:
        # Authorised for good, and not the merchant's yet: it is captured later, or goes back.
        return
    if happened is machine.Fact.PAYMENT_FINAL and payment.crosses:
        happened = machine.Fact.CROSSING_FINAL
    advance(tx, desk, case, happened, fact.log.block_time)


def stop_waiting(tx: Tx, desk: Desk, case: Case) -> None:
    """Reopen a session whose only payment came back as one that does not pay it any more."""
    if not case.other_payment(None) and not case.awaits_one:
        advance(tx, desk, case, machine.Fact.PAYMENT_LOST)


def _seen(
    tx: Tx, desk: Desk, case: Case, known: Payment | None, seen: PaymentLog
) -> Payment | None:
    """Record the payment, or where it stands after a reorganisation; None for a repeated fact."""
    if known is None:
        return _first_seen(tx, desk, case, seen)
    if known.state not in {PaymentState.REVERTED, PaymentState.LOST}:
        return None
    # Mined again. It was in time when it was first seen, so the new block does not make it late;
    # but another payment may have paid the session meanwhile, and what arrived is decided by the
    # block: a fee may be skipped in one and taken in the other.
    flags = known.flags if case.session is None else _flags_again(case, known, seen)
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
        pays=case.session is not None and matching.pays(flags),
        times_mined=known.times_mined + 1,
    )
    again = _rebook_delivery(case, known, again)
    case.put(again)
    case.post(booking.seen(case.session, again))
    return again


def _rebook_delivery(case: Case, known: Payment, again: Payment) -> Payment:
    """Move what was delivered to where the merchant's money stands now, if that changed: another
    payment may have paid the session while this one was off the chain."""
    if known.delivery is None or known.pays is again.pays:
        return again
    case.post(booking.undelivered(case.session, known))
    moved = replace(again, times_delivered=known.times_delivered + 1)
    case.post(booking.delivered(case.session, moved))
    return moved


def _flags_again(case: Case, known: Payment, seen: PaymentLog) -> frozenset[Flag]:
    flags = known.flags
    # What crosses is judged by what is delivered, whichever block it began in.
    if Flag.WRONG_TOKEN not in flags and not known.crosses:
        attested = case.attested_for(known.network, known.token_id, known.rail)
        flags = flags - {Flag.UNDER, Flag.OVER} | matching.amount_flags(attested, seen)
    if case.other_payment(known):
        flags = flags | {Flag.DUPLICATE}
    return flags


def _first_seen(tx: Tx, desk: Desk, case: Case, seen: PaymentLog) -> Payment:
    token = desk.networks.token_at(seen.network, seen.token)
    destination = desk.networks.at_chain(seen.settlement_chain_id)
    settlement = (
        desk.networks.token_at(destination.name, seen.settlement_token) if destination else None
    )
    place = destination.name if destination else f"chain:{seen.settlement_chain_id}"
    token_id = desk.networks.token_id_at(seen.network, seen.token)
    settlement_token = desk.networks.token_id_at(place, seen.settlement_token)
    flags = frozenset({Flag.UNMATCHED})
    if case.session is None:
        log.warning("payment without a session", network=seen.network, tx=seen.tx_hash.hex())
    else:
        # Tokens that are not configured have no decimals; no order for them is valid any more.
        configured = token is not None and settlement is not None
        right_token = seen.rail is None or settlement_token == case.session.settlement_token
        flags = _flags(case, token_id if configured and right_token else None, seen)
    payment = Payment(
        payment_id=tx.mint(PaymentId),
        session_id=case.session.session_id if case.session else None,
        network=seen.network,
        chain_id=seen.chain_id,
        tx_hash=seen.tx_hash,
        log_position=seen.log_position,
        block_number=seen.block_number,
        block_hash=seen.block_hash,
        block_time=seen.block_time,
        payer=seen.payer,
        merchant=seen.merchant,
        token_id=token_id,
        decimals=token.decimals if token else None,
        amount=seen.amount,
        fee_received=seen.fee_received,
        rail=seen.rail,
        settlement_token=settlement_token,
        settlement_decimals=settlement.decimals if settlement else None,
        promised=seen.merchant_amount,
        merchant_received=seen.merchant_received,
        state=PaymentState.SEEN,
        flags=flags,
        pays=case.session is not None and matching.pays(flags),
        seen_at=tx.now,
        hold=_hold(seen),
    )
    case.put(payment)
    case.post(booking.seen(case.session, payment))
    return payment


def _hold(seen: PaymentLog) -> Hold | None:
    """Nothing was captured when a hold begins; its deadline is in what the payer paid by."""
    if seen.rail is not RailName.HOLD:
        return None
    return Hold(capture_before=from_unix_seconds(hold_terms(seen.rail_data).capture_before))


def _flags(case: Case, token_id: str | None, seen: PaymentLog) -> frozenset[Flag]:
    """What is unusual about a new payment; ``token_id`` is None where none of the session's orders
    can have been for what was paid."""
    attested: frozenset[int] = frozenset()
    if token_id is not None:
        attested = case.attested_for(seen.network, token_id, seen.rail)
    paid_already = case.other_payment(None)
    return matching.flags_of(case.view.session, attested, seen, paid_already=paid_already)


def tell_of_flags(tx: Tx, desk: Desk, case: Case, flags: frozenset[Flag]) -> None:
    """Tell of what is unusual about a payment, once, with the session as it is by now."""
    for event_type in matching.events_of(flags):
        tell(tx, desk, event_type, case.view)


def _moved(tx: Tx, case: Case, known: Payment | None, fact: Fact) -> Payment | None:
    """Bring a known payment to where its transaction stands now; None for a repeated fact."""
    assert known is not None, "the indexer tells that a payment was seen before anything else of it"
    if fact.what is FactWhat.LOST:
        return _lost(case, known)
    if known.state is not PaymentState.SEEN:
        return None
    if fact.what is FactWhat.FINAL:
        final = replace(known, state=PaymentState.FINAL, final_at=tx.now)
        case.put(final)
        case.post(booking.final(case.session, final))
        return final
    reverted = replace(known, state=PaymentState.REVERTED)
    case.put(reverted)
    case.post(booking.unseen(case.session, known))
    return reverted


def _lost(case: Case, known: Payment) -> Payment | None:
    if known.state is not PaymentState.REVERTED:
        return None
    lost = replace(known, state=PaymentState.LOST)
    case.put(lost)
    return lost


def advance(
    tx: Tx,
    desk: Desk,
    case: Case,
    fact: machine.Fact,
    paid_at: datetime | None = None,
) -> None:
    """Move the session as the machine says and tell of it. ``paid_at``: the payment's block's
    time."""
    session = case.view.session
    answer = machine.decide(session.state, fact, signed_once=session.signed_once)
    if not isinstance(answer, machine.Move):
        return
    changes: dict[str, Any] = {}
    if answer.state is SessionState.PAID:
        changes = {"paid_at": paid_at, "receipt_id": tx.mint(ReceiptId)}
    elif answer.state is SessionState.COMPLETED:
        changes = {"completed_at": tx.now}
    elif answer.state is SessionState.INITIALIZED:
        changes = {"paid_at": None, "receipt_id": None}
    case.move(replace(session, state=answer.state, **changes))
    if answer.state in {SessionState.PAID, SessionState.EXPIRED}:
        # Who pays another way in the meantime, or comes too late, must not be made to pay by what
        # was signed as well.
        case.withdraw_relays()
    tell(tx, desk, answer.event, case.view)


async def expire_due(tx: Tx, desk: Desk) -> int:
    """Close open sessions whose time is over; returns how many."""
    due = await store.lock_due(tx, EXPIRE_BATCH)
    if due:
        cases = await Cases.of(tx, due)
        for case in cases:
            advance(tx, desk, case, machine.Fact.TIME_PASSED)
        await cases.write(tx)
    return len(due)
