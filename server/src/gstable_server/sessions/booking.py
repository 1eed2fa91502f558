"""The book's rows of payments: what each fact about a payment moves, by asset. Pure: nothing is
booked here.

A direct payment has one asset, and its rows stand in one transfer. Through a rail there are two:
the payer's, which ends at the rail, and the merchant's, which begins there. What happens between
them on another network is booked by ``settlement``.
"""

from __future__ import annotations

from gstable_server.chain.facts import RailName
from gstable_server.ledger import model as book
from gstable_server.sessions.model import Payment, Session

Transfers = tuple[book.Transfer, ...]


def seen(session: Session | None, payment: Payment) -> Transfers:
    """The payment stands in a block."""
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


def unseen(session: Session | None, payment: Payment) -> Transfers:
    """The payment's block left the chain."""
    return tuple(
        transfer.reversed_by(f"reverted:{_suffix(transfer.cause)}")
        for transfer in seen(session, payment)
    )


def _suffix(cause: str) -> str:
    return cause.partition(":")[2]


def final(session: Session | None, payment: Payment) -> Transfers:
    """The payment is deep enough to stay: its fee, and what reached the merchant by it."""
    fee = book.fee_settled(
        f"final:{payment.cause}",
        payment.token_id,
        payment.fee_received,
        tenant=session.tenant if session else None,
        session_id=payment.session_id,
    )
    if not payment.merchant_received:
        return (fee,)
    cause = f"final:{payment.cause}:merchant"
    return (fee, *_settled(session, payment, cause, payment.merchant_received))


def _settled(session: Session | None, payment: Payment, cause: str, amount: int) -> Transfers:
    """Money of the merchant's is not taken back any more."""
    if session is None or not payment.pays:
        return ()
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
    return (settled,)


def delivered(session: Session | None, payment: Payment) -> Transfers:
    """The rail's money came to the merchant, in another transaction."""
    assert payment.delivery is not None
    assert payment.rail is not None
    delivery = book.delivery(
        f"delivered:{_delivery_cause(payment)}",
        payment.settlement_token,
        giver=book.in_rail(payment.rail.value),
        receiver=merchant_account(session, payment),
        amount=payment.delivery.received,
        rail=payment.rail.value,
        tenant=session.tenant if session else None,
        session_id=payment.session_id,
    )
    return (delivery,)


def undelivered(session: Session | None, payment: Payment) -> Transfers:
    """That transaction's block left the chain, or the money is booked elsewhere."""
    return tuple(
        transfer.reversed_by(f"undelivered:{_suffix(transfer.cause)}")
        for transfer in delivered(session, payment)
    )


def completed(session: Session | None, payment: Payment) -> Transfers:
    """Both ends of a crossing are deep enough to stay."""
    assert payment.delivery is not None
    cause = f"completed:{_delivery_cause(payment)}"
    return _settled(session, payment, cause, payment.delivery.received)


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
