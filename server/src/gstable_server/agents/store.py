"""SQL of the messages that payers' agents signed."""

from __future__ import annotations

from datetime import datetime

from gstable_server.agents.model import Proven
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import from_unix_seconds
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Tx


async def lock_payer(tx: Tx, payer: Address) -> None:
    """Let the messages of one payer come one after the other until the transaction ends, so that
    each sees what the others used."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('agent ' || $1, 0))", payer.hex()
    )


async def is_used(tx: Tx, payer: Address, nonce: bytes) -> bool:
    """Whether a message with that nonce was acted upon."""
    found: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM agent_authorizations WHERE payer = $1 AND nonce = $2)",
        payer,
        nonce,
    )
    return found


async def nth_newest(tx: Tx, payer: Address, number: int) -> datetime | None:
    """When the payer's message was acted upon that is the ``number``-th, counted from the newest
    as 1; None where there are not so many."""
    found: datetime | None = await tx.fetchval(
        "SELECT authorized_at FROM agent_authorizations WHERE payer = $1 "
        "ORDER BY authorized_at DESC LIMIT 1 OFFSET $2",
        payer,
        number - 1,
    )
    return found


async def insert(tx: Tx, proven: Proven, session_id: SessionId) -> None:
    """Remember a message that is acted upon. The table refuses a nonce that is there already."""
    authorization = proven.authorization
    await tx.execute(
        "INSERT INTO agent_authorizations (payer, nonce, purpose, session_id, digest, chain_id, "
        "signature, expires_at, authorized_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        authorization.payer,
        authorization.nonce,
        authorization.purpose,
        session_id,
        proven.digest,
        authorization.chain_id,
        authorization.signature,
        from_unix_seconds(proven.expires_at),
        tx.now,
    )
