"""Rows of merchants, receiving accounts and API keys."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

import asyncpg

from gstable_server.accounts.model import ApiKey, KeyLimits, KeyUse, Merchant, ReceivingAccount
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import AccountId, ApiKeyId, MerchantId, VersionId
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


async def first_merchant(tx: Tx) -> str | None:
    """The one that was made before all others."""
    found: str | None = await tx.fetchval(
        "SELECT merchant_id FROM merchants ORDER BY created_at, merchant_id LIMIT 1"
    )
    return found


async def rename_merchant(tx: Tx, merchant: Merchant) -> None:
    await tx.execute(
        "UPDATE merchants SET name = $2 WHERE merchant_id = $1", merchant.merchant_id, merchant.name
    )


async def lock_merchant(tx: Tx, merchant_id: MerchantId) -> None:
    """Make changes that count rows of one merchant take turns; plain inserts do not wait."""
    await tx.fetchval(
        "SELECT 1 FROM merchants WHERE merchant_id = $1 FOR NO KEY UPDATE", merchant_id
    )


def _account(row: asyncpg.Record) -> ReceivingAccount:
    networks = row.get("accepted_networks")
    return ReceivingAccount(
        account_id=AccountId(row["account_id"]),
        tenant=Tenant(MerchantId(row["merchant_id"]), Mode(row["mode"])),
        name=row["name"],
        address=Address(row["address"]),
        version=VersionId(row["version"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        removed_at=row["removed_at"],
        accepted_networks=frozenset(networks) if networks is not None else None,
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
SELECT a.*, p.networks AS accepted_networks FROM receiving_accounts a
LEFT JOIN preferences p USING (merchant_id, mode)
WHERE a.account_id = $1 AND a.merchant_id = $2 AND a.mode = $3
"""
_LOCK_ACCOUNT = """
SELECT * FROM receiving_accounts WHERE account_id = $1 AND merchant_id = $2 AND mode = $3
FOR UPDATE
"""


async def find_account(
    tx: Tx, tenant: Tenant, account_id: AccountId, *, lock: bool = False
) -> ReceivingAccount | None:
    values = account_id, tenant.merchant_id, tenant.mode
    if lock:
        row = await tx.fetchrow(_LOCK_ACCOUNT, *values)
    else:
        row = await tx.look_up(_FIND_ACCOUNT, *values)
    return _account(row) if row else None


async def owners_of(tx: Tx, address: Address, mode: Mode) -> list[MerchantId]:
    """Whose receiving accounts, removed ones too, have that address."""
    rows = await tx.fetch(
        "SELECT DISTINCT merchant_id FROM receiving_accounts WHERE address = $1 AND mode = $2"
        " ORDER BY merchant_id",
        address,
        mode,
    )
    return [MerchantId(row["merchant_id"]) for row in rows]


async def list_archived(tx: Tx, tenant: Tenant, limit: int) -> list[ReceivingAccount]:
    rows = await tx.fetch(
        "SELECT * FROM (SELECT DISTINCT ON (address) * FROM receiving_accounts a"
        " WHERE merchant_id = $1 AND mode = $2 AND removed_at IS NOT NULL AND NOT EXISTS ("
        "SELECT FROM receiving_accounts b WHERE b.merchant_id = $1 AND b.mode = $2"
        " AND b.address = a.address AND b.removed_at IS NULL)"
        " ORDER BY address, removed_at DESC) latest ORDER BY removed_at DESC LIMIT $3",
        tenant.merchant_id,
        tenant.mode,
        limit,
    )
    return [_account(row) for row in rows]


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


async def has_had_account(tx: Tx, tenant: Tenant) -> bool:
    """Removed ones count too."""
    found: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT 1 FROM receiving_accounts WHERE merchant_id = $1 AND mode = $2)",
        tenant.merchant_id,
        tenant.mode,
    )
    return found


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
        limits=KeyLimits(
            scopes=None if row["scopes"] is None else frozenset(row["scopes"]),
            expires_at=row["expires_at"],
            addresses=tuple(ip_network(text) for text in row["addresses"]),
        ),
    )


async def insert_key(tx: Tx, key: ApiKey, key_hash: bytes) -> None:
    await tx.execute(
        "INSERT INTO api_keys (key_id, merchant_id, mode, access, name, key_hash, hint, created_at,"
        " scopes, expires_at, addresses) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        key.key_id,
        key.tenant.merchant_id,
        key.tenant.mode,
        key.access,
        key.name,
        key_hash,
        key.hint,
        key.created_at,
        None if key.limits.scopes is None else sorted(key.limits.scopes),
        key.limits.expires_at,
        [str(network) for network in key.limits.addresses],
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


async def write_key_uses(tx: Tx, uses: Mapping[ApiKeyId, str]) -> None:
    """Those of other processes may be newer; all take the same order, so that none waits for
    another that waits for it."""
    names = sorted(uses)
    await tx.execute(
        "INSERT INTO api_key_uses (key_id, used_at, address)"
        " SELECT key_id, $2, used.address FROM unnest($1::text[], $3::text[])"
        " AS used (key_id, address) JOIN api_keys USING (key_id) ORDER BY key_id"
        " ON CONFLICT (key_id) DO UPDATE SET used_at = $2, address = EXCLUDED.address"
        " WHERE api_key_uses.used_at < $2",
        names,
        tx.now,
        [uses[name] for name in names],
    )


async def key_uses(tx: Tx, tenant: Tenant) -> dict[ApiKeyId, KeyUse]:
    rows = await tx.fetch(
        "SELECT u.* FROM api_key_uses u JOIN api_keys k USING (key_id)"
        " WHERE k.merchant_id = $1 AND k.mode = $2",
        tenant.merchant_id,
        tenant.mode,
    )
    return {ApiKeyId(row["key_id"]): KeyUse(row["used_at"], row["address"]) for row in rows}
