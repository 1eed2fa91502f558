"""Rows of receipts that are sent to payers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Tx


@dataclass(frozen=True, slots=True)
class Claimed:
    """A letter that is this process's to send; ``tries`` counts this one."""

    language: str | None
    tries: int


async def note_language(tx: Tx, session_id: SessionId, language: str) -> None:
    await tx.execute(
        "INSERT INTO receipt_letters (session_id, language) VALUES ($1, $2)"
        " ON CONFLICT (session_id) DO UPDATE SET language = $2",
        session_id,
        language,
    )


_QUEUE = """
INSERT INTO receipt_letters (session_id, queued_at, next_at) SELECT unnest($1::text[]), $2, $2
ON CONFLICT (session_id) DO UPDATE SET queued_at = $2, next_at = $2
    WHERE receipt_letters.queued_at IS NULL
RETURNING session_id
"""


async def queue(tx: Tx, session_ids: list[SessionId]) -> list[SessionId]:
    """Those of the sessions whose letter was not queued before."""
    rows = await tx.fetch(_QUEUE, session_ids, tx.now)
    return [SessionId(row["session_id"]) for row in rows]


async def due(tx: Tx, limit: int) -> list[SessionId]:
    """Letters that are to be tried now, those that are due for longest first."""
    rows = await tx.fetch(
        "SELECT session_id FROM receipt_letters WHERE next_at <= $1 ORDER BY next_at LIMIT $2",
        tx.now,
        limit,
    )
    return [SessionId(row["session_id"]) for row in rows]


_CLAIM = """
UPDATE receipt_letters SET next_at = $3, tries = tries + 1
WHERE session_id = $1 AND next_at <= $2
RETURNING language, tries
"""


async def claim(tx: Tx, session_id: SessionId, patience: timedelta) -> Claimed | None:
    """None unless it is due. Nobody else may try it for ``patience``."""
    row = await tx.fetchrow(_CLAIM, session_id, tx.now, tx.now + patience)
    return Claimed(row["language"], row["tries"]) if row else None


async def mark_sent(tx: Tx, session_id: SessionId) -> None:
    """It was taken, whatever another process has noted meanwhile."""
    await tx.execute(
        "UPDATE receipt_letters SET sent_at = $2, next_at = NULL, refused = NULL,"
        " given_up_at = NULL WHERE session_id = $1",
        session_id,
        tx.now,
    )


async def mark_refused(tx: Tx, session_id: SessionId, reason: str) -> None:
    await tx.execute(
        "UPDATE receipt_letters SET refused = $2, next_at = NULL"
        " WHERE session_id = $1 AND next_at IS NOT NULL",
        session_id,
        reason,
    )


async def postpone(tx: Tx, session_id: SessionId, trouble: str, wait: timedelta) -> None:
    """Let it be tried again after ``wait``, unless it is over."""
    await tx.execute(
        "UPDATE receipt_letters SET next_at = $2, trouble = $3"
        " WHERE session_id = $1 AND next_at IS NOT NULL",
        session_id,
        tx.now + wait,
        trouble,
    )


async def give_up(tx: Tx, session_id: SessionId, trouble: str) -> None:
    await tx.execute(
        "UPDATE receipt_letters SET given_up_at = $2, next_at = NULL, trouble = $3"
        " WHERE session_id = $1 AND next_at IS NOT NULL",
        session_id,
        tx.now,
        trouble,
    )


_BACKLOG = """
SELECT (SELECT count(*) FROM (SELECT FROM receipt_letters WHERE next_at IS NOT NULL LIMIT $1)
    counted) AS waiting,
(SELECT min(queued_at) FROM receipt_letters WHERE next_at IS NOT NULL) AS since
"""


async def backlog(tx: Tx, at_most: int) -> tuple[int, datetime | None]:
    """How many letters are not sent yet, counted up to ``at_most``, and since when the oldest."""
    row = await tx.fetchrow(_BACKLOG, at_most)
    assert row is not None, "a list of scalars always answers"
    return row["waiting"], row["since"]
