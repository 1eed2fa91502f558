"""SQL of what reconciliation keeps: what was read of final blocks, and what came of each
comparison."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

import msgspec

from gstable_server.plumbing.db import Tx
from gstable_server.reconciliation import model
from gstable_server.reconciliation.model import Outcome, RawLog
from gstable_server.reconciliation.store_work import raw_log

_KEEP = """
INSERT INTO reconciliation_logs
    (network, block_number, log_index, tx_hash, address, topics, data)
SELECT network, block_number, log_index, tx_hash, address, topics, data FROM work_logs
WHERE network = $1 AND is_new AND block_number <= $2
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """The last stretch of final blocks that was read of a network."""

    last_block: int
    last_hash: bytes


async def last_read(tx: Tx, network: str) -> Kept | None:
    """Where reading goes on; None before the first time."""
    row = await tx.fetchrow(
        "SELECT last_block, last_hash FROM reconciliation_reads WHERE network = $1"
        " ORDER BY first_block DESC LIMIT 1",
        network,
    )
    return Kept(*row) if row else None


async def keep(tx: Tx, network: str, first: int, last: int, last_hash: bytes) -> None:
    """Keep what was read just now of blocks that are final: all logs of our contracts in the blocks
    ``first`` to ``last``, and proofs of refunds. Nothing if another process has kept that
    stretch."""
    done = await tx.execute(
        "INSERT INTO reconciliation_reads (network, first_block, last_block, last_hash, read_at)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        network,
        first,
        last,
        last_hash,
        tx.now,
    )
    if done != "INSERT 0 0":
        await tx.execute(_KEEP, network, last)


_KEPT = """
SELECT network, block_number, log_index, tx_hash, address, topics, data FROM reconciliation_logs
WHERE network = $1 AND block_number <= $2 AND (block_number, log_index) > ($3, $4)
ORDER BY block_number, log_index LIMIT $5
"""


async def kept_logs(tx: Tx, network: str, last: int) -> AsyncIterator[list[RawLog]]:
    """All logs that were kept of blocks up to ``last``, in the order of the chain, in parts."""
    place = -1, -1
    while rows := await tx.fetch(_KEPT, network, last, *place, model.ROWS_AT_ONCE):
        yield [raw_log(row) for row in rows]
        place = rows[-1]["block_number"], rows[-1]["log_index"]


async def add_outcome(tx: Tx, outcome: Outcome) -> None:
    """Record what came of a comparison."""
    body = msgspec.to_builtins(asdict(outcome))
    # Amounts have up to 256 bits: JSON's readers round numbers.
    for one in body["differences"]:
        one |= {"expected": str(one["expected"]), "booked": str(one["booked"])}
    await tx.execute(
        "INSERT INTO reconciliations (reconciled_at, differences, body) VALUES ($1, $2, $3)",
        outcome.at,
        outcome.count,
        body,
    )


async def last_outcome(tx: Tx) -> Outcome | None:
    """The newest comparison."""
    body = await tx.fetchval("SELECT body FROM reconciliations ORDER BY run_number DESC LIMIT 1")
    return msgspec.convert(body, Outcome, strict=False) if body else None
