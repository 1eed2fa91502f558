"""Rows of people, their logins and the sign-ins that failed."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from gstable_server.accounts.members.model import Browser, LoginRow, Member, Presence
from gstable_server.kernel.ids import LoginId, MemberId, MerchantId
from gstable_server.kernel.roles import Role
from gstable_server.plumbing.db import Tx


def member_from(row: asyncpg.Record) -> Member:
    return Member(
        member_id=MemberId(row["member_id"]),
        merchant_id=MerchantId(row["merchant_id"]),
        email=row["email"],
        role=Role(row["role"]),
        joined_at=row["joined_at"],
        language=row["language"] or "",
    )


async def lock_members(tx: Tx) -> None:
    """Let those who would be new take turns, also before there is a row to lock."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('members'))")


async def any_member(tx: Tx) -> bool:
    found: bool = await tx.fetchval("SELECT EXISTS (SELECT 1 FROM members)")
    return found


async def insert_person(tx: Tx, member_id: MemberId, email: str, password_hash: str) -> None:
    await tx.execute(
        "INSERT INTO members (member_id, email, password_hash, created_at) VALUES ($1, $2, $3, $4)",
        member_id,
        email,
        password_hash,
        tx.now,
    )


async def find_person(tx: Tx, email: str) -> tuple[MemberId, str] | None:
    """The person of that e-mail address in lower case, and the password's hash."""
    row = await tx.fetchrow(
        "SELECT member_id, password_hash FROM members WHERE lower(email) = $1", email
    )
    return (MemberId(row["member_id"]), row["password_hash"]) if row else None


async def set_password(tx: Tx, member_id: MemberId, password_hash: str) -> None:
    await tx.execute(
        "UPDATE members SET password_hash = $2 WHERE member_id = $1", member_id, password_hash
    )


async def set_language(tx: Tx, member_id: MemberId, language: str) -> None:
    await tx.execute("UPDATE members SET language = $2 WHERE member_id = $1", member_id, language)


_MEMBERS = """
SELECT m.member_id, m.email, m.language, s.merchant_id, s.role, s.joined_at
FROM memberships s JOIN members m USING (member_id)
"""


async def memberships_of(tx: Tx, member_id: MemberId) -> list[Member]:
    """A person in each of their teams, the oldest first."""
    rows = await tx.fetch(
        f"{_MEMBERS} WHERE member_id = $1 ORDER BY s.joined_at, s.merchant_id", member_id
    )
    return [member_from(row) for row in rows]


async def team_of(tx: Tx, merchant_id: MerchantId, *, lock: bool = False) -> list[Member]:
    """Everybody of a team, the oldest first; locked until the transaction ends if asked for."""
    end = " FOR UPDATE OF s" if lock else ""
    rows = await tx.fetch(
        f"{_MEMBERS} WHERE s.merchant_id = $1 ORDER BY s.joined_at, s.member_id{end}", merchant_id
    )
    return [member_from(row) for row in rows]


async def insert_membership(tx: Tx, member: Member) -> None:
    await tx.execute(
        "INSERT INTO memberships (merchant_id, member_id, role, joined_at) VALUES ($1, $2, $3, $4)",
        member.merchant_id,
        member.member_id,
        member.role,
        member.joined_at,
    )


async def set_role(tx: Tx, member: Member, role: Role) -> None:
    await tx.execute(
        "UPDATE memberships SET role = $3 WHERE merchant_id = $1 AND member_id = $2",
        member.merchant_id,
        member.member_id,
        role,
    )


async def delete_membership(tx: Tx, member: Member) -> None:
    """With it end the logins that show that team."""
    values = member.merchant_id, member.member_id
    await tx.execute(
        "DELETE FROM login_sessions WHERE merchant_id = $1 AND member_id = $2", *values
    )
    await tx.execute("DELETE FROM memberships WHERE merchant_id = $1 AND member_id = $2", *values)


async def insert_login(
    tx: Tx,
    token_hash: bytes,
    login_id: LoginId,
    member: Member,
    browser: Browser,
    until: datetime,
    *,
    awaits_code: bool,
) -> None:
    await tx.execute(
        "INSERT INTO login_sessions (token_hash, login_id, member_id, merchant_id, address,"
        " browser, created_at, last_seen_at, confirmed_at, expires_at, awaits_code)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7, $8, $9)",
        token_hash,
        login_id,
        member.member_id,
        member.merchant_id,
        browser.address,
        browser.name,
        tx.now,
        until,
        awaits_code,
    )


_LOGIN = """
SELECT m.member_id, m.email, m.language, s.merchant_id, s.role, s.joined_at, l.login_id,
    l.confirmed_at, l.last_seen_at
FROM login_sessions l JOIN members m USING (member_id)
JOIN memberships s ON s.member_id = l.member_id AND s.merchant_id = l.merchant_id
WHERE l.token_hash = $1 AND l.expires_at > $2 AND l.last_seen_at > $3 AND l.awaits_code = $4
"""


async def visit_login(
    tx: Tx, token_hash: bytes, idle_since: datetime, noted_since: datetime
) -> Presence | None:
    """Whose open login it is, if it is neither over nor idle since ``idle_since``. Counts as a
    visit, which is written down unless one is since ``noted_since``: a page that only reads is not
    to wait for the disk."""
    row = await tx.look_up(_LOGIN, token_hash, tx.now, idle_since, False)
    if row is None:
        return None
    if row["last_seen_at"] < noted_since:
        await tx.execute(
            "UPDATE login_sessions SET last_seen_at = $2 WHERE token_hash = $1", token_hash, tx.now
        )
    return _presence(row)


async def lock_awaiting(tx: Tx, token_hash: bytes, idle_since: datetime) -> Presence | None:
    """Whose login awaits its code; who else types one for it waits until the transaction ends."""
    row = await tx.fetchrow(f"{_LOGIN} FOR UPDATE OF l", token_hash, tx.now, idle_since, True)
    return _presence(row) if row else None


def _presence(row: asyncpg.Record) -> Presence:
    return Presence(member_from(row), LoginId(row["login_id"]), row["confirmed_at"])


async def peek_login(tx: Tx, token_hash: bytes, idle_since: datetime) -> Member | None:
    """Whose open login it is. Counts as no visit: a page that only stands open keeps nobody in."""
    row = await tx.look_up(_LOGIN, token_hash, tx.now, idle_since, False)
    return None if row is None else member_from(row)


async def confirm_login(tx: Tx, login_id: LoginId) -> None:
    await tx.execute(
        "UPDATE login_sessions SET confirmed_at = $2 WHERE login_id = $1", login_id, tx.now
    )


async def show_merchant(tx: Tx, login_id: LoginId, merchant_id: MerchantId) -> None:
    await tx.execute(
        "UPDATE login_sessions SET merchant_id = $2 WHERE login_id = $1", login_id, merchant_id
    )


async def logins_of(tx: Tx, member_id: MemberId, idle_since: datetime) -> list[LoginRow]:
    """Where a person is signed in, the latest visit first."""
    rows = await tx.fetch(
        "SELECT login_id, address, browser, created_at, last_seen_at FROM login_sessions"
        " WHERE member_id = $1 AND expires_at > $2 AND last_seen_at > $3 AND NOT awaits_code"
        " ORDER BY last_seen_at DESC, login_id",
        member_id,
        tx.now,
        idle_since,
    )
    return [
        LoginRow(
            LoginId(row["login_id"]),
            row["address"],
            row["browser"],
            row["created_at"],
            row["last_seen_at"],
        )
        for row in rows
    ]


async def delete_login(tx: Tx, token_hash: bytes) -> None:
    await tx.execute("DELETE FROM login_sessions WHERE token_hash = $1", token_hash)


async def delete_login_of(tx: Tx, member_id: MemberId, login_id: LoginId) -> bool:
    """False if the person has no such login."""
    status = await tx.execute(
        "DELETE FROM login_sessions WHERE member_id = $1 AND login_id = $2", member_id, login_id
    )
    return status == "DELETE 1"


async def delete_logins_of(tx: Tx, member_id: MemberId, *, but: LoginId | None) -> int:
    """All of a person's logins, ``but`` one; says how many they were."""
    status = await tx.execute(
        "DELETE FROM login_sessions WHERE member_id = $1 AND login_id IS DISTINCT FROM $2",
        member_id,
        but,
    )
    return int(status.removeprefix("DELETE "))


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
