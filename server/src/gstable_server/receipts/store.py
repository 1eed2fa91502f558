"""Rows of receipts that are sent to payers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Tx


@dataclass(frozen=True, slots=True)
class Claimed:
    """A letter that is this process's to send."""

    language: str | None


async def note_language(tx: Tx, session_id: SessionId, language: str) -> None:
    await tx.execute(
        "INSERT INTO receipt_letters (session_id, language) VALUES ($1, $2)"
        " ON CONFLICT (session_id) DO UPDATE SET language = $2",
        session_id,
        language,
    )


_QUEUE = """
INSERT INTO receipt_letters (session_id, queued_at) SELECT unnest($1::text[]), $2
ON CONFLICT (session_id) DO UPDATE SET queued_at = $2 WHERE receipt_letters.queued_at IS NULL
RETURNING session_id
"""


async def queue(tx: Tx, session_ids: list[SessionId]) -> list[SessionId]:
    """Those of the sessions whose letter was not queued before."""
    rows = await tx.fetch(_QUEUE, session_ids, tx.now)
    return [SessionId(row["session_id"]) for row in rows]


_CLAIM = """
UPDATE receipt_letters SET tried_at = $2
WHERE session_id = $1 AND sent_at IS NULL AND refused IS NULL
    AND (tried_at IS NULL OR tried_at < $3)
RETURNING language
"""


async def claim(tx: Tx, session_id: SessionId, patience: timedelta) -> Claimed | None:
    """None if it was sent or refused, or another process began to send it less than ``patience``
    ago."""
    row = await tx.fetchrow(_CLAIM, session_id, tx.now, tx.now - patience)
    return Claimed(row["language"]) if row else None


async def is_over(tx: Tx, session_id: SessionId) -> bool:
    """Whether the letter was sent, or will never be."""
    found: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT 1 FROM receipt_letters WHERE session_id = $1"
        " AND (sent_at IS NOT NULL OR refused IS NOT NULL))",
        session_id,
    )
    return found


async def mark_sent(tx: Tx, session_id: SessionId) -> None:
    await tx.execute(
        "UPDATE receipt_letters SET sent_at = $2 WHERE session_id = $1", session_id, tx.now
    )


async def mark_refused(tx: Tx, session_id: SessionId, reason: str) -> None:
    await tx.execute(
        "UPDATE receipt_letters SET refused = $2 WHERE session_id = $1", session_id, reason
    )


async def release(tx: Tx, session_id: SessionId) -> None:
    """Let the next try begin at once."""
    await tx.execute("UPDATE receipt_letters SET tried_at = NULL WHERE session_id = $1", session_id)
