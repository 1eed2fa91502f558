"""What is told of payments that cross to another network, and what it makes of their sessions.

``settlement`` follows both ends and tells; sessions only know the words. As in ``hearing``, each
function handles one event in one transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from gstable_server.kernel.clock import from_unix_seconds
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.sessions import booking, machine, matching, store
from gstable_server.sessions.hearing import advance, awaited, stop_waiting, tell_of_flags
from gstable_server.sessions.model import (
    STANDING,
    Delivery,
    Flag,
    Payment,
    PaymentState,
    Session,
    SessionState,
)
from gstable_server.sessions.operations import Desk


async def hear(tx: Tx, desk: Desk, stored: StoredEvent) -> None:
    """A crossing was delivered, completed, hangs, goes on, or went back to its payer."""
    told = stored.event.payload
    name = told["payment"]
    session = await store.lock_by_key(tx, _bytes(told["sessionKey"]))
    payment = await store.lock_payment(
        tx, name["network"], _bytes(name["txHash"]), name["logPosition"]
    )
    assert payment is not None, "the payment itself is heard of before its settlement"
    await _HEARD[stored.event.type](tx, desk, session, payment, told)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def delivery_of(told: Mapping[str, Any]) -> Delivery:
    """The delivery that an event tells of."""
    delivery = told["delivery"]
    return Delivery(
        network=delivery["network"],
        tx_hash=_bytes(delivery["txHash"]),
        log_position=delivery["logPosition"],
        received=int(delivery["amount"]),
        delivered_at=from_unix_seconds(delivery["blockTime"]),
    )


async def _delivered(
    tx: Tx, desk: Desk, session: Session | None, payment: Payment, told: Mapping[str, Any]
) -> None:
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
    await store.update_payment(tx, delivered)
    await booking.book_delivered(tx, session, delivered)
    if session is None:
        return
    if _carries(delivered):
        await advance(tx, desk, session, machine.Fact.CROSSING_RESUMED)
    elif payment.pays and not delivered.pays:
        await _withdraw_credit(tx, desk, session, payment)
    if news := flags - payment.flags:
        await tell_of_flags(tx, desk, session.session_id, news)


def _carries(payment: Payment) -> bool:
    """Whether the session stands and falls with this payment now."""
    return payment.pays and payment.state in STANDING


async def _withdraw_credit(tx: Tx, desk: Desk, session: Session, before: Payment) -> None:
    """What paid the session does so no more."""
    if _carries(before):
        # Another payment that was taken back may still return: the session goes on waiting.
        waits = await awaited(tx, session)
        fact = machine.Fact.CROSSING_INTERRUPTED if waits else machine.Fact.CREDIT_WITHDRAWN
        await advance(tx, desk, session, fact)
    elif session.state is SessionState.SETTLEMENT_PENDING:
        await stop_waiting(tx, desk, session)


async def _delivery_reverted(
    tx: Tx, desk: Desk, session: Session | None, payment: Payment, _told: Mapping[str, Any]
) -> None:
    if payment.delivery is None:
        return
    await booking.reverse_delivered(tx, session, payment)
    await store.update_payment(tx, replace(payment, delivery=None))
    await _interrupted(tx, desk, session, payment, _told)


async def _interrupted(
    tx: Tx, desk: Desk, session: Session | None, payment: Payment, _told: Mapping[str, Any]
) -> None:
    if session is not None and _carries(payment):
        await advance(tx, desk, session, machine.Fact.CROSSING_INTERRUPTED)


async def _resumed(
    tx: Tx, desk: Desk, session: Session | None, payment: Payment, _told: Mapping[str, Any]
) -> None:
    if session is not None and _carries(payment):
        await advance(tx, desk, session, machine.Fact.CROSSING_RESUMED)


async def _completed(
    tx: Tx, desk: Desk, session: Session | None, payment: Payment, _told: Mapping[str, Any]
) -> None:
    assert payment.delivery is not None, "told as delivered before"
    if payment.delivery.final_at is not None:
        return
    final = replace(payment, delivery=replace(payment.delivery, final_at=tx.now))
    await store.update_payment(tx, final)
    await booking.book_completed(tx, session, final)
    if session is not None and _carries(final):
        await advance(tx, desk, session, machine.Fact.SETTLED)


async def _returned(
    tx: Tx, desk: Desk, session: Session | None, payment: Payment, _told: Mapping[str, Any]
) -> None:
    """The payer has the money again. The session is open, until the clock closes it."""
    if payment.state is PaymentState.RETURNED:
        return
    returned = replace(payment, state=PaymentState.RETURNED, pays=False)
    await store.update_payment(tx, returned)
    if session is not None and payment.pays:
        await _withdraw_credit(tx, desk, session, payment)


_HEARD: Mapping[
    str, Callable[[Tx, Desk, Session | None, Payment, Mapping[str, Any]], Awaitable[None]]
] = {
    "settlement.delivered": _delivered,
    "settlement.delivery_reverted": _delivery_reverted,
    "settlement.completed": _completed,
    "settlement.stalled": _interrupted,
    "settlement.resumed": _resumed,
    "settlement.returned": _returned,
}
