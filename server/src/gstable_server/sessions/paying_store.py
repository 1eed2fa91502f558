"""SQL of attested orders and of what payers signed for them. Both are append only."""

from __future__ import annotations

from typing import Any

from gstable_server.chain.facts import RailName
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Tx
from gstable_server.routing.model import Way
from gstable_server.sessions.attested import AttestedOrder


async def insert_order(tx: Tx, order: AttestedOrder) -> None:
    await tx.execute(
        "INSERT INTO session_orders (session_id, network, token_id, way, rail, digest, body, "
        "merchant_amount, fee_amount, fee_ppm, deadline, payer, signed_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        order.session_id,
        order.network,
        order.token_id,
        order.way,
        order.rail,
        order.digest,
        order.body,
        order.merchant_amount,
        order.fee_amount,
        order.fee_ppm,
        order.deadline,
        order.payer,
        tx.now,
    )


async def latest_order(
    tx: Tx, session_id: SessionId, token_id: str, way: Way, payer: Address
) -> AttestedOrder | None:
    """What was last attested for that payer to pay that way."""
    row = await tx.fetchrow(
        "SELECT * FROM session_orders WHERE session_id = $1 AND token_id = $2 AND way = $3 "
        "AND payer = $4 ORDER BY order_number DESC LIMIT 1",
        session_id,
        token_id,
        way,
        payer,
    )
    return _order(row) if row else None


async def find_order(
    tx: Tx, session_id: SessionId, digest: bytes, way: Way, payer: Address
) -> AttestedOrder | None:
    """The order of that digest as it was attested for that payer to pay that way."""
    row = await tx.fetchrow(
        "SELECT * FROM session_orders WHERE session_id = $1 AND digest = $2 AND way = $3 "
        "AND payer = $4 ORDER BY order_number DESC LIMIT 1",
        session_id,
        digest,
        way,
        payer,
    )
    return _order(row) if row else None


def _order(row: Any) -> AttestedOrder:
    return AttestedOrder(
        session_id=SessionId(row["session_id"]),
        network=row["network"],
        token_id=row["token_id"],
        way=Way(row["way"]),
        rail=RailName(row["rail"]) if row["rail"] else None,
        digest=row["digest"],
        body=row["body"],
        merchant_amount=int(row["merchant_amount"]),
        fee_amount=int(row["fee_amount"]),
        fee_ppm=row["fee_ppm"],
        deadline=row["deadline"],
        payer=Address(row["payer"]),
    )


async def insert_authorization(tx: Tx, session_id: SessionId, cause: str) -> None:
    """Remember that a payment of that session is sent for its payer, by the executor's name."""
    await tx.execute(
        "INSERT INTO session_authorizations (cause, session_id, authorized_at) VALUES ($1, $2, $3)",
        cause,
        session_id,
        tx.now,
    )


async def authorizations(tx: Tx, session_id: SessionId) -> frozenset[str]:
    """The names of the payments that are sent for payers of that session."""
    rows = await tx.fetch(
        "SELECT cause FROM session_authorizations WHERE session_id = $1", session_id
    )
    return frozenset(row["cause"] for row in rows)
