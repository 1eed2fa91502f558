"""SQL of deposits. Everything but the time of the next look is append only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from gstable_server.chain.deposits import DepositTerms
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.deposits.model import Deposit, Place, Recovery, Sweep


async def insert(tx: Tx, deposit: Deposit, networks: Sequence[str]) -> None:
    """Keep a deposit, to be looked at on these networks from now on."""
    terms = deposit.terms
    await tx.execute(
        "INSERT INTO deposits (session_id, collector, address, session_key, merchant, "
        "settlement_chain_id, settlement_token, fee_receiver, refund_to, refundable_after, "
        "created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        deposit.session_id,
        deposit.collector,
        deposit.address,
        terms.session_key,
        terms.merchant,
        terms.settlement_chain_id,
        terms.settlement_token,
        terms.fee_receiver,
        terms.refund_to,
        deposit.refundable_after,
        tx.now,
    )
    await tx.execute(
        "INSERT INTO deposit_watches (session_id, network, due_at) "
        "SELECT $1, network, $3 FROM unnest($2::text[]) AS network",
        deposit.session_id,
        list(networks),
        tx.now,
    )


def _deposit(row: asyncpg.Record) -> Deposit:
    return Deposit(
        session_id=SessionId(row["session_id"]),
        collector=Address(row["collector"]),
        address=Address(row["address"]),
        terms=DepositTerms(
            session_key=row["session_key"],
            merchant=Address(row["merchant"]),
            settlement_chain_id=row["settlement_chain_id"],
            settlement_token=Address(row["settlement_token"]),
            fee_receiver=Address(row["fee_receiver"]),
            refund_to=Address(row["refund_to"]),
            refundable_after=unix_seconds(row["refundable_after"]),
        ),
    )


async def find(tx: Tx, session_id: SessionId) -> Deposit | None:
    row = await tx.fetchrow("SELECT * FROM deposits WHERE session_id = $1", session_id)
    return _deposit(row) if row else None


async def of_sessions(tx: Tx, session_ids: Sequence[SessionId]) -> list[Deposit]:
    rows = await tx.fetch("SELECT * FROM deposits WHERE session_id = ANY($1)", list(session_ids))
    return [_deposit(row) for row in rows]


async def at_address(tx: Tx, address: Address) -> Deposit | None:
    """The deposit whose address this is, on every network."""
    row = await tx.fetchrow("SELECT * FROM deposits WHERE address = $1", address)
    return _deposit(row) if row else None


async def of_key(tx: Tx, session_key: bytes) -> Deposit | None:
    """The deposit of the session that the chain knows by ``session_key``."""
    row = await tx.fetchrow("SELECT * FROM deposits WHERE session_key = $1", session_key)
    return _deposit(row) if row else None


async def is_any_due(tx: Tx, network: str) -> bool:
    """Whether ``network`` is to be asked about a deposit now."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT FROM deposit_watches WHERE network = $1 AND due_at <= $2)",
            network,
            tx.now,
        )
    )


async def lock_due(tx: Tx, network: str, limit: int) -> list[Deposit]:
    """The deposits that ``network`` is to be asked about; those that another worker holds are
    left to it."""
    rows = await tx.fetch(
        "SELECT deposits.* FROM deposit_watches JOIN deposits USING (session_id) "
        "WHERE network = $1 AND due_at <= $2 ORDER BY due_at LIMIT $3 "
        "FOR UPDATE OF deposit_watches SKIP LOCKED",
        network,
        tx.now,
        limit,
    )
    return [_deposit(row) for row in rows]


async def schedule(tx: Tx, network: str, looks: Mapping[SessionId, datetime | None]) -> None:
    """Write when to ask ``network`` about each of these again."""
    await tx.execute(
        "UPDATE deposit_watches SET due_at = look.due_at "
        "FROM unnest($2::text[], $3::timestamptz[]) AS look (session_id, due_at) "
        "WHERE network = $1 AND deposit_watches.session_id = look.session_id",
        network,
        list(looks),
        list(looks.values()),
    )


async def insert_sighting(tx: Tx, session_id: SessionId, place: Place, balance: int) -> None:
    await tx.execute(
        "INSERT INTO deposit_sightings (session_id, network, token, balance, seen_at) "
        "VALUES ($1, $2, $3, $4, $5)",
        session_id,
        *place,
        balance,
        tx.now,
    )


async def sightings(tx: Tx, session_id: SessionId) -> dict[Place, list[int]]:
    """What each balance at the address was seen to be, oldest first."""
    rows = await tx.fetch(
        "SELECT network, token, array_agg(balance ORDER BY sequence) AS balances "
        "FROM deposit_sightings WHERE session_id = $1 GROUP BY network, token",
        session_id,
    )
    return {
        (row["network"], Address(row["token"])): [int(balance) for balance in row["balances"]]
        for row in rows
    }


async def last_seen(
    tx: Tx, network: str, session_ids: Sequence[SessionId]
) -> dict[tuple[SessionId, Address], int]:
    """The last sighting of each token at those addresses on one network."""
    rows = await tx.fetch(
        "SELECT DISTINCT ON (session_id, token) session_id, token, balance "
        "FROM deposit_sightings WHERE network = $1 AND session_id = ANY($2) "
        "ORDER BY session_id, token, sequence DESC",
        network,
        list(session_ids),
    )
    return {
        (SessionId(row["session_id"]), Address(row["token"])): int(row["balance"]) for row in rows
    }


async def balances_of(
    tx: Tx, session_ids: Sequence[SessionId]
) -> dict[SessionId, dict[Place, int]]:
    """The last sightings at those addresses on every network, those of nothing left out."""
    rows = await tx.fetch(
        "SELECT DISTINCT ON (session_id, network, token) session_id, network, token, balance "
        "FROM deposit_sightings WHERE session_id = ANY($1) "
        "ORDER BY session_id, network, token, sequence DESC",
        list(session_ids),
    )
    found: dict[SessionId, dict[Place, int]] = {session_id: {} for session_id in session_ids}
    for row in rows:
        if row["balance"]:
            place = row["network"], Address(row["token"])
            found[SessionId(row["session_id"])][place] = int(row["balance"])
    return found


async def insert_sweep(tx: Tx, session_id: SessionId, sweep: Sweep) -> None:
    await tx.execute(
        "INSERT INTO deposit_sweeps (cause, session_id, network, token, amount, staged_at) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        sweep.cause,
        session_id,
        *sweep.place,
        sweep.amount,
        tx.now,
    )


async def last_sweep(tx: Tx, session_id: SessionId) -> tuple[Sweep | None, int]:
    """The collection that was staged last, and how many there were."""
    rows = await tx.fetch(
        "SELECT *, count(*) OVER () AS many FROM deposit_sweeps WHERE session_id = $1 "
        "ORDER BY sequence DESC LIMIT 1",
        session_id,
    )
    if not rows:
        return None, 0
    [row] = rows
    place = row["network"], Address(row["token"])
    return Sweep(row["cause"], place, int(row["amount"])), row["many"]


async def last_causes(tx: Tx, session_ids: Sequence[SessionId]) -> dict[SessionId, str]:
    """The executor's name of the last collection of each session that had one."""
    rows = await tx.fetch(
        "SELECT DISTINCT ON (session_id) session_id, cause FROM deposit_sweeps "
        "WHERE session_id = ANY($1) ORDER BY session_id, sequence DESC",
        list(session_ids),
    )
    return {SessionId(row["session_id"]): row["cause"] for row in rows}


async def insert_recovery(tx: Tx, session_id: SessionId, recovery: Recovery) -> None:
    await tx.execute(
        "INSERT INTO deposit_recoveries (cause, session_id, network, token, number, asked, "
        "staged_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        recovery.cause,
        session_id,
        *recovery.place,
        recovery.number,
        recovery.asked,
        tx.now,
    )


async def last_recovery(tx: Tx, session_id: SessionId, place: Place) -> Recovery | None:
    """The return of one token on one network that was staged last."""
    row = await tx.fetchrow(
        "SELECT cause, number, asked FROM deposit_recoveries "
        "WHERE session_id = $1 AND network = $2 AND token = $3 ORDER BY number DESC LIMIT 1",
        session_id,
        *place,
    )
    return Recovery(row["cause"], place, row["number"], row["asked"]) if row else None
