"""Rows of letters to members; a row is the queue of its letter."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import asyncpg

from gstable_server.accounts.notices.model import ENGLISH, Words
from gstable_server.kernel.ids import NoticeId
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.json_text import encode_json


@dataclass(frozen=True, slots=True)
class Claimed:
    """A letter that this process hands over; ``tries`` counts this one."""

    notice_id: NoticeId
    email: str
    words: Words
    language: str
    written_at: datetime
    tries: int


async def insert(tx: Tx, notice_id: NoticeId, email: str, words: Words) -> None:
    """In English too, which the version of this server before this one sends."""
    subject, body = words.written(str)
    await tx.execute(
        "INSERT INTO notices (notice_id, email, subject, body, words, written_at, not_before)"
        " VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $6)",
        notice_id,
        email,
        subject,
        body,
        encode_json(asdict(words)).decode(),
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
        " RETURNING email, subject, body, words::text, written_at, tries,"
        " (SELECT language FROM members WHERE lower(email) = lower(notices.email))",
        notice_id,
        tx.now,
        tx.now + claim,
    )
    if row is None:
        return None
    words = _words(row)
    language = row["language"] or words.language or ENGLISH
    return Claimed(notice_id, row["email"], words, language, row["written_at"], row["tries"])


def _words(row: asyncpg.Record) -> Words:
    if row["words"] is not None:
        return Words(**json.loads(row["words"]))
    # Written by the version before this one: what it says is all that it says.
    subject, body = (row[name].replace("%", "%%") for name in ("subject", "body"))
    return Words(subject, body, {}, (), ENGLISH)


async def end(tx: Tx, notice_id: NoticeId, trouble: str | None) -> None:
    """It was handed over, or never will be. Its text goes: there may be a link in it that opens
    something."""
    await tx.execute(
        "UPDATE notices SET ended_at = $2, trouble = $3, body = '', words = NULL"
        " WHERE notice_id = $1",
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
