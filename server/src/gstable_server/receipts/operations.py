"""What can be done with receipts: made of what is known at the moment, and sent once."""

from __future__ import annotations

from datetime import datetime

from gstable_server.accounts.branding import operations as brandings
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Tx
from gstable_server.receipts import store
from gstable_server.receipts.model import PAID, Naming, Receipt, given_back, paid_part
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.refunds import operations as refunds


async def receipt(tx: Tx, desk: Desk, session_id: SessionId) -> Receipt | None:
    """The receipt of a session, as things stand; None while nothing is paid, and when what was
    paid has been taken back. Raises ``Refused`` (100201) where there is no such session."""
    view = await sessions.view(tx, session_id)
    session = view.session
    if session.state not in PAID or view.payment is None:
        return None
    naming = Naming(desk.networks, session.tenant.mode)
    held = await refunds.of_view(tx, view)
    parts = (paid_part(payment, naming) for payment in view.payments)
    returns = (given_back(refund, naming) for refund in held)
    return Receipt(
        session=session,
        merchant=await brandings.branding(tx, session.tenant.merchant_id),
        paid=tuple(part for part in parts if part is not None),
        given_back=tuple(one for one in returns if one is not None),
        as_of=tx.now,
    )


async def note_language(tx: Tx, session_id: SessionId, language: str) -> None:
    """Remember in which language the payer saw the page, for the letter that may follow."""
    await store.note_language(tx, session_id, language)


async def backlog(tx: Tx, at_most: int) -> tuple[int, datetime | None]:
    """How many letters are not sent yet, counted up to ``at_most``, and since when the oldest."""
    return await store.backlog(tx, at_most)
