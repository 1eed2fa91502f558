"""Rows of members, their logins and the sign-ins that failed."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from gstable_server.accounts.members.model import Member
from gstable_server.kernel.ids import MemberId, MerchantId
from gstable_server.plumbing.db import Tx


def _member(row: asyncpg.Record) -> Member:
    return Member(
        member_id=MemberId(row["member_id"]),
        merchant_id=MerchantId(row["merchant_id"]),
        email=row["email"],
        created_at=row["created_at"],
    )


async def lock_members(tx: Tx) -> None:
    """Let first-run registrations take turns, also before there is a row to lock."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('members'))")


async def any_member(tx: Tx) -> bool:
    found: bool = await tx.fetchval("SELECT EXISTS (SELECT 1 FROM members)")
    return found


async def insert_member(tx: Tx, member: Member, password_hash: str) -> None:
    await tx.execute(
        "INSERT INTO members (member_id, merchant_id, email, password_hash, role, created_at)"
        " VALUES ($1, $2, $3, $4, 'owner', $5)",
        member.member_id,
        member.merchant_id,
        member.email,
        password_hash,
        member.created_at,
    )


async def find_member(tx: Tx, email: str) -> tuple[Member, str] | None:
    """The member of that e-mail address in lower case, and the password's hash."""
    row = await tx.fetchrow("SELECT * FROM members WHERE lower(email) = $1", email)
    return (_member(row), row["password_hash"]) if row else None


async def insert_login(
    tx: Tx, token_hash: bytes, member_id: MemberId, expires_at: datetime
) -> None:
    await tx.execute(
        "INSERT INTO login_sessions (token_hash, member_id, created_at, last_seen_at, expires_at)"
        " VALUES ($1, $2, $3, $3, $4)",
        token_hash,
        member_id,
        tx.now,
        expires_at,
    )


async def touch_login(tx: Tx, token_hash: bytes, idle_since: datetime) -> Member | None:
    """The member of a login that is neither over nor idle since then; counts as a visit."""
    row = await tx.fetchrow(
        "UPDATE login_sessions l SET last_seen_at = $2 FROM members m"
        " WHERE l.token_hash = $1 AND l.expires_at > $2 AND l.last_seen_at > $3"
        " AND m.member_id = l.member_id RETURNING m.*",
        token_hash,
        tx.now,
        idle_since,
    )
    return _member(row) if row else None


async def delete_login(tx: Tx, token_hash: bytes) -> None:
    await tx.execute("DELETE FROM login_sessions WHERE token_hash = $1", token_hash)


async def try_lock_login(tx: Tx, subject: str) -> bool:
    """False while another sign-in for the same subject is being decided."""
    locked: bool = await tx.fetchval(
        "SELECT pg_try_advisory_xact_lock(hashtextextended('login ' || $1, 0))", subject
    )
    return locked


async def insert_failure(tx: Tx, subject: str) -> None:
    await tx.execute(
        "INSERT INTO login_failures (subject, failed_at) VALUES ($1, $2)", subject, tx.now
    )


async def failures(tx: Tx, subject: str, since: datetime) -> tuple[int, datetime | None]:
    """How many sign-ins failed since then, and when the last one did."""
    row = await tx.fetchrow(
        "SELECT count(*) AS many, max(failed_at) AS last FROM login_failures"
        " WHERE subject = $1 AND failed_at > $2",
        subject,
        since,
    )
    assert row is not None, "an aggregate has one row"
    return row["many"], row["last"]


async def forget_failures(tx: Tx, subject: str) -> None:
    await tx.execute("DELETE FROM login_failures WHERE subject = $1", subject)


async def purge(tx: Tx, failed_before: datetime, idle_since: datetime) -> None:
    await tx.execute("DELETE FROM login_failures WHERE failed_at <= $1", failed_before)
    await tx.execute(
        "DELETE FROM login_sessions WHERE expires_at <= $1 OR last_seen_at <= $2",
        tx.now,
        idle_since,
    )
