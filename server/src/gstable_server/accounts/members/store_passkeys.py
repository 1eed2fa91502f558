"""Rows of passkeys, of what browsers are to sign, and of sign-ins that were answered."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from gstable_server.accounts.members.model import Passkey
from gstable_server.kernel.ids import MemberId, PasskeyId
from gstable_server.plumbing.db import Tx


def _passkey(row: asyncpg.Record) -> Passkey:
    return Passkey(
        passkey_id=PasskeyId(row["passkey_id"]),
        member_id=MemberId(row["member_id"]),
        credential_id=row["credential_id"],
        public_key=row["public_key"],
        sign_count=row["sign_count"],
        transports=tuple(row["transports"]),
        name=row["name"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
    )


async def of_member(tx: Tx, member_id: MemberId) -> list[Passkey]:
    """A person's, the oldest first."""
    rows = await tx.fetch(
        "SELECT * FROM passkeys WHERE member_id = $1 ORDER BY created_at, passkey_id", member_id
    )
    return [_passkey(row) for row in rows]


async def lock_credential(tx: Tx, credential_id: bytes) -> Passkey | None:
    row = await tx.fetchrow(
        "SELECT * FROM passkeys WHERE credential_id = $1 FOR UPDATE", credential_id
    )
    return _passkey(row) if row else None


async def insert(tx: Tx, passkey: Passkey) -> bool:
    """False if that credential is somebody's already."""
    status = await tx.execute(
        "INSERT INTO passkeys (passkey_id, member_id, credential_id, public_key, sign_count,"
        " transports, name, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (credential_id) DO NOTHING",
        passkey.passkey_id,
        passkey.member_id,
        passkey.credential_id,
        passkey.public_key,
        passkey.sign_count,
        list(passkey.transports),
        passkey.name,
        passkey.created_at,
    )
    return status.endswith(" 1")


async def use(tx: Tx, passkey_id: PasskeyId, sign_count: int) -> None:
    await tx.execute(
        "UPDATE passkeys SET sign_count = $2, last_used_at = $3 WHERE passkey_id = $1",
        passkey_id,
        sign_count,
        tx.now,
    )


async def rename(tx: Tx, member_id: MemberId, passkey_id: PasskeyId, name: str) -> str | None:
    """The name of before; None if the person has no such passkey."""
    before: str | None = await tx.fetchval(
        "SELECT name FROM passkeys WHERE member_id = $1 AND passkey_id = $2 FOR UPDATE",
        member_id,
        passkey_id,
    )
    if before is not None:
        await tx.execute("UPDATE passkeys SET name = $2 WHERE passkey_id = $1", passkey_id, name)
    return before


async def delete(tx: Tx, member_id: MemberId, passkey_id: PasskeyId) -> str | None:
    """The name that it had; None if the person has no such passkey."""
    name: str | None = await tx.fetchval(
        "DELETE FROM passkeys WHERE member_id = $1 AND passkey_id = $2 RETURNING name",
        member_id,
        passkey_id,
    )
    return name


async def write_challenge(
    tx: Tx, token_hash: bytes, purpose: str, challenge: bytes, expires_at: datetime
) -> None:
    """What the browser of that token is to answer, instead of what it was asked before."""
    await tx.execute(
        "INSERT INTO login_challenges (token_hash, purpose, challenge, expires_at)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT (token_hash, purpose)"
        " DO UPDATE SET challenge = $3, expires_at = $4",
        token_hash,
        purpose,
        challenge,
        expires_at,
    )


async def find_challenge(tx: Tx, token_hash: bytes, purpose: str) -> bytes | None:
    found: bytes | None = await tx.fetchval(
        "SELECT challenge FROM login_challenges WHERE token_hash = $1 AND purpose = $2"
        " AND expires_at > $3",
        token_hash,
        purpose,
        tx.now,
    )
    return found


async def take_challenge(tx: Tx, token_hash: bytes, purpose: str) -> bytes | None:
    """The same, and never again: who comes second finds nothing."""
    row = await tx.fetchrow(
        "DELETE FROM login_challenges WHERE token_hash = $1 AND purpose = $2"
        " RETURNING challenge, expires_at",
        token_hash,
        purpose,
    )
    return row["challenge"] if row and row["expires_at"] > tx.now else None


async def answer_once(tx: Tx, token_hash: bytes, expires_at: datetime) -> bool:
    """Whether the question of that token, which is over at ``expires_at``, was not answered
    before; who comes at the same time waits and is told no."""
    status = await tx.execute(
        "INSERT INTO sign_in_answers (token_hash, expires_at) VALUES ($1, $2)"
        " ON CONFLICT (token_hash) DO NOTHING",
        token_hash,
        expires_at,
    )
    return status.endswith(" 1")


async def purge(tx: Tx, answers_before: datetime) -> None:
    """Challenges that are over, and answers to questions that were over before that time."""
    await tx.execute("DELETE FROM login_challenges WHERE expires_at <= $1", tx.now)
    await tx.execute("DELETE FROM sign_in_answers WHERE expires_at <= $1", answers_before)
