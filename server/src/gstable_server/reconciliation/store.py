"""SQL of reconciliation: what was read of final blocks, and what came of each comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import asyncpg
import msgspec

from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Tx
from gstable_server.reconciliation.model import Outcome, RawLog

_INSERT_LOGS = """
INSERT INTO reconciliation_logs
    (network, block_number, log_index, tx_hash, address, topics, data)
SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[],
    $7::bytea[])
ON CONFLICT DO NOTHING
"""

_WORD = 32
LOGS_AT_ONCE = 5000
SNAPSHOT_WITHIN = "15min"


@dataclass(frozen=True, slots=True)
class Kept:
    """The last stretch of final blocks that was read of a network."""

    last_block: int
    last_hash: bytes


async def begin_snapshot(tx: Tx) -> None:
    """From here on, every query of the transaction sees the same instant; call it first.

    It may take as long as a large book needs: nobody waits for it, because it locks nothing.
    """
    await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
        await tx.execute(f"SET LOCAL {limit} = '{SNAPSHOT_WITHIN}'")


async def last_read(tx: Tx, network: str) -> Kept | None:
    """Where reading goes on; None before the first time."""
    row = await tx.fetchrow(
        "SELECT last_block, last_hash FROM reconciliation_reads WHERE network = $1"
        " ORDER BY first_block DESC LIMIT 1",
        network,
    )
    return Kept(*row) if row else None


async def keep(
    tx: Tx, network: str, first: int, last: int, last_hash: bytes, logs: Sequence[RawLog]
) -> None:
    """Keep ``logs``, which are final: all of our contracts' in the blocks ``first`` to ``last``,
    and proofs of refunds. Nothing if another process has kept that stretch."""
    done = await tx.execute(
        "INSERT INTO reconciliation_reads (network, first_block, last_block, last_hash, read_at)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        network,
        first,
        last,
        last_hash,
        tx.now,
    )
    if done == "INSERT 0 0":
        return
    await tx.execute(
        _INSERT_LOGS,
        network,
        [log.block_number for log in logs],
        [log.log_index for log in logs],
        [log.tx_hash for log in logs],
        [log.address for log in logs],
        [b"".join(log.topics) for log in logs],
        [log.data for log in logs],
    )


_KEPT = """
SELECT network, block_number, log_index, tx_hash, address, topics, data FROM reconciliation_logs
WHERE network = $1 AND block_number <= $2 AND (block_number, log_index) > ($3, $4)
ORDER BY block_number, log_index LIMIT $5
"""


async def kept_logs(tx: Tx, network: str, last: int) -> list[RawLog]:
    """All logs that were kept of blocks up to ``last``, in the order of the chain."""
    # In parts, as the book: see ``ledger.store.standing``.
    found: list[RawLog] = []
    block_number, log_index = -1, -1
    while rows := await tx.fetch(_KEPT, network, last, block_number, log_index, LOGS_AT_ONCE):
        found += [_raw_log(row) for row in rows]
        block_number, log_index = found[-1].block_number, found[-1].log_index
    return found


def _raw_log(row: asyncpg.Record) -> RawLog:
    topics = row["topics"]
    return RawLog(
        network=row["network"],
        block_number=row["block_number"],
        log_index=row["log_index"],
        tx_hash=row["tx_hash"],
        address=Address(row["address"]),
        topics=tuple(topics[at : at + _WORD] for at in range(0, len(topics), _WORD)),
        data=row["data"],
    )


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
