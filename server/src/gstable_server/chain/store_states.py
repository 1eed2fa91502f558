"""How each network is read: a row that the indexer writes for people and alarms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gstable_server.plumbing.db import Tx


@dataclass(frozen=True, slots=True)
class NetworkState:
    """``frontier``: the newest block that was read, -1 before the first; ``head``: the newest that
    a provider named. ``halted_reason`` says why the network stands still until somebody acts, or
    the provider that was at fault is right again; None while it is read."""

    network: str
    frontier: int
    head: int
    halted_reason: str | None
    updated_at: datetime


async def put_state(
    tx: Tx, network: str, frontier: int, head: int, halted_reason: str | None
) -> None:
    """Record how ``network`` is read now."""
    await tx.execute(
        "INSERT INTO chain_states (network, frontier, head, halted_reason, updated_at)"
        " VALUES ($1, $2::bigint, greatest($2::bigint, $3::bigint), $4, $5)"
        " ON CONFLICT (network) DO UPDATE SET"
        " frontier = $2, halted_reason = $4, updated_at = $5, head = greatest($2, $3::bigint,"
        " CASE WHEN $4 IS NULL THEN 0 ELSE chain_states.head END)",
        network,
        frontier,
        head,
        halted_reason,
        tx.now,
    )


async def states(tx: Tx) -> list[NetworkState]:
    """Every network that was ever read, by name."""
    rows = await tx.fetch(
        "SELECT network, frontier, head, halted_reason, updated_at FROM chain_states"
        " ORDER BY network"
    )
    return [NetworkState(**row) for row in rows]
