"""Rows of merchants' preferences."""

from __future__ import annotations

from collections.abc import Collection

from gstable_server.accounts.preferences.model import Policies, Preferences
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx


async def find(tx: Tx, tenant: Tenant) -> Preferences | None:
    """None while nothing was decided."""
    row = await tx.fetchrow(
        "SELECT * FROM preferences WHERE merchant_id = $1 AND mode = $2",
        tenant.merchant_id,
        tenant.mode,
    )
    if row is None:
        return None
    networks = row["networks"]
    return Preferences(
        networks=None if networks is None else frozenset(networks),
        policies=Policies(
            late_seconds=row["late_seconds"],
            short=MicroUsd(row["short_micro_usd"]),
            keeps_surplus=row["keeps_surplus"],
        ),
        mails_receipts=row["mails_receipts"],
    )


async def lock(tx: Tx, tenant: Tenant) -> None:
    """Let nobody else change the merchant's until the transaction ends."""
    await tx.execute(
        "SELECT 1 FROM merchants WHERE merchant_id = $1 FOR NO KEY UPDATE", tenant.merchant_id
    )


async def save(tx: Tx, tenant: Tenant, wanted: Preferences) -> None:
    await tx.execute(
        "INSERT INTO preferences (merchant_id, mode, networks, late_seconds, short_micro_usd,"
        " keeps_surplus, mails_receipts, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (merchant_id, mode) DO UPDATE SET networks = $3, late_seconds = $4,"
        " short_micro_usd = $5, keeps_surplus = $6, mails_receipts = $7, updated_at = $8",
        tenant.merchant_id,
        tenant.mode,
        None if wanted.networks is None else sorted(wanted.networks),
        wanted.policies.late_seconds,
        wanted.policies.short,
        wanted.policies.keeps_surplus,
        wanted.mails_receipts,
        tx.now,
    )


async def without_receipts(tx: Tx, tenants: Collection[Tenant]) -> frozenset[Tenant]:
    """Which of these want no receipts to be sent."""
    rows = await tx.fetch(
        "SELECT merchant_id, mode FROM preferences WHERE NOT mails_receipts"
        " AND merchant_id = ANY($1)",
        [tenant.merchant_id for tenant in tenants],
    )
    off = {(row["merchant_id"], row["mode"]) for row in rows}
    return frozenset(one for one in tenants if (one.merchant_id, one.mode) in off)
