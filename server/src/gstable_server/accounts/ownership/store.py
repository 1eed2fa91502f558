"""Rows of messages to be signed and of what was proven by them."""

from __future__ import annotations

from datetime import datetime

from gstable_server.accounts.ownership.model import Challenge, Kind, Proof
from gstable_server.kernel.ids import AccountId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx


async def insert_challenge(
    tx: Tx, tenant: Tenant, nonce: str, challenge: Challenge, expires_at: datetime
) -> None:
    """Keep a new one, and forget those that nobody can answer any more."""
    await tx.execute("DELETE FROM ownership_challenges WHERE expires_at < $1", tx.now)
    await tx.execute(
        "INSERT INTO ownership_challenges (nonce, merchant_id, mode, account_id, network, message,"
        " issued_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        nonce,
        tenant.merchant_id,
        tenant.mode,
        challenge.account_id,
        challenge.network,
        challenge.message,
        tx.now,
        expires_at,
    )


async def burn(tx: Tx, tenant: Tenant, account_id: AccountId, nonce: str) -> Challenge | None:
    """The message of that nonce, which is used up by this; None for one that was used before, or
    is another account's."""
    row = await tx.fetchrow(
        "UPDATE ownership_challenges SET used_at = $5 WHERE nonce = $1 AND merchant_id = $2"
        " AND mode = $3 AND account_id = $4 AND used_at IS NULL RETURNING network, message",
        nonce,
        tenant.merchant_id,
        tenant.mode,
        account_id,
        tx.now,
    )
    return Challenge(account_id, row["network"], row["message"]) if row else None


async def put_proof(tx: Tx, tenant: Tenant, proof: Proof, message: str, signature: bytes) -> None:
    await tx.execute(
        "INSERT INTO ownership_proofs (account_id, network, merchant_id, mode, kind, message,"
        " signature, proven_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (account_id, network) DO UPDATE SET kind = $5, message = $6,"
        " signature = $7, proven_at = $8",
        proof.account_id,
        proof.network,
        tenant.merchant_id,
        tenant.mode,
        proof.kind,
        message,
        signature,
        proof.proven_at,
    )


async def proofs(tx: Tx, tenant: Tenant, account_id: AccountId) -> list[Proof]:
    """The newest first."""
    rows = await tx.fetch(
        "SELECT network, kind, proven_at FROM ownership_proofs WHERE account_id = $1"
        " AND merchant_id = $2 AND mode = $3 ORDER BY proven_at DESC, network",
        account_id,
        tenant.merchant_id,
        tenant.mode,
    )
    return [Proof(account_id, row["network"], Kind(row["kind"]), row["proven_at"]) for row in rows]
