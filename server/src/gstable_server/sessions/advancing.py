"""The test clock of one session: its own times come closer, so that nobody has to wait for them.

Nothing else is moved, and nothing is done here: what the usual timetable finds due, it does. Times
that a contract has already been told stay where they are: the deadline of a signed order, when a
deposit goes back, until when a hold is captured.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from gstable_server.kernel.clock import from_unix_seconds, unix_seconds
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import SessionId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import store
from gstable_server.sessions.refunds import operations as refunds


def brought_closer(time: datetime, by: timedelta, now: datetime) -> datetime:
    """``time`` by so much earlier, but not before the whole second of ``now``; what is over is
    left as it is. Whole seconds, because a payment is judged by its block's."""
    present = from_unix_seconds(unix_seconds(now))
    return time if time <= present else max(time - by, present)


async def advance(tx: Tx, tenant: Tenant, session_id: SessionId, seconds: int) -> None:
    """Bring a test session's expiry, and that of its prepared refunds, ``seconds`` closer.

    A payment that is mined after the new expiry is late, also by an order that was signed before:
    the merchant gets the money, and is told so. Refuses a live key with 200102, and with 100201
    anybody else's session.
    """
    if tenant.mode is not Mode.TEST:
        raise Refused(Code.KEY_LACKS_PERMISSION, "only the clock of a test session can be moved")
    session = await store.lock(tx, session_id)
    if session is None or session.tenant != tenant:
        raise Refused(Code.SESSION_NOT_FOUND)

    def moved(time: datetime) -> datetime:
        return brought_closer(time, timedelta(seconds=seconds), tx.now)

    await store.reschedule(tx, replace(session, expires_at=moved(session.expires_at)))
    await refunds.reschedule(tx, session_id, moved)
