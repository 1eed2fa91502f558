"""SQL of the book's days."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from gstable_server.kernel.tenant import Tenant
from gstable_server.ledger.days import DayKey
from gstable_server.plumbing.db import Tx

_ADD = """
INSERT INTO ledger_days (merchant_id, mode, day, token_id, account, kind, amount, entries)
SELECT * FROM unnest($1::text[], $2::text[], $3::date[], $4::text[], $5::text[], $6::text[],
    $7::numeric[], $8::bigint[])
ON CONFLICT (merchant_id, mode, day, token_id, account, kind) DO UPDATE
SET amount = ledger_days.amount + excluded.amount, entries = ledger_days.entries + excluded.entries
"""

# One statement, which sees one state of the book: what is sealed, and what waits for it.
_TOTALS = """
SELECT {} AS day, token_id, account, kind, sum(amount) AS amount, sum(entries) AS entries FROM (
    SELECT day, token_id, account, kind, amount, entries FROM ledger_days
    WHERE merchant_id = $1 AND mode = $2 AND day BETWEEN $3 AND $4
    UNION ALL
    SELECT (t.posted_at AT TIME ZONE 'UTC')::date, e.token_id, e.account, t.kind, e.amount, 1
    FROM ledger_unsealed u
    CROSS JOIN LATERAL (
        SELECT * FROM ledger_transfers WHERE transfer_id = u.transfer_id OFFSET 0) t
    CROSS JOIN LATERAL (
        SELECT * FROM ledger_entries WHERE transfer_id = u.transfer_id OFFSET 0) e
    WHERE t.merchant_id = $1 AND t.mode = $2
        AND (t.posted_at AT TIME ZONE 'UTC')::date BETWEEN $3 AND $4
) parts
WHERE account = ANY($5)
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""


async def add(tx: Tx, sums: Mapping[DayKey, tuple[int, int]]) -> None:
    """Add to the days, for transfers whose seals are set in the same transaction."""
    if not sums:
        return
    columns: list[list[Any]] = [list(column) for column in zip(*sums, strict=True)]
    amounts = [amount for amount, _ in sums.values()]
    entries = [number for _, number in sums.values()]
    await tx.execute(_ADD, *columns, amounts, entries)


async def totals(
    tx: Tx, tenant: Tenant, since: date, until: date, accounts: list[str], *, by_day: bool = True
) -> list[Any]:
    """The sums of those accounts by day, token id, account and kind, both days included; or all
    days in one, which is the last of them."""
    statement = _TOTALS.format("day" if by_day else "$4::date")
    return await tx.fetch(statement, tenant.merchant_id, tenant.mode, since, until, accounts)
