"""The one letter of a session: its receipt, when everything is done and the payer gave an address.

SMTP promises no more than that a letter arrives at least once. A letter is queued once (a row), a
process claims it, hands it over and notes that it did. Where the process may die: before the claim
or before the hand-over, another one sends it once the claim is old; between the mail server's word
and our note, another one sends it again, under the same ``Message-ID``, by which mailboxes see that
it is one letter.

The row is the queue: jobs only say that it is due, and the timetable says so again (``due``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from gstable_server.accounts.preferences import operations as preferences
from gstable_server.kernel.ids import SessionId
from gstable_server.kernel.spread import spread
from gstable_server.plumbing import metrics
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.plumbing.mail import (
    DIALOGUE_SECONDS,
    TOGETHER,
    Letter,
    Mail,
    MailDelayed,
    MailRefused,
)
from gstable_server.receipts import operations as receipts
from gstable_server.receipts import store
from gstable_server.receipts.model import Receipt
from gstable_server.receipts.store import Claimed
from gstable_server.sessions.operations import Desk

log = structlog.get_logger(__name__)

CLAIM = timedelta(seconds=DIALOGUE_SECONDS + 120)
"""How long a process has to hand a letter over: longer than any conversation with a mail server
may last, and the writing before it."""
WAITS_SECONDS = (60, 300, 900, 1_800, *[3_600] * 8, *[7_200] * 8, *[14_400] * 12)
"""Before each further try, seconds after the one that failed: about three days, and never less than
two, because a mail server may be away for a night or a weekend (RFC 5321, 4.5.4.1)."""
TURN_SECONDS = 20.0
"""How long a job waits for others: a mail server that hangs must not hold all jobs up."""
DUE_TOGETHER = 200


@dataclass(frozen=True, slots=True)
class Mailing:
    """How letters are written and where they are handed over. ``compose`` takes the receipt, the
    payer's address, and the language of the payer's page if it is known."""

    mail: Mail
    compose: Callable[[Receipt, str, str | None], Letter]
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TOGETHER))


async def queue(tx: Tx, batch: Sequence[StoredEvent]) -> list[SessionId]:
    """The sessions whose letter is to be sent now: those that ``batch`` says are completed, whose
    payer gave an address and whose merchant has receipts sent, and for the first time."""
    given = [stored for stored in batch if stored.event.payload["sessionData"]["payerEmail"]]
    tenants = {stored.event.tenant for stored in given if stored.event.tenant is not None}
    off = await preferences.without_receipts(tx, tenants) if tenants else frozenset()
    wanted = [
        SessionId(stored.event.object_id) for stored in given if stored.event.tenant not in off
    ]
    return await store.queue(tx, wanted) if wanted else []


async def due(tx: Tx) -> list[SessionId]:
    """Letters that are to be tried now, and to be tried again."""
    return await store.due(tx, DUE_TOGETHER)


async def send(db: Database, desk: Desk, mailing: Mailing, session_id: SessionId) -> None:
    """Try to send the receipt of a session, if it is due; where it fails, it is due again later."""
    try:
        async with asyncio.timeout(TURN_SECONDS):
            await mailing.turns.acquire()
    except TimeoutError:
        return  # it is still due
    try:
        claimed = await db.run(store.claim, session_id, CLAIM)
        if claimed is not None:
            await _send(db, desk, mailing, session_id, claimed)
    finally:
        mailing.turns.release()


async def _send(
    db: Database, desk: Desk, mailing: Mailing, session_id: SessionId, claimed: Claimed
) -> None:
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
    except MailDelayed as delayed:
        await _again(db, session_id, claimed.tries, str(delayed))
    else:
        await db.run(store.mark_sent, session_id)


async def _again(db: Database, session_id: SessionId, tries: int, trouble: str) -> None:
    wait = wait_after(session_id, tries)
    if wait is not None:
        log.warning("receipt delayed", session_id=session_id, tries=tries, reason=trouble)
        await db.run(store.postpone, session_id, trouble, wait)
        return
    await db.run(store.give_up, session_id, trouble)
    metrics.receipt_given_up()
    log.error("receipt given up", session_id=session_id, tries=tries, reason=trouble)


def wait_after(session_id: SessionId, tries: int) -> timedelta | None:
    """How long to wait after the try with this number, 1 or more; None after the last one.

    Spread by a fifth to either side, so that a mail server that comes back is not met by all
    letters at once; the same letter always gets the same value.
    """
    if tries > len(WAITS_SECONDS):
        return None
    return spread(WAITS_SECONDS[tries - 1], f"{session_id}:{tries}", 200)
