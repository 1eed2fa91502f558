"""Rows of wallets that wait to become receiving accounts."""

from __future__ import annotations

import asyncpg

from gstable_server.accounts.payouts.model import Outcome, PayoutChange
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import MerchantId, PayoutChangeId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Tx


def _change(row: asyncpg.Record) -> PayoutChange:
    return PayoutChange(
        change_id=PayoutChangeId(row["change_id"]),
        tenant=Tenant(MerchantId(row["merchant_id"]), Mode(row["mode"])),
        name=row["name"],
        address=Address(row["address"]),
        asked_by=row["asked_by"],
        asked_at=row["asked_at"],
        due_at=row["due_at"],
    )


async def insert(tx: Tx, change: PayoutChange) -> None:
    await tx.execute(
        "INSERT INTO payout_changes (change_id, merchant_id, mode, name, address, asked_by,"
        " asked_at, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        change.change_id,
        change.tenant.merchant_id,
        change.tenant.mode,
        change.name,
        change.address,
        change.asked_by,
        change.asked_at,
        change.due_at,
    )


async def waiting(tx: Tx, tenant: Tenant) -> list[PayoutChange]:
    """A merchant's, the one that is due first at the top."""
    rows = await tx.fetch(
        "SELECT * FROM payout_changes WHERE merchant_id = $1 AND mode = $2 AND ended_at IS NULL"
        " ORDER BY due_at, change_id",
        tenant.merchant_id,
        tenant.mode,
    )
    return [_change(row) for row in rows]


async def lock_waiting(tx: Tx, tenant: Tenant, change_id: PayoutChangeId) -> PayoutChange | None:
    row = await tx.fetchrow(
        "SELECT * FROM payout_changes WHERE change_id = $1 AND merchant_id = $2 AND mode = $3"
        " AND ended_at IS NULL FOR UPDATE",
        change_id,
        tenant.merchant_id,
        tenant.mode,
    )
    return _change(row) if row else None


async def lock_due(tx: Tx, limit: int) -> list[PayoutChange]:
    """Those whose time has come and that nobody else has in hand."""
    rows = await tx.fetch(
        "SELECT * FROM payout_changes WHERE ended_at IS NULL AND due_at <= $1"
        " ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        tx.now,
        limit,
    )
    return [_change(row) for row in rows]


async def end(tx: Tx, change: PayoutChange, outcome: Outcome) -> None:
    await tx.execute(
        "UPDATE payout_changes SET ended_at = $2, outcome = $3 WHERE change_id = $1",
        change.change_id,
        tx.now,
        outcome,
    )
