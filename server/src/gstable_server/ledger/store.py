"""SQL of the book."""

from __future__ import annotations

from gstable_server.kernel.ids import TransferId
from gstable_server.ledger.model import Transfer
from gstable_server.plumbing.db import Tx

_INSERT_TRANSFER = """
INSERT INTO ledger_transfers
    (transfer_id, cause, kind, token_id, merchant_id, mode, session_id, reverses, posted_at)
VALUES ($1, $2, $3, $4, $5, $6, $7,
    (SELECT transfer_id FROM ledger_transfers WHERE cause = $8), $9)
ON CONFLICT (cause) DO NOTHING
"""

_INSERT_ENTRIES = """
INSERT INTO ledger_entries (transfer_id, account, token_id, amount)
SELECT $1, account, $2, amount FROM unnest($3::text[], $4::numeric[]) AS leg (account, amount)
"""


async def insert(tx: Tx, transfer: Transfer) -> bool:
    """Write ``transfer``; False when its cause has one already."""
    transfer_id = tx.mint(TransferId)
    tenant = transfer.tenant
    done = await tx.execute(
        _INSERT_TRANSFER,
        transfer_id,
        transfer.cause,
        transfer.kind,
        transfer.token_id,
        tenant.merchant_id if tenant else None,
        tenant.mode if tenant else None,
        transfer.session_id,
        transfer.reverses,
        tx.now,
    )
    if done == "INSERT 0 0":
        return False
    await tx.execute(
        _INSERT_ENTRIES,
        transfer_id,
        transfer.token_id,
        [entry.account for entry in transfer.entries],
        [entry.amount for entry in transfer.entries],
    )
    return True


async def balances(tx: Tx) -> dict[tuple[str, str], int]:
    """Every account's balance in atomic units, by (token id, account)."""
    rows = await tx.fetch(
        "SELECT token_id, account, sum(amount) AS balance FROM ledger_entries GROUP BY 1, 2"
    )
    return {(row["token_id"], row["account"]): int(row["balance"]) for row in rows}
