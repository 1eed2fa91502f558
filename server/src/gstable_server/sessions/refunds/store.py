"""SQL of refunds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

import asyncpg

from gstable_server.chain.facts import TransferLog
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import MemberId, PaymentId, RefundId, SessionId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.model import Payment
from gstable_server.sessions.refunds.approval import Vote
from gstable_server.sessions.refunds.model import (
    CLOCK_TOLERANCE,
    Approval,
    Claim,
    Refund,
    RefundState,
    Terms,
)

NEWEST = 2**62


def _refund(row: asyncpg.Record) -> Refund:
    claim = Claim(row["tx_hash"], row["log_position"]) if row["tx_hash"] else None
    return Refund(
        refund_id=RefundId(row["refund_id"]),
        session_id=SessionId(row["session_id"]),
        payment_id=PaymentId(row["payment_id"]),
        terms=Terms(
            network=row["network"],
            chain_id=row["chain_id"],
            token_id=row["token_id"],
            token=Address(row["token"]),
            decimals=row["decimals"],
            sender=Address(row["sender"]),
            receiver=Address(row["receiver"]),
            amount=int(row["token_amount"]),
        ),
        amount=MicroUsd(int(row["amount"])),
        reason=row["reason"],
        state=RefundState(row["state"]),
        expires_at=row["expires_at"],
        watched_until=row["watched_until"],
        created_at=row["created_at"],
        claim=claim,
        completed_at=row["completed_at"],
        prepared_by=MemberId(row["prepared_by"]) if row["prepared_by"] else None,
        approval=Approval(row["approval"]),
    )


async def insert(tx: Tx, refund: Refund) -> None:
    """Its merchant and mode are those of its session: the database writes them."""
    terms = refund.terms
    await tx.execute(
        "INSERT INTO refunds (refund_id, session_id, payment_id, network, chain_id, token_id, "
        "token, decimals, sender, receiver, token_amount, amount, reason, state, expires_at, "
        "watched_until, created_at, prepared_by, approval) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, "
        "$18, $19)",
        refund.refund_id,
        refund.session_id,
        refund.payment_id,
        terms.network,
        terms.chain_id,
        terms.token_id,
        terms.token,
        terms.decimals,
        terms.sender,
        terms.receiver,
        terms.amount,
        refund.amount,
        refund.reason,
        refund.state,
        refund.expires_at,
        refund.watched_until,
        refund.created_at,
        refund.prepared_by,
        refund.approval,
    )


async def insert_vote(tx: Tx, refund_id: RefundId, vote: Vote) -> None:
    """One member's approval; another one of theirs for the same refund takes its place."""
    await tx.execute(
        "INSERT INTO refund_approvals (refund_id, member_id, terms_digest, approved_at) "
        "VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (refund_id, member_id) DO UPDATE SET terms_digest = $3, approved_at = $4",
        refund_id,
        vote.member_id,
        vote.digest,
        vote.at,
    )


async def votes_on(tx: Tx, refund_id: RefundId) -> list[Vote]:
    """Who approved it, the first at the top."""
    rows = await tx.fetch(
        "SELECT * FROM refund_approvals WHERE refund_id = $1 ORDER BY approved_at, member_id",
        refund_id,
    )
    return [
        Vote(MemberId(row["member_id"]), row["terms_digest"], row["approved_at"]) for row in rows
    ]


async def find(tx: Tx, refund_id: RefundId) -> Refund | None:
    row = await tx.fetchrow("SELECT * FROM refunds WHERE refund_id = $1", refund_id)
    return _refund(row) if row else None


async def lock(tx: Tx, refund_id: RefundId) -> Refund:
    """The refund, held until the transaction ends; for ids that were read from the table."""
    row = await tx.fetchrow("SELECT * FROM refunds WHERE refund_id = $1 FOR UPDATE", refund_id)
    assert row is not None, "refunds are never deleted"
    return _refund(row)


async def of_session(tx: Tx, session_id: SessionId) -> list[Refund]:
    """The refunds of a session, oldest first."""
    rows = await tx.fetch(
        "SELECT * FROM refunds WHERE session_id = $1 ORDER BY sequence", session_id
    )
    return [_refund(row) for row in rows]


async def of_sessions(tx: Tx, session_ids: Sequence[SessionId]) -> list[Refund]:
    """The refunds of several sessions, oldest first."""
    rows = await tx.fetch(
        "SELECT * FROM refunds WHERE session_id = ANY($1) ORDER BY sequence", list(session_ids)
    )
    return [_refund(row) for row in rows]


async def page(
    tx: Tx, tenant: Tenant, state: RefundState | None, before: RefundId | None, limit: int
) -> list[Refund]:
    """The tenant's refunds that were prepared before ``before``, newest first."""
    of_state = f"AND state = '{state}'" if state else ""
    rows = await tx.fetch(
        f"SELECT * FROM refunds WHERE merchant_id = $1 AND mode = $2 {of_state} "  # noqa: S608
        "AND sequence < coalesce((SELECT sequence FROM refunds WHERE refund_id = $3), $4) "
        "ORDER BY sequence DESC LIMIT $5",
        tenant.merchant_id,
        tenant.mode,
        before,
        NEWEST,
        limit,
    )
    return [_refund(row) for row in rows]


async def find_unproven(tx: Tx, log: TransferLog) -> RefundId | None:
    """The refund that a transfer proves: the oldest that still waits for it, or else the oldest
    that had been given up."""
    found: str | None = await tx.fetchval(
        "SELECT refund_id FROM refunds WHERE network = $1 AND sender = $2 AND token = $3 "
        "AND receiver = $4 AND token_amount = $5 AND created_at <= $6 "
        "AND watched_until IS NOT NULL AND tx_hash IS NULL "
        "ORDER BY state <> 'prepared', sequence LIMIT 1",
        log.network,
        log.sender,
        log.token,
        log.receiver,
        log.amount,
        log.block_time + CLOCK_TOLERANCE,
    )
    return RefundId(found) if found else None


COMPLETED_AT_ONCE = 250


async def completed(tx: Tx) -> AsyncIterator[list[tuple[SessionId, Terms, bytes]]]:
    """Of every refund that is done: whose it is, its terms, and the transaction that proves it; in
    parts, oldest first."""
    last = 0
    while rows := await tx.fetch(
        "SELECT * FROM refunds WHERE state = 'completed' AND sequence > $1"
        " ORDER BY sequence LIMIT $2",
        last,
        COMPLETED_AT_ONCE,
    ):
        yield [(SessionId(row["session_id"]), _refund(row).terms, row["tx_hash"]) for row in rows]
        last = rows[-1]["sequence"]


async def find_proven(tx: Tx, log: TransferLog) -> RefundId | None:
    """The refund that this transfer proved, while it does."""
    found: str | None = await tx.fetchval(
        "SELECT refund_id FROM refunds WHERE network = $1 AND tx_hash = $2 AND log_position = $3",
        log.network,
        log.tx_hash,
        log.log_position,
    )
    return RefundId(found) if found else None


async def move(tx: Tx, old: Refund, new: Refund) -> None:
    """Write what may change of a refund, if it still is in the state that was decided on."""
    done = await tx.execute(
        "UPDATE refunds SET state = $3, tx_hash = $4, log_position = $5, watched_until = $6, "
        "completed_at = $7, expires_at = $8, approval = $9 "
        "WHERE refund_id = $1 AND state = $2",
        old.refund_id,
        old.state,
        new.state,
        new.claim.tx_hash if new.claim else None,
        new.claim.log_position if new.claim else None,
        new.watched_until,
        new.completed_at,
        new.expires_at,
        new.approval,
    )
    assert done == "UPDATE 1", f"{old.refund_id} moved under its lock"


async def reschedule(tx: Tx, refund: Refund) -> None:
    """Write until when it may be sent; for a refund whose lock is held."""
    await tx.execute(
        "UPDATE refunds SET expires_at = $2 WHERE refund_id = $1",
        refund.refund_id,
        refund.expires_at,
    )


async def lock_due(tx: Tx, limit: int) -> list[Refund]:
    """Refunds to be approved or sent whose time is over; those that another worker holds are left
    to it."""
    rows = await tx.fetch(
        "SELECT * FROM refunds WHERE state IN ('awaiting_approval', 'prepared') "
        "AND expires_at <= $1 "
        "ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        tx.now,
        limit,
    )
    return [_refund(row) for row in rows]


async def lock_unwatchable(tx: Tx, until: Mapping[str, datetime], limit: int) -> list[Refund]:
    """Refunds that were given up so long before ``until``, by network, that their transfer is not
    looked for any more."""
    rows = await tx.fetch(
        "SELECT refunds.* FROM refunds JOIN unnest($1::text[], $2::timestamptz[]) "
        "AS read (network, until) USING (network) "
        "WHERE watched_until <= read.until AND state IN ('expired', 'cancelled') "
        "ORDER BY watched_until LIMIT $3 FOR UPDATE OF refunds SKIP LOCKED",
        list(until),
        list(until.values()),
        limit,
    )
    return [_refund(row) for row in rows]


async def asked_for_order(tx: Tx, payment: Payment) -> bool:
    """Whether the account that paid is one that the payer named as their own wallet: an order was
    attested for it. Nobody's wallet is a contract that pays for others, or a deposit address."""
    asked: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT 1 FROM session_orders WHERE session_id = $1 AND network = $2 "
        "AND payer = $3 AND way <> 'deposit')",
        payment.session_id,
        payment.network,
        payment.payer,
    )
    return asked
