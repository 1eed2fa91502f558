"""SQL of payments that x402 clients signed. Append only."""

from __future__ import annotations

import asyncpg

from gstable_server.agents.x402.model import Taken
from gstable_server.chain.signed_transfers import Method
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Tx


async def lock_session(tx: Tx, session_id: SessionId) -> None:
    """Let those who pay one session come one after the other until the transaction ends: the
    session may not be stored yet, so that there is no row to lock."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('x402 ' || $1, 0))", session_id)


async def find(tx: Tx, digest: bytes) -> Taken | None:
    row = await tx.fetchrow("SELECT * FROM x402_payments WHERE digest = $1", digest)
    return _taken(row) if row else None


async def of_session(tx: Tx, session_id: SessionId) -> list[Taken]:
    """The payments that were taken for a session, oldest first."""
    rows = await tx.fetch(
        "SELECT * FROM x402_payments WHERE session_id = $1 ORDER BY sequence", session_id
    )
    return [_taken(row) for row in rows]


async def lock_payer(tx: Tx, payer: Address) -> None:
    """Let the payments of one payer be taken one after the other until the transaction ends."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('x402 payer ' || $1, 0))", payer.hex()
    )


async def newest_of_payer(
    tx: Tx, payer: Address, network: str, token: Address, limit: int
) -> list[Taken]:
    """The payments that were last taken from a payer in one token."""
    rows = await tx.fetch(
        "SELECT * FROM x402_payments WHERE payer = $1 AND network = $2 AND token = $3 "
        "ORDER BY sequence DESC LIMIT $4",
        payer,
        network,
        token,
        limit,
    )
    return [_taken(row) for row in rows]


async def insert(tx: Tx, taken: Taken) -> bool:
    """Keep a payment; False when its payer gave another one the same identifier."""
    done = await tx.execute(
        "INSERT INTO x402_payments (digest, session_id, network, token, method, payer, amount, "
        "identifier, staged_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
        "ON CONFLICT (payer, identifier) DO NOTHING",
        taken.digest,
        taken.session_id,
        taken.network,
        taken.token,
        taken.method,
        taken.payer,
        taken.amount,
        taken.identifier,
        tx.now,
    )
    return done == "INSERT 0 1"


def _taken(row: asyncpg.Record) -> Taken:
    return Taken(
        digest=row["digest"],
        session_id=SessionId(row["session_id"]),
        network=row["network"],
        token=Address(row["token"]),
        method=Method(row["method"]),
        payer=Address(row["payer"]),
        amount=int(row["amount"]),
        identifier=row["identifier"],
    )
