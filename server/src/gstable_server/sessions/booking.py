"""The book's rows of payments: what each fact about a payment moves, by asset.

A direct payment has one asset, and its rows stand in one transfer. Through a rail there are two:
the payer's, which ends at the rail, and the merchant's, which begins there. What happens between
them on another network is booked by ``settlement``.
"""

from __future__ import annotations

from gstable_server.chain.facts import RailName
from gstable_server.ledger import model as book
from gstable_server.ledger import operations as ledger
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.model import Payment, Session


async def book_seen(tx: Tx, session: Session | None, payment: Payment) -> None:
    """The payment stands in a block."""
    for transfer in _seen(session, payment):
        await ledger.post(tx, transfer)


async def reverse_seen(tx: Tx, session: Session | None, payment: Payment) -> None:
    """The payment's block left the chain."""
    for transfer in _seen(session, payment):
        await ledger.post(tx, transfer.reversed_by(f"reverted:{_suffix(transfer.cause)}"))


def _seen(session: Session | None, payment: Payment) -> tuple[book.Transfer, ...]:
    merchant = merchant_account(session, payment)
    rail = payment.rail.value if payment.rail else ""
    if payment.rail is None:
        receiver = merchant
    elif payment.rail is RailName.SWAP:
        receiver = book.conversion(rail)
    else:
        receiver = book.in_rail(rail)
    given = book.payment(
        f"seen:{payment.cause}",
        payment.token_id,
        receiver=receiver,
        amount=payment.amount,
        fee_amount=payment.fee_received,
        tenant=session.tenant if session else None,
        session_id=payment.session_id,
    )
    if payment.rail is not RailName.SWAP:
        return (given,)
    got = book.delivery(
        f"seen:{payment.cause}:merchant",
        payment.settlement_token,
        giver=receiver,
        receiver=merchant,
        amount=payment.merchant_received,
        rail=rail,
        tenant=session.tenant if session else None,
        session_id=payment.session_id,
    )
    return (given, got)


def _suffix(cause: str) -> str:
    return cause.partition(":")[2]


async def book_final(tx: Tx, session: Session | None, payment: Payment) -> None:
    """The payment is deep enough to stay: its fee, and what reached the merchant by it."""
    fee = book.fee_settled(
        f"final:{payment.cause}",
        payment.token_id,
        payment.fee_received,
        tenant=session.tenant if session else None,
        session_id=payment.session_id,
    )
    await ledger.post(tx, fee)
    if payment.merchant_received:
        await _book_settled(
            tx, session, payment, f"final:{payment.cause}:merchant", payment.merchant_received
        )


async def _book_settled(
    tx: Tx, session: Session | None, payment: Payment, cause: str, amount: int
) -> None:
    """Money of the merchant's is not taken back any more."""
    if session is None or not payment.pays:
        return
    merchant_id = session.tenant.merchant_id
    settled = book.settled(
        cause,
        payment.settlement_token,
        pending=book.merchant_pending(merchant_id),
        final=book.merchant_settled(merchant_id),
        amount=amount,
        tenant=session.tenant,
        session_id=payment.session_id,
    )
    await ledger.post(tx, settled)


async def book_delivered(tx: Tx, session: Session | None, payment: Payment) -> None:
    """The rail's money came to the merchant, in another transaction."""
    await ledger.post(tx, _delivered(session, payment))


async def reverse_delivered(tx: Tx, session: Session | None, payment: Payment) -> None:
    """That transaction's block left the chain, or the money is booked elsewhere."""
    transfer = _delivered(session, payment)
    await ledger.post(tx, transfer.reversed_by(f"undelivered:{_suffix(transfer.cause)}"))


def _delivered(session: Session | None, payment: Payment) -> book.Transfer:
    assert payment.delivery is not None
    assert payment.rail is not None
    return book.delivery(
        f"delivered:{_delivery_cause(payment)}",
        payment.settlement_token,
        giver=book.in_rail(payment.rail.value),
        receiver=merchant_account(session, payment),
        amount=payment.delivery.received,
        rail=payment.rail.value,
        tenant=session.tenant if session else None,
        session_id=payment.session_id,
    )


async def book_completed(tx: Tx, session: Session | None, payment: Payment) -> None:
    """Both ends of a crossing are deep enough to stay."""
    assert payment.delivery is not None
    cause = f"completed:{_delivery_cause(payment)}"
    await _book_settled(tx, session, payment, cause, payment.delivery.received)


def _delivery_cause(payment: Payment) -> str:
    """Counted, as the payment's own mining is: it may be delivered again after a reorganisation
    of the other network."""
    name = f"{payment.network}:{payment.tx_hash.hex()}:{payment.log_position}"
    return f"{name}:delivery:{payment.times_delivered}"


def merchant_account(session: Session | None, payment: Payment) -> str:
    """Where a payment's money stands while it can be taken back; for what pays no session as
    asked, also afterwards."""
    if session is None:
        return book.UNMATCHED
    if payment.pays:
        return book.merchant_pending(session.tenant.merchant_id)
    return book.merchant_exceptional(session.tenant.merchant_id)
