"""SQL of the book."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import asyncpg

from gstable_server.kernel.ids import TransferId, mint_all
from gstable_server.ledger.model import Standing, Transfer
from gstable_server.plumbing.db import Tx

STANDING_AT_ONCE = 250

# What is new is also noted for the seal, which a worker sets after the commit (``sealing``).
_INSERT_TRANSFERS = """
WITH new AS (
    INSERT INTO ledger_transfers
        (transfer_id, cause, kind, token_id, merchant_id, mode, session_id, reverses, posted_at)
    SELECT leg.transfer_id, leg.cause, leg.kind, leg.token_id, leg.merchant_id, leg.mode,
        leg.session_id,
        -- Nobody's, nearly always: joined, it would be looked for in the whole book.
        (SELECT undone.transfer_id FROM ledger_transfers undone WHERE undone.cause = leg.reverses),
        $9
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::text[]) WITH ORDINALITY
        AS leg (transfer_id, cause, kind, token_id, merchant_id, mode, session_id, reverses, turn)
    ORDER BY leg.turn
    ON CONFLICT (cause) DO NOTHING
    RETURNING transfer_id, cause
), unsealed AS (
    INSERT INTO ledger_unsealed (transfer_id) SELECT transfer_id FROM new
)
SELECT transfer_id, cause FROM new
"""

_INSERT_ENTRIES = """
INSERT INTO ledger_entries (transfer_id, account, token_id, amount)
SELECT transfer_id, account, token_id, amount
FROM unnest($1::text[], $2::text[], $3::text[], $4::numeric[]) WITH ORDINALITY
    AS leg (transfer_id, account, token_id, amount, turn)
ORDER BY turn
"""


async def insert(tx: Tx, transfers: Sequence[Transfer]) -> dict[str, TransferId]:
    """Write those of ``transfers`` whose cause has none yet, without their entries; the causes
    are all different. Returns the new ones' identifiers by cause."""
    tenants = [transfer.tenant for transfer in transfers]
    rows = await tx.fetch(
        _INSERT_TRANSFERS,
        mint_all(tx.ids, TransferId, len(transfers)),
        [transfer.cause for transfer in transfers],
        [transfer.kind.value for transfer in transfers],
        [transfer.token_id for transfer in transfers],
        [tenant.merchant_id if tenant else None for tenant in tenants],
        [tenant.mode.value if tenant else None for tenant in tenants],
        [transfer.session_id for transfer in transfers],
        [transfer.reverses for transfer in transfers],
        tx.now,
    )
    return {row["cause"]: TransferId(row["transfer_id"]) for row in rows}


async def insert_entries(tx: Tx, transfers: Sequence[tuple[TransferId, Transfer]]) -> None:
    """Write the entries of ``transfers``, in their order."""
    legs = [(name, transfer, entry) for name, transfer in transfers for entry in transfer.entries]
    await tx.execute(
        _INSERT_ENTRIES,
        [name for name, _, _ in legs],
        [entry.account for _, _, entry in legs],
        [transfer.token_id for _, transfer, _ in legs],
        [entry.amount for _, _, entry in legs],
    )


async def balances(tx: Tx) -> dict[tuple[str, str], int]:
    """Every account's balance in atomic units, by (token id, account)."""
    rows = await tx.fetch(
        "SELECT token_id, account, sum(amount) AS balance FROM ledger_entries GROUP BY 1, 2"
    )
    return {(row["token_id"], row["account"]): int(row["balance"]) for row in rows}


# Names of logs in causes: ``network:transaction hash:…``, with or without 0x.
_STANDING = """
SELECT session_id, about, token_id, account, by_hand, sum(amount) AS amount
FROM (
    SELECT t.session_id, e.token_id, e.account, e.amount,
        CASE WHEN t.session_id IS NULL
            THEN substring(t.cause FROM '[^:]+:(?:0x)?[0-9a-f]{64}') END AS about,
        starts_with(t.cause, 'accepted:') AS by_hand
    FROM ledger_entries e JOIN ledger_transfers t USING (transfer_id)
) entries
GROUP BY 1, 2, 3, 4, 5 HAVING sum(amount) <> 0
"""


async def standing(tx: Tx) -> AsyncIterator[list[Standing]]:
    """What the book adds up to, by session or else by transaction, ``STANDING_AT_ONCE`` sums at a
    time; call it in a transaction."""
    # In parts: a large book fits no memory, and an answer that is not read to its end for seconds
    # looks like that of a process that stands still, whose connection the server ends
    # (``plumbing.stuck``).
    await tx.execute(f"DECLARE standing NO SCROLL CURSOR FOR {_STANDING}")
    while rows := await tx.fetch(f"FETCH {STANDING_AT_ONCE} FROM standing"):
        yield [_standing(row) for row in rows]
    await tx.execute("CLOSE standing")


def _standing(row: asyncpg.Record) -> Standing:
    return Standing(
        session_id=row["session_id"],
        about=row["about"],
        token_id=row["token_id"],
        account=row["account"],
        by_hand=row["by_hand"],
        amount=int(row["amount"]),
    )
