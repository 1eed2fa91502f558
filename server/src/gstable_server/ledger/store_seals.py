"""SQL of the seals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gstable_server.ledger.seals import BEFORE_ALL, EntryRow, Seal, TransferRow
from gstable_server.plumbing.db import Tx

# One step in an index for each transfer, so that the whole book is never read for its last part.
_UNSEALED = """
SELECT t.* FROM (
    SELECT transfer_id, number FROM ledger_unsealed ORDER BY number LIMIT $1
) unsealed CROSS JOIN LATERAL (
    SELECT * FROM ledger_transfers WHERE transfer_id = unsealed.transfer_id OFFSET 0
) t ORDER BY unsealed.number
"""

_SEALED = """
SELECT t.*, seal.seal_number, seal.hash, seal.transfer_id AS sealed
FROM (
    SELECT * FROM ledger_seals WHERE seal_number > $1 ORDER BY seal_number LIMIT $2
) seal LEFT JOIN ledger_transfers t ON t.transfer_id = seal.transfer_id
ORDER BY seal.seal_number
"""

_ENTRIES = """
SELECT e.transfer_id, e.entry_number, e.account, e.token_id, e.amount::text AS amount
FROM unnest($1::text[]) AS asked (transfer_id) CROSS JOIN LATERAL (
    SELECT * FROM ledger_entries WHERE transfer_id = asked.transfer_id OFFSET 0
) e ORDER BY e.entry_number
"""

# Neither sealed nor waiting for it: whoever wrote it went around ``store.insert``.
_STRANGER = """
SELECT transfer_id, cause FROM ledger_transfers t
WHERE NOT EXISTS (SELECT 1 FROM ledger_seals WHERE transfer_id = t.transfer_id)
    AND NOT EXISTS (SELECT 1 FROM ledger_unsealed WHERE transfer_id = t.transfer_id)
ORDER BY posted_at, transfer_id LIMIT 1
"""

_ORPHAN = """
SELECT entry_number, transfer_id FROM ledger_entries e
WHERE NOT EXISTS (SELECT 1 FROM ledger_transfers WHERE transfer_id = e.transfer_id)
ORDER BY entry_number LIMIT 1
"""

_WAITING = """
SELECT transfer_id, cause, posted_at, count(*) OVER () AS waiting
FROM ledger_unsealed LEFT JOIN ledger_transfers USING (transfer_id)
ORDER BY (cause IS NULL) DESC, posted_at, number LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A seal as it is stored; ``transfer`` is None where the book has none of that name."""

    seal: Seal
    transfer_id: str
    transfer: TransferRow | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The first of ``count`` transfers without a seal; ``cause`` and ``posted_at`` are None where
    the book has lost it."""

    count: int
    transfer_id: str
    cause: str | None
    posted_at: datetime | None


async def lock(tx: Tx) -> bool:
    """Become the only one who seals until the transaction ends; False if there is one."""
    return bool(
        await tx.fetchval("SELECT pg_try_advisory_xact_lock(hashtextextended('ledger:seals', 0))")
    )


async def newest(tx: Tx) -> Seal:
    """The last seal of the chain."""
    row = await tx.fetchrow(
        "SELECT seal_number, hash FROM ledger_seals ORDER BY seal_number DESC LIMIT 1"
    )
    return Seal(*row) if row else BEFORE_ALL


async def find(tx: Tx, number: int) -> Seal | None:
    """The seal of that number."""
    row = await tx.fetchrow(
        "SELECT seal_number, hash FROM ledger_seals WHERE seal_number = $1", number
    )
    return Seal(*row) if row else None


async def unsealed(tx: Tx, limit: int) -> list[TransferRow]:
    """The first transfers without a seal, in the order that they were written down for it."""
    rows = await tx.fetch(_UNSEALED, limit)
    entries = await _entries(tx, [row["transfer_id"] for row in rows])
    return [_transfer(row, entries) for row in rows]


async def insert(tx: Tx, seals: Sequence[tuple[Seal, TransferRow]]) -> None:
    """Append ``seals``, and strike their transfers off the list of those without."""
    names = [transfer.transfer_id for _, transfer in seals]
    await tx.execute(
        "INSERT INTO ledger_seals (seal_number, transfer_id, hash)"
        " SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[])",
        [seal.number for seal, _ in seals],
        names,
        [seal.hash for seal, _ in seals],
    )
    await tx.execute("DELETE FROM ledger_unsealed WHERE transfer_id = ANY($1)", names)


async def sealed(tx: Tx, after: int, limit: int) -> list[SealedRow]:
    """The next seals behind number ``after``, each with what it vouches for."""
    rows = await tx.fetch(_SEALED, after, limit)
    entries = await _entries(tx, [row["sealed"] for row in rows])
    return [
        SealedRow(
            seal=Seal(row["seal_number"], row["hash"]),
            transfer_id=row["sealed"],
            transfer=_transfer(row, entries) if row["transfer_id"] is not None else None,
        )
        for row in rows
    ]


async def waiting(tx: Tx) -> Waiting | None:
    """Which transfer waits longest for its seal, and how many do; None if none does."""
    row = await tx.fetchrow(_WAITING)
    if row is None:
        return None
    return Waiting(row["waiting"], row["transfer_id"], row["cause"], row["posted_at"])


async def stranger(tx: Tx) -> tuple[str, str] | None:
    """Identifier and cause of the first transfer that has no seal and will not get one."""
    row = await tx.fetchrow(_STRANGER)
    return (row["transfer_id"], row["cause"]) if row else None


async def orphan(tx: Tx) -> tuple[int, str] | None:
    """Number and transfer of the first entry whose transfer is not in the book."""
    row = await tx.fetchrow(_ORPHAN)
    return (row["entry_number"], row["transfer_id"]) if row else None


async def _entries(tx: Tx, names: Sequence[str]) -> Mapping[str, Sequence[EntryRow]]:
    """The entries of these transfers, in order. Read after the transfers, which were committed
    with theirs."""
    found: dict[str, list[EntryRow]] = defaultdict(list)
    for row in await tx.fetch(_ENTRIES, list(names)):
        found[row["transfer_id"]].append(
            EntryRow(row["entry_number"], row["account"], row["token_id"], int(row["amount"]))
        )
    return found


def _transfer(row: Any, entries: Mapping[str, Sequence[EntryRow]]) -> TransferRow:
    return TransferRow(
        transfer_id=row["transfer_id"],
        cause=row["cause"],
        kind=row["kind"],
        token_id=row["token_id"],
        merchant_id=row["merchant_id"],
        mode=row["mode"],
        session_id=row["session_id"],
        reverses=row["reverses"],
        posted_at=row["posted_at"],
        entries=tuple(entries.get(row["transfer_id"], ())),
    )
