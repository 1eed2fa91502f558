"""Rows of authenticator apps, recovery codes and links that set a password anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gstable_server.kernel.ids import MemberId
from gstable_server.plumbing.db import Tx


@dataclass(frozen=True, slots=True)
class Authenticator:
    """A person's app; it does not count before its first code was typed. ``secret`` is sealed."""

    secret: bytes
    is_confirmed: bool
    last_step: int


async def find(tx: Tx, member_id: MemberId, *, lock: bool = False) -> Authenticator | None:
    sql = "SELECT secret, confirmed_at, last_step FROM authenticators WHERE member_id = $1"
    row = await tx.fetchrow(f"{sql} FOR UPDATE" if lock else sql, member_id)
    if row is None:
        return None
    return Authenticator(row["secret"], row["confirmed_at"] is not None, row["last_step"])


async def begin(tx: Tx, member_id: MemberId, secret: bytes) -> None:
    """A new app instead of one that was never confirmed."""
    await tx.execute(
        "INSERT INTO authenticators (member_id, secret, last_step) VALUES ($1, $2, 0)"
        " ON CONFLICT (member_id) DO UPDATE SET secret = $2, last_step = 0"
        " WHERE authenticators.confirmed_at IS NULL",
        member_id,
        secret,
    )


async def confirm(tx: Tx, member_id: MemberId, step: int) -> None:
    await tx.execute(
        "UPDATE authenticators SET confirmed_at = $2, last_step = $3 WHERE member_id = $1",
        member_id,
        tx.now,
        step,
    )


async def use_step(tx: Tx, member_id: MemberId, step: int) -> None:
    await tx.execute(
        "UPDATE authenticators SET last_step = $2 WHERE member_id = $1", member_id, step
    )


async def delete(tx: Tx, member_id: MemberId) -> bool:
    """False if there was none."""
    status = await tx.execute("DELETE FROM authenticators WHERE member_id = $1", member_id)
    return not status.endswith(" 0")


async def lock_secrets(tx: Tx) -> list[tuple[MemberId, bytes]]:
    """Every app's secret as it is sealed."""
    rows = await tx.fetch("SELECT member_id, secret FROM authenticators FOR UPDATE")
    return [(MemberId(row["member_id"]), row["secret"]) for row in rows]


async def reseal(tx: Tx, member_id: MemberId, secret: bytes) -> None:
    await tx.execute(
        "UPDATE authenticators SET secret = $2 WHERE member_id = $1", member_id, secret
    )


async def delete_codes(tx: Tx, member_id: MemberId) -> None:
    await tx.execute("DELETE FROM recovery_codes WHERE member_id = $1", member_id)


async def replace_codes(tx: Tx, member_id: MemberId, hashes: list[bytes]) -> None:
    await tx.execute("DELETE FROM recovery_codes WHERE member_id = $1", member_id)
    await tx.execute(
        "INSERT INTO recovery_codes (member_id, code_hash) SELECT $1, unnest($2::bytea[])",
        member_id,
        hashes,
    )


async def use_code(tx: Tx, member_id: MemberId, code_hash: bytes) -> bool:
    """False for a code that is none of the person's, or was used before."""
    status = await tx.execute(
        "UPDATE recovery_codes SET used_at = $3 WHERE member_id = $1 AND code_hash = $2"
        " AND used_at IS NULL",
        member_id,
        code_hash,
        tx.now,
    )
    return status == "UPDATE 1"


async def codes_left(tx: Tx, member_id: MemberId) -> int:
    count: int = await tx.fetchval(
        "SELECT count(*) FROM recovery_codes WHERE member_id = $1 AND used_at IS NULL", member_id
    )
    return count


async def insert_reset(
    tx: Tx, member_id: MemberId, token_hash: bytes, expires_at: datetime
) -> None:
    await tx.execute(
        "INSERT INTO password_resets (token_hash, member_id, expires_at) VALUES ($1, $2, $3)",
        token_hash,
        member_id,
        expires_at,
    )


async def find_reset(tx: Tx, token_hash: bytes) -> MemberId | None:
    """Whose link that is, if it still works; nobody else uses it meanwhile."""
    found = await tx.fetchval(
        "SELECT member_id FROM password_resets WHERE token_hash = $1 AND expires_at > $2"
        " FOR UPDATE",
        token_hash,
        tx.now,
    )
    return MemberId(found) if found else None


async def delete_resets(tx: Tx, member_id: MemberId) -> None:
    await tx.execute("DELETE FROM password_resets WHERE member_id = $1", member_id)


async def purge_resets(tx: Tx) -> None:
    await tx.execute("DELETE FROM password_resets WHERE expires_at <= $1", tx.now)
