"""What is told of payments that cross to another network, and what it makes of their sessions.

``settlement`` follows both ends and tells; sessions only know the words. As in ``hearing``, a batch
of events is handled in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gstable_server.kernel.clock import from_unix_seconds
from gstable_server.plumbing import tracing
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.sessions import booking, machine, matching
from gstable_server.sessions.cases import Case, Cases
from gstable_server.sessions.hearing import advance, stop_waiting, tell_of_flags
from gstable_server.sessions.model import (
    STANDING,
    Delivery,
    Flag,
    Payment,
    PaymentName,
    PaymentState,
    SessionState,
)
from gstable_server.sessions.operations import Desk

Told = Mapping[str, Any]


async def hear_all(tx: Tx, desk: Desk, batch: Sequence[StoredEvent]) -> None:
    """Crossings were delivered, completed, hang, go on, or went back to their payers."""
    about = [_about(stored.event.payload) for stored in batch]
    cases = await Cases.about(tx, [key for key, _ in about], [name for _, name in about])
    for stored, (session_key, name) in zip(batch, about, strict=True):
        case = cases.case(session_key, name)
        payment = case.payment(name)
        assert payment is not None, "the payment itself is heard of before its settlement"
        with tracing.span(stored.event.type, parent=stored.event.trace_parent):
            _HEARD[stored.event.type](tx, desk, case, payment, stored.event.payload)
    await cases.write(tx)


def _about(told: Told) -> tuple[bytes, PaymentName]:
    name = told["payment"]
    payment = name["network"], _bytes(name["txHash"]), name["logPosition"]
    return _bytes(told["sessionKey"]), payment


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def delivery_of(told: Told) -> Delivery:
    """The delivery that an event tells of."""
    delivery = told["delivery"]
    return Delivery(
        network=delivery["network"],
        tx_hash=_bytes(delivery["txHash"]),
        log_position=delivery["logPosition"],
        received=int(delivery["amount"]),
        delivered_at=from_unix_seconds(delivery["blockTime"]),
    )


def _delivered(tx: Tx, desk: Desk, case: Case, payment: Payment, told: Told) -> None:
    delivery = delivery_of(told)
    if payment.delivery is not None:
        return
    judged = matching.delivery_flags(payment.promised, delivery.received)
    flags = payment.flags - {Flag.OVER} | judged
    delivered = replace(
        payment,
        delivery=delivery,
        times_delivered=payment.times_delivered + 1,
        flags=flags,
        pays=payment.pays and matching.pays(flags),
    )
    case.put(delivered)
    case.post(booking.delivered(case.session, delivered))
    if case.session is None:
        return
    if _carries(delivered):
        advance(tx, desk, case, machine.Fact.CROSSING_RESUMED)
    elif payment.pays and not delivered.pays:
        _withdraw_credit(tx, desk, case, payment)
    if news := flags - payment.flags:
        tell_of_flags(tx, desk, case, news)


def _carries(payment: Payment) -> bool:
    """Whether the session stands and falls with this payment now."""
    return payment.pays and payment.state in STANDING


def _withdraw_credit(tx: Tx, desk: Desk, case: Case, before: Payment) -> None:
    """What paid the session does so no more."""
    if _carries(before):
        # Another payment that was taken back may still return: the session goes on waiting.
        interrupted, withdrawn = machine.Fact.CROSSING_INTERRUPTED, machine.Fact.CREDIT_WITHDRAWN
        advance(tx, desk, case, interrupted if case.awaits_one else withdrawn)
    elif case.view.session.state is SessionState.SETTLEMENT_PENDING:
        stop_waiting(tx, desk, case)


def _delivery_reverted(tx: Tx, desk: Desk, case: Case, payment: Payment, told: Told) -> None:
    if payment.delivery is None:
        return
    case.post(booking.undelivered(case.session, payment))
    case.put(replace(payment, delivery=None))
    _interrupted(tx, desk, case, payment, told)


def _interrupted(tx: Tx, desk: Desk, case: Case, payment: Payment, _told: Told) -> None:
    if case.session is not None and _carries(payment):
        advance(tx, desk, case, machine.Fact.CROSSING_INTERRUPTED)


def _resumed(tx: Tx, desk: Desk, case: Case, payment: Payment, _told: Told) -> None:
    if case.session is not None and _carries(payment):
        advance(tx, desk, case, machine.Fact.CROSSING_RESUMED)


def _completed(tx: Tx, desk: Desk, case: Case, payment: Payment, _told: Told) -> None:
    assert payment.delivery is not None, "told as delivered before"
    if payment.delivery.final_at is not None:
        return
    final = replace(payment, delivery=replace(payment.delivery, final_at=tx.now))
    case.put(final)
    case.post(booking.completed(case.session, final))
    if case.session is not None and _carries(final):
        advance(tx, desk, case, machine.Fact.SETTLED)


def _returned(tx: Tx, desk: Desk, case: Case, payment: Payment, _told: Told) -> None:
    """The payer has the money again. The session is open, until the clock closes it."""
    if payment.state is PaymentState.RETURNED:
        return
    case.put(replace(payment, state=PaymentState.RETURNED, pays=False))
    if case.session is not None and payment.pays:
        _withdraw_credit(tx, desk, case, payment)


_HEARD: Mapping[str, Callable[[Tx, Desk, Case, Payment, Told], None]] = {
    "settlement.delivered": _delivered,
    "settlement.delivery_reverted": _delivery_reverted,
    "settlement.completed": _completed,
    "settlement.stalled": _interrupted,
    "settlement.resumed": _resumed,
    "settlement.returned": _returned,
}
