"""Rows of letters to members; a row is the queue of its letter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gstable_server.kernel.ids import NoticeId
from gstable_server.plumbing.db import Tx


@dataclass(frozen=True, slots=True)
class Claimed:
    """A letter that this process hands over; ``tries`` counts this one."""

    notice_id: NoticeId
    email: str
    subject: str
    body: str
    written_at: datetime
    tries: int


async def insert(tx: Tx, notice_id: NoticeId, email: str, subject: str, body: str) -> None:
    await tx.execute(
        "INSERT INTO notices (notice_id, email, subject, body, written_at, not_before)"
        " VALUES ($1, $2, $3, $4, $5, $5)",
        notice_id,
        email,
        subject,
        body,
        tx.now,
    )


async def due(tx: Tx, limit: int) -> list[NoticeId]:
    rows = await tx.fetch(
        "SELECT notice_id FROM notices WHERE ended_at IS NULL AND not_before <= $1"
        " ORDER BY not_before LIMIT $2",
        tx.now,
        limit,
    )
    return [NoticeId(row["notice_id"]) for row in rows]


async def claim(tx: Tx, notice_id: NoticeId, claim: timedelta) -> Claimed | None:
    """None for what is not due, or is claimed by another process."""
    row = await tx.fetchrow(
        "UPDATE notices SET not_before = $3, tries = tries + 1 WHERE notice_id = $1"
        " AND ended_at IS NULL AND not_before <= $2"
        " RETURNING email, subject, body, written_at, tries",
        notice_id,
        tx.now,
        tx.now + claim,
    )
    if row is None:
        return None
    return Claimed(
        notice_id, row["email"], row["subject"], row["body"], row["written_at"], row["tries"]
    )


async def end(tx: Tx, notice_id: NoticeId, trouble: str | None) -> None:
    """It was handed over, or never will be. Its text goes: there may be a link in it that opens
    something."""
    await tx.execute(
        "UPDATE notices SET ended_at = $2, trouble = $3, body = '' WHERE notice_id = $1",
        notice_id,
        tx.now,
        trouble,
    )


async def postpone(tx: Tx, notice_id: NoticeId, wait: timedelta, trouble: str) -> None:
    await tx.execute(
        "UPDATE notices SET not_before = $2, trouble = $3 WHERE notice_id = $1",
        notice_id,
        tx.now + wait,
        trouble,
    )


async def purge(tx: Tx, ended_before: datetime) -> None:
    await tx.execute("DELETE FROM notices WHERE ended_at <= $1", ended_before)
