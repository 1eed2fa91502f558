"""Rows of who people are to other servers."""

from __future__ import annotations

from gstable_server.kernel.ids import MemberId
from gstable_server.plumbing.db import Tx


async def find(tx: Tx, issuer: str, subject: str) -> MemberId | None:
    found = await tx.fetchval(
        "SELECT member_id FROM identities WHERE issuer = $1 AND subject = $2", issuer, subject
    )
    return MemberId(found) if found else None


async def has_one(tx: Tx, issuer: str, member_id: MemberId) -> bool:
    found: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT 1 FROM identities WHERE issuer = $1 AND member_id = $2)",
        issuer,
        member_id,
    )
    return found


async def bind(tx: Tx, issuer: str, subject: str, member_id: MemberId) -> None:
    await tx.execute(
        "INSERT INTO identities (issuer, subject, member_id, bound_at) VALUES ($1, $2, $3, $4)",
        issuer,
        subject,
        member_id,
        tx.now,
    )
