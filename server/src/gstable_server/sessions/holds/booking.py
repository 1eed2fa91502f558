"""The book's rows of holds: from the rail to the merchant and the fees, or back to the payers."""

from __future__ import annotations

from gstable_server.chain.facts import HoldWhat, RailName
from gstable_server.ledger import model as book
from gstable_server.ledger import operations as ledger
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.holds.model import Move
from gstable_server.sessions.model import Session


async def book_seen(tx: Tx, session: Session | None, token_id: str, move: Move) -> None:
    """The log stands in a block."""
    await ledger.post(tx, _left(session, token_id, move))


async def reverse_seen(tx: Tx, session: Session | None, token_id: str, move: Move) -> None:
    """Its block left the chain."""
    transfer = _left(session, token_id, move)
    await ledger.post(tx, transfer.reversed_by(f"reverted:{transfer.cause}"))


async def book_final(tx: Tx, session: Session | None, token_id: str, move: Move) -> None:
    """The log is deep enough to stay: the fee, and what the merchant got as asked."""
    if move.log.what is not HoldWhat.CAPTURED:
        return
    tenant = session.tenant if session else None
    fee = book.fee_settled(
        f"final:hold:{move.cause}",
        token_id,
        move.log.fee_received,
        tenant=tenant,
        session_id=move.session_id,
    )
    await ledger.post(tx, fee)
    if session is None or move.account != book.merchant_pending(session.tenant.merchant_id):
        return
    got = book.settled(
        f"final:hold:{move.cause}:merchant",
        token_id,
        pending=move.account,
        final=book.merchant_settled(session.tenant.merchant_id),
        amount=move.log.merchant_received,
        tenant=tenant,
        session_id=move.session_id,
    )
    await ledger.post(tx, got)


def _left(session: Session | None, token_id: str, move: Move) -> book.Transfer:
    log, rail = move.log, RailName.HOLD.value
    given = log.merchant_received + log.fee_received
    if log.what is not HoldWhat.CAPTURED:
        given = log.amount
    captured = log.what is HoldWhat.CAPTURED
    return book.moved(
        f"hold:{move.cause}",
        book.Kind.DELIVERY if captured else book.Kind.RETURN,
        token_id,
        book.Entry(book.in_rail(rail), -log.amount),
        book.Entry(move.account, given - log.fee_received),
        book.Entry(book.FEES_PENDING, log.fee_received),
        # What a token withheld from the merchant.
        book.Entry(book.rail_costs(rail), log.amount - given),
        tenant=session.tenant if session else None,
        session_id=move.session_id,
    )
