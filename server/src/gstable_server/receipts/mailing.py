"""The one letter of a session: its receipt, when everything is done and the payer gave an address.

SMTP promises no more than that a letter arrives at least once. A letter is queued once (a row), a
process claims it, hands it over and notes that it did. Where the process may die: before the claim
or before the hand-over, another one sends it once the claim is old; between the mail server's word
and our note, another one sends it again, under the same ``Message-ID``, by which mailboxes see that
it is one letter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.plumbing.mail import Letter, Mail, MailDelayed, MailRefused
from gstable_server.receipts import operations as receipts
from gstable_server.receipts import store
from gstable_server.receipts.model import Receipt
from gstable_server.sessions.operations import Desk

log = structlog.get_logger(__name__)

CLAIM = timedelta(seconds=90)
"""How long a process has to hand a letter over; longer than the mail port waits for answers."""


@dataclass(frozen=True, slots=True)
class Mailing:
    """How letters are written and where they are handed over. ``compose`` takes the receipt, the
    payer's address, and the language of the payer's page if it is known."""

    mail: Mail
    compose: Callable[[Receipt, str, str | None], Letter]


async def queue(tx: Tx, batch: Sequence[StoredEvent]) -> list[SessionId]:
    """The sessions whose letter is to be sent now: those that ``batch`` says are completed, whose
    payer gave an address, and for the first time."""
    wanted = [
        SessionId(stored.event.object_id)
        for stored in batch
        if stored.event.payload["sessionData"]["payerEmail"]
    ]
    return await store.queue(tx, wanted) if wanted else []


async def send(db: Database, desk: Desk, mailing: Mailing, session_id: SessionId) -> None:
    """Send the receipt of a session, unless that was done. ``MailDelayed`` asks for another try."""
    claimed = await db.run(store.claim, session_id, CLAIM)
    if claimed is None:
        async with db.read() as tx:
            if await store.is_over(tx, session_id):
                return
        raise MailDelayed("another process is sending it, or died of it")
    async with db.read() as tx:
        receipt = await receipts.receipt(tx, desk, session_id)
    address = receipt.session.payer_email if receipt else None
    if receipt is None or not address:
        await db.run(store.mark_refused, session_id, "there is no receipt any more")
        return
    try:
        await mailing.mail.send(mailing.compose(receipt, address, claimed.language))
    except MailRefused as refused:
        log.warning("receipt refused by the mail server", session_id=session_id, said=str(refused))
        await db.run(store.mark_refused, session_id, str(refused))
    except MailDelayed:
        await db.run(store.release, session_id)
        raise
    else:
        await db.run(store.mark_sent, session_id)
