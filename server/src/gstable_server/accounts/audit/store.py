"""Rows of the audit log: added and read, never changed."""

from __future__ import annotations

import asyncpg

from gstable_server.accounts.audit.model import BEFORE_ALL, Act, Actor, Entry, Head, Note
from gstable_server.kernel.ids import MemberId, MerchantId
from gstable_server.kernel.roles import Action
from gstable_server.plumbing.db import Tx


def _entry(row: asyncpg.Record) -> Entry:
    actor = Actor(
        MerchantId(row["merchant_id"]), MemberId(row["member_id"]), row["email"], row["address"]
    )
    note = Note(row["what"], row["about"], row["before"], row["after"])
    act = Act(actor, Action(row["action"]), row["mode"], note, row["at"])
    return Entry(Head(row["number"], row["hash"]), act)


async def newest(tx: Tx) -> Head:
    row = await tx.fetchrow("SELECT number, hash FROM audit_entries ORDER BY number DESC LIMIT 1")
    return Head(row["number"], row["hash"]) if row else BEFORE_ALL


async def take_turn(tx: Tx) -> None:
    """Let acts be chained one after the other, until the end of each one's transaction."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('audit_entries', 0))")


async def insert(tx: Tx, entry: Entry) -> None:
    act = entry.act
    await tx.execute(
        "INSERT INTO audit_entries (number, merchant_id, member_id, email, address, action, mode,"
        " what, about, before, after, at, hash)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        entry.head.number,
        act.actor.merchant_id,
        act.actor.member_id,
        act.actor.email,
        act.actor.address,
        act.action,
        act.mode,
        act.note.what,
        act.note.about,
        dict(act.note.before),
        dict(act.note.after),
        act.at,
        entry.head.hash,
    )


async def after(tx: Tx, number: int, limit: int) -> list[Entry]:
    """The entries behind ``number``, in their order."""
    rows = await tx.fetch(
        "SELECT * FROM audit_entries WHERE number > $1 ORDER BY number LIMIT $2", number, limit
    )
    return [_entry(row) for row in rows]


async def find(tx: Tx, number: int) -> Head | None:
    row = await tx.fetchrow("SELECT number, hash FROM audit_entries WHERE number = $1", number)
    return Head(row["number"], row["hash"]) if row else None


_OF_MERCHANT = """
SELECT * FROM audit_entries
WHERE merchant_id = $1 AND ($2 = '' OR action = $2) AND ($3 = '' OR lower(email) = lower($3))
    AND ($4 = '' OR about = $4) AND number < $5
ORDER BY number DESC LIMIT $6
"""


async def of_merchant(
    tx: Tx,
    merchant_id: MerchantId,
    *,
    action: str,
    email: str,
    about: str,
    before: int,
    limit: int,
) -> list[Entry]:
    """A merchant's entries before that number, the newest first; an empty filter lets all pass."""
    rows = await tx.fetch(_OF_MERCHANT, merchant_id, action, email, about, before, limit)
    return [_entry(row) for row in rows]
