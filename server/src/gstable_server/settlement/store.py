"""SQL of crossings and of the logs that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import asyncpg

from gstable_server.chain.facts import (
    DeliveryLog,
    EscrowLog,
    FactWhat,
    PaymentLog,
    log_from_json,
    log_to_json,
)
from gstable_server.plumbing.db import Tx
from gstable_server.settlement.model import Case, Leg, Settlement, Stage


async def lock_session(tx: Tx, session_key: bytes) -> None:
    """Hold everything about that session until the transaction ends, also what is not there yet:
    facts of two networks are heard at the same time."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('settlement:' || $1, 0))", session_key.hex()
    )


async def load(tx: Tx, session_key: bytes) -> Case:
    """All that is known of that session's crossings, its rows held until the transaction ends."""
    rows = await tx.fetch(
        "SELECT * FROM settlements WHERE session_key = $1 ORDER BY sequence FOR UPDATE", session_key
    )
    legs = await tx.fetch(
        "SELECT * FROM settlement_legs WHERE session_key = $1 ORDER BY name", session_key
    )
    return Case(tuple(_settlement(row) for row in rows), tuple(_leg(row) for row in legs))


async def legs_of(tx: Tx, names: Sequence[str]) -> tuple[Leg, ...]:
    """The legs that belong to those crossings."""
    rows = await tx.fetch(
        "SELECT * FROM settlement_legs WHERE payment = ANY($1) ORDER BY name", list(names)
    )
    return tuple(_leg(row) for row in rows)


def _settlement(row: asyncpg.Record) -> Settlement:
    payment = log_from_json(row["log"])
    assert isinstance(payment, PaymentLog)
    return Settlement(
        payment=payment,
        source=FactWhat(row["source"]),
        progress_at=row["progress_at"],
        times_mined=row["times_mined"],
        stalled_at=row["stalled_at"],
        done=row["done"],
        attempt=row["attempt"],
        waits=row["waits"],
        cause=row["cause"],
        reason=row["reason"],
    )


def _leg(row: asyncpg.Record) -> Leg:
    log = log_from_json(row["log"])
    assert isinstance(log, (DeliveryLog, EscrowLog))
    return Leg(log, FactWhat(row["state"]), row["times_mined"], row["payment"])


_PUT = """
INSERT INTO settlements (payment, network, tx_hash, log_position, session_key, rail, log, source,
    times_mined, stage, progress_at, stalled_at, done, due_at, waits, attempt, cause, reason,
    started_at, moved_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $19)
ON CONFLICT (payment) DO UPDATE SET log = $7, source = $8, times_mined = $9, stage = $10,
    progress_at = $11, stalled_at = $12, done = $13, due_at = $14, waits = $15, attempt = $16,
    cause = $17, reason = $18, moved_at = $19, heard = settlements.heard + 1
"""


async def put(tx: Tx, one: Settlement, stage: Stage, due_at: datetime | None) -> None:
    """Write what a fact made of a crossing. A worker that asks its rail just now will notice."""
    payment = one.payment
    await tx.execute(
        _PUT,
        one.name,
        payment.network,
        payment.tx_hash,
        payment.log_position,
        payment.session_key,
        payment.rail,
        log_to_json(payment),
        one.source,
        one.times_mined,
        stage,
        one.progress_at,
        one.stalled_at,
        one.done,
        due_at,
        one.waits,
        one.attempt,
        one.cause,
        one.reason,
        tx.now,
    )


async def put_leg(tx: Tx, leg: Leg) -> None:
    await tx.execute(
        "INSERT INTO settlement_legs (name, session_key, log, state, times_mined, payment, "
        "moved_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO UPDATE SET "
        "log = $3, state = $4, times_mined = $5, payment = $6, moved_at = $7",
        leg.log.object_id,
        leg.log.session_key,
        log_to_json(leg.log),
        leg.state,
        leg.times_mined,
        leg.payment,
        tx.now,
    )


@dataclass(frozen=True, slots=True)
class Lease:
    """A crossing that one worker may ask the rail about until ``until``; ``heard`` as it was."""

    settlement: Settlement
    until: datetime
    heard: int


_TAKE = """
UPDATE settlements SET leased_until = $2 WHERE payment IN (
    SELECT payment FROM settlements
    WHERE due_at <= $1 AND (leased_until IS NULL OR leased_until <= $1)
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING *
"""


async def is_any_due(tx: Tx) -> bool:
    """Whether ``take_due`` would find something now."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT FROM settlements "
            "WHERE due_at <= $1 AND (leased_until IS NULL OR leased_until <= $1))",
            tx.now,
        )
    )


async def take_due(tx: Tx, until: datetime, limit: int) -> list[Lease]:
    """Crossings whose rail is to be asked, leased until then; no other worker gets them before."""
    rows = await tx.fetch(_TAKE, tx.now, until, limit)
    return [Lease(_settlement(row), until, row["heard"]) for row in rows]


async def renew(tx: Tx, lease: Lease, until: datetime) -> Lease | None:
    """Prolong the lease; None when it is somebody else's by now."""
    done = await tx.execute(
        "UPDATE settlements SET leased_until = $3 WHERE payment = $1 AND leased_until = $2",
        lease.settlement.name,
        lease.until,
        until,
    )
    return replace(lease, until=until) if done == "UPDATE 1" else None


async def still_leased(tx: Tx, lease: Lease) -> bool:
    """Hold the row, and say whether it is leased to the holder of ``lease`` still."""
    until = await tx.fetchval(
        "SELECT leased_until FROM settlements WHERE payment = $1 FOR UPDATE", lease.settlement.name
    )
    return bool(until == lease.until)


async def give_back(tx: Tx, lease: Lease) -> bool:
    """End the lease. True when no fact was heard meanwhile; else the rail is asked again at once,
    as ``put`` said."""
    heard = await tx.fetchval(
        "UPDATE settlements SET leased_until = NULL WHERE payment = $1 RETURNING heard",
        lease.settlement.name,
    )
    return bool(heard == lease.heard)


async def lock_by_cause(tx: Tx, cause: str) -> list[Settlement]:
    """The crossings whose last transaction has that name at the executor, held. More than one
    where a transaction serves several, as an approval does."""
    rows = await tx.fetch(
        "SELECT * FROM settlements WHERE cause = $1 ORDER BY sequence FOR UPDATE", cause
    )
    return [_settlement(row) for row in rows]


async def lock_slow(tx: Tx, since: datetime, limit: int) -> list[Settlement]:
    """Crossings with a final payment that came no closer since then and are not told to hang."""
    rows = await tx.fetch(
        "SELECT * FROM settlements WHERE stage = 'crossing' AND source = 'final' "
        "AND stalled_at IS NULL AND progress_at <= $1 ORDER BY progress_at LIMIT $2 "
        "FOR UPDATE SKIP LOCKED",
        since,
        limit,
    )
    return [_settlement(row) for row in rows]


async def lock_unpaid(tx: Tx, since: datetime, limit: int) -> list[Settlement]:
    """Crossings that arrived for good, whose rail has had more to do since then: whoever brought
    the money has not got the payer's. Without those that are known to hang."""
    rows = await tx.fetch(
        "SELECT * FROM settlements WHERE due_at IS NOT NULL AND stage = 'completed' "
        "AND stalled_at IS NULL AND progress_at <= $1 ORDER BY due_at LIMIT $2 "
        "FOR UPDATE SKIP LOCKED",
        since,
        limit,
    )
    return [_settlement(row) for row in rows]


async def list_open(tx: Tx, limit: int) -> list[tuple[Settlement, Stage]]:
    """Crossings of which the rail still has something to do, the one that moved least first."""
    rows = await tx.fetch(
        "SELECT * FROM settlements WHERE due_at IS NOT NULL ORDER BY progress_at LIMIT $1", limit
    )
    return [(_settlement(row), Stage(row["stage"])) for row in rows]


async def count_open(tx: Tx) -> tuple[int, int]:
    """How many crossings are not at their end, and how many of them hang."""
    row = await tx.fetchrow(
        "SELECT count(*) AS open, count(stalled_at) AS stalled"
        " FROM settlements WHERE due_at IS NOT NULL"
    )
    assert row is not None, "aggregates always answer"
    return row["open"], row["stalled"]
