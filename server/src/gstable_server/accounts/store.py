"""Rows of merchants, receiving accounts, API keys, members and their logins."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from gstable_server.accounts.model import ApiKey, Member, Merchant, ReceivingAccount
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import AccountId, ApiKeyId, MemberId, MerchantId, VersionId
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.db import Tx


async def insert_merchant(tx: Tx, merchant: Merchant) -> None:
    await tx.execute(
        "INSERT INTO merchants (merchant_id, name, created_at) VALUES ($1, $2, $3)",
        merchant.merchant_id,
        merchant.name,
        tx.now,
    )


async def find_merchant(tx: Tx, merchant_id: MerchantId) -> Merchant | None:
    row = await tx.fetchrow(
        "SELECT merchant_id, name FROM merchants WHERE merchant_id = $1", merchant_id
    )
    return Merchant(MerchantId(row["merchant_id"]), row["name"]) if row else None


async def lock_merchant(tx: Tx, merchant_id: MerchantId) -> None:
    """Make changes that count rows of one merchant take turns; plain inserts do not wait."""
    await tx.fetchval(
        "SELECT 1 FROM merchants WHERE merchant_id = $1 FOR NO KEY UPDATE", merchant_id
    )


def _account(row: asyncpg.Record) -> ReceivingAccount:
    return ReceivingAccount(
        account_id=AccountId(row["account_id"]),
        tenant=Tenant(MerchantId(row["merchant_id"]), Mode(row["mode"])),
        name=row["name"],
        address=Address(row["address"]),
        version=VersionId(row["version"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        removed_at=row["removed_at"],
    )


async def insert_account(tx: Tx, account: ReceivingAccount) -> None:
    await tx.execute(
        "INSERT INTO receiving_accounts (account_id, merchant_id, mode, name, address, version,"
        " created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        account.account_id,
        account.tenant.merchant_id,
        account.tenant.mode,
        account.name,
        account.address,
        account.version,
        account.created_at,
        account.updated_at,
    )


_FIND_ACCOUNT = """
SELECT * FROM receiving_accounts WHERE account_id = $1 AND merchant_id = $2 AND mode = $3
"""
_LOCK_ACCOUNT = """
SELECT * FROM receiving_accounts WHERE account_id = $1 AND merchant_id = $2 AND mode = $3
FOR UPDATE
"""


async def find_account(
    tx: Tx, tenant: Tenant, account_id: AccountId, *, lock: bool = False
) -> ReceivingAccount | None:
    row = await tx.fetchrow(
        _LOCK_ACCOUNT if lock else _FIND_ACCOUNT,
        account_id,
        tenant.merchant_id,
        tenant.mode,
    )
    return _account(row) if row else None


async def list_accounts(tx: Tx, tenant: Tenant) -> list[ReceivingAccount]:
    rows = await tx.fetch(
        "SELECT * FROM receiving_accounts WHERE merchant_id = $1 AND mode = $2"
        " AND removed_at IS NULL ORDER BY sequence DESC",
        tenant.merchant_id,
        tenant.mode,
    )
    return [_account(row) for row in rows]


async def count_accounts(tx: Tx, tenant: Tenant) -> int:
    count: int = await tx.fetchval(
        "SELECT count(*) FROM receiving_accounts WHERE merchant_id = $1 AND mode = $2"
        " AND removed_at IS NULL",
        tenant.merchant_id,
        tenant.mode,
    )
    return count


async def update_account(tx: Tx, account: ReceivingAccount) -> None:
    """Write what can change of an account that ``find_account`` locked."""
    await tx.execute(
        "UPDATE receiving_accounts SET name = $4, updated_at = $5, removed_at = $6"
        " WHERE account_id = $1 AND merchant_id = $2 AND mode = $3",
        account.account_id,
        account.tenant.merchant_id,
        account.tenant.mode,
        account.name,
        account.updated_at,
        account.removed_at,
    )


def _key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        key_id=ApiKeyId(row["key_id"]),
        tenant=Tenant(MerchantId(row["merchant_id"]), Mode(row["mode"])),
        access=Access(row["access"]),
        name=row["name"],
        hint=row["hint"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


async def insert_key(tx: Tx, key: ApiKey, key_hash: bytes) -> None:
    await tx.execute(
        "INSERT INTO api_keys (key_id, merchant_id, mode, access, name, key_hash, hint, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        key.key_id,
        key.tenant.merchant_id,
        key.tenant.mode,
        key.access,
        key.name,
        key_hash,
        key.hint,
        key.created_at,
    )


async def find_key(tx: Tx, key_hash: bytes) -> ApiKey | None:
    """By its secret's hash: the one lookup that finds out whose request it is."""
    row = await tx.fetchrow("SELECT * FROM api_keys WHERE key_hash = $1", key_hash)
    return _key(row) if row else None


async def list_keys(tx: Tx, tenant: Tenant) -> list[ApiKey]:
    rows = await tx.fetch(
        "SELECT * FROM api_keys WHERE merchant_id = $1 AND mode = $2 ORDER BY sequence DESC",
        tenant.merchant_id,
        tenant.mode,
    )
    return [_key(row) for row in rows]


async def revoke_key(tx: Tx, tenant: Tenant, key_id: ApiKeyId) -> bool:
    """False if there is no such key or it is revoked already."""
    status = await tx.execute(
        "UPDATE api_keys SET revoked_at = $4 WHERE key_id = $1 AND merchant_id = $2"
        " AND mode = $3 AND revoked_at IS NULL",
        key_id,
        tenant.merchant_id,
        tenant.mode,
        tx.now,
    )
    return status == "UPDATE 1"


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


async def purge_logins(tx: Tx, failed_before: datetime, idle_since: datetime) -> None:
    await tx.execute("DELETE FROM login_failures WHERE failed_at <= $1", failed_before)
    await tx.execute(
        "DELETE FROM login_sessions WHERE expires_at <= $1 OR last_seen_at <= $2",
        tx.now,
        idle_since,
    )
