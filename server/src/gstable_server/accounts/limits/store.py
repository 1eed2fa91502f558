"""Rows of limits, and of those that wait."""

from __future__ import annotations

from decimal import Decimal

import asyncpg

from gstable_server.accounts.limits.model import Limit, LimitChange, Outcome
from gstable_server.kernel.ids import LimitChangeId, MemberId, MerchantId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Tx


def _limit(value: Decimal | None) -> Limit:
    return None if value is None else MicroUsd(int(value))


def _change(row: asyncpg.Record) -> LimitChange:
    return LimitChange(
        change_id=LimitChangeId(row["change_id"]),
        tenant=Tenant(MerchantId(row["merchant_id"]), Mode(row["mode"])),
        amount=_limit(row["amount"]),
        asked_by=MemberId(row["asked_by"]),
        asked_at=row["asked_at"],
        due_at=row["due_at"],
    )


async def find(tx: Tx, tenant: Tenant) -> Limit:
    found = await tx.fetchval(
        "SELECT amount FROM refund_limits WHERE merchant_id = $1 AND mode = $2",
        tenant.merchant_id,
        tenant.mode,
    )
    return _limit(found)


async def write(tx: Tx, tenant: Tenant, amount: Limit) -> None:
    if amount is None:
        await tx.execute(
            "DELETE FROM refund_limits WHERE merchant_id = $1 AND mode = $2",
            tenant.merchant_id,
            tenant.mode,
        )
        return
    await tx.execute(
        "INSERT INTO refund_limits (merchant_id, mode, amount, changed_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (merchant_id, mode) DO UPDATE SET amount = $3, changed_at = $4",
        tenant.merchant_id,
        tenant.mode,
        amount,
        tx.now,
    )


async def insert(tx: Tx, change: LimitChange) -> None:
    await tx.execute(
        "INSERT INTO refund_limit_changes (change_id, merchant_id, mode, amount, asked_by,"
        " asked_at, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        change.change_id,
        change.tenant.merchant_id,
        change.tenant.mode,
        change.amount,
        change.asked_by,
        change.asked_at,
        change.due_at,
    )


async def waiting(tx: Tx, tenant: Tenant, *, lock: bool = False) -> LimitChange | None:
    sql = (
        "SELECT * FROM refund_limit_changes WHERE merchant_id = $1 AND mode = $2"
        " AND ended_at IS NULL"
    )
    end = " FOR UPDATE" if lock else ""
    row = await tx.fetchrow(f"{sql}{end}", tenant.merchant_id, tenant.mode)
    return _change(row) if row else None


async def due(tx: Tx, limit: int) -> list[Tenant]:
    """Whose limit waits and may count now."""
    rows = await tx.fetch(
        "SELECT merchant_id, mode FROM refund_limit_changes WHERE ended_at IS NULL AND due_at <= $1"
        " ORDER BY due_at LIMIT $2",
        tx.now,
        limit,
    )
    return [Tenant(MerchantId(row["merchant_id"]), Mode(row["mode"])) for row in rows]


async def end(tx: Tx, change: LimitChange, outcome: Outcome) -> None:
    await tx.execute(
        "UPDATE refund_limit_changes SET ended_at = $2, outcome = $3 WHERE change_id = $1",
        change.change_id,
        tx.now,
        outcome,
    )
