"""SQL of sessions, their orders and their payments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from gstable_server.catalog.wire import line_items_from_json, line_items_to_json
from gstable_server.chain.facts import RailName
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import (
    AccountId,
    ClientCode,
    MerchantId,
    PaymentId,
    ReceiptId,
    SessionId,
)
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Tx
from gstable_server.routing.model import FeeModel, Way
from gstable_server.sessions.attested import AttestedOrder
from gstable_server.sessions.model import (
    BusinessType,
    CaptureMethod,
    Delivery,
    Flag,
    Hold,
    Payment,
    PaymentState,
    Preset,
    Session,
    SessionState,
    SessionType,
)

_INSERT = """
INSERT INTO sessions (session_id, session_key, merchant_id, mode, session_type, business_type,
    business_id, client_code, account_id, recipient, settlement_token, fee_model, amount,
    line_items, payer_email_required, payer_email, success_url, metadata, capture_method,
    expires_at, state, created_at, preset_payer, preset_token)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
    $20, $21, $22, $23, $24)
"""


async def insert(tx: Tx, session: Session) -> None:
    await tx.execute(
        _INSERT,
        session.session_id,
        session.session_key,
        session.tenant.merchant_id,
        session.tenant.mode,
        session.session_type,
        session.business_type,
        session.business_id,
        session.client_code,
        session.account_id,
        session.recipient,
        session.settlement_token,
        session.fee_model,
        session.amount,
        line_items_to_json(session.line_items),
        session.payer_email_required,
        session.payer_email,
        session.success_url,
        session.metadata,
        session.capture_method,
        session.expires_at,
        session.state,
        session.created_at,
        session.preset.payer if session.preset else None,
        session.preset.token_id if session.preset else None,
    )


def _session(row: asyncpg.Record) -> Session:
    return Session(
        session_id=SessionId(row["session_id"]),
        session_key=row["session_key"],
        tenant=Tenant(MerchantId(row["merchant_id"]), Mode(row["mode"])),
        session_type=SessionType(row["session_type"]),
        business_type=BusinessType(row["business_type"]),
        business_id=row["business_id"],
        client_code=ClientCode(row["client_code"]),
        account_id=AccountId(row["account_id"]),
        recipient=Address(row["recipient"]),
        settlement_token=row["settlement_token"],
        fee_model=FeeModel(row["fee_model"]),
        amount=MicroUsd(row["amount"]),
        line_items=line_items_from_json(row["line_items"]),
        payer_email_required=row["payer_email_required"],
        payer_email=row["payer_email"],
        success_url=row["success_url"],
        metadata=row["metadata"],
        capture_method=CaptureMethod(row["capture_method"]),
        preset=_preset(row),
        expires_at=row["expires_at"],
        state=SessionState(row["state"]),
        signed_once=row["signed_once"],
        receipt_id=ReceiptId(row["receipt_id"]) if row["receipt_id"] else None,
        created_at=row["created_at"],
        paid_at=row["paid_at"],
        completed_at=row["completed_at"],
    )


def _preset(row: asyncpg.Record) -> Preset | None:
    if row["preset_payer"] is None:
        return None
    return Preset(Address(row["preset_payer"]), row["preset_token"])


async def find(tx: Tx, session_id: str) -> Session | None:
    row = await tx.fetchrow("SELECT * FROM sessions WHERE session_id = $1", session_id)
    return _session(row) if row else None


async def lock(tx: Tx, session_id: str) -> Session | None:
    """The session, held until the transaction ends."""
    row = await tx.fetchrow("SELECT * FROM sessions WHERE session_id = $1 FOR UPDATE", session_id)
    return _session(row) if row else None


async def lock_by_key(tx: Tx, session_key: bytes) -> Session | None:
    """The session that the chain knows by ``session_key``, held until the transaction ends."""
    row = await tx.fetchrow("SELECT * FROM sessions WHERE session_key = $1 FOR UPDATE", session_key)
    return _session(row) if row else None


async def lock_due(tx: Tx, limit: int) -> list[Session]:
    """Open sessions whose time is over; those that another worker holds are left to it."""
    rows = await tx.fetch(
        "SELECT * FROM sessions WHERE state = 'initialized' AND expires_at <= $1 "
        "ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        tx.now,
        limit,
    )
    return [_session(row) for row in rows]


async def page(
    tx: Tx, tenant: Tenant, state: SessionState | None, limit: int, offset: int
) -> tuple[int, list[Session]]:
    """How many sessions there are, and one page of them, newest first."""
    where = "merchant_id = $1 AND mode = $2 AND ($3::text IS NULL OR state = $3)"
    values: tuple[Any, ...] = (tenant.merchant_id, tenant.mode, state)
    total = await tx.fetchval(f"SELECT count(*) FROM sessions WHERE {where}", *values)  # noqa: S608
    rows = await tx.fetch(
        f"SELECT * FROM sessions WHERE {where} ORDER BY sequence DESC LIMIT $4 OFFSET $5",  # noqa: S608
        *values,
        limit,
        offset,
    )
    return total, [_session(row) for row in rows]


async def count_by_state(tx: Tx, tenant: Tenant) -> dict[SessionState, int]:
    """How many sessions there are in each state that has any."""
    rows = await tx.fetch(
        "SELECT state, count(*) AS many FROM sessions"
        " WHERE merchant_id = $1 AND mode = $2 GROUP BY state",
        tenant.merchant_id,
        tenant.mode,
    )
    return {SessionState(row["state"]): row["many"] for row in rows}


async def move(tx: Tx, old: Session, new: Session) -> None:
    """Write what may change of a session, if it still is in the state that was decided on."""
    done = await tx.execute(
        "UPDATE sessions SET state = $3, signed_once = $4, payer_email = $5, receipt_id = $6, "
        "paid_at = $7, completed_at = $8 WHERE session_id = $1 AND state = $2",
        old.session_id,
        old.state,
        new.state,
        new.signed_once,
        new.payer_email,
        new.receipt_id,
        new.paid_at,
        new.completed_at,
    )
    assert done == "UPDATE 1", f"{old.session_id} moved under its lock"


async def reschedule(tx: Tx, session: Session) -> None:
    """Write another expiry; for a session whose lock is held."""
    await tx.execute(
        "UPDATE sessions SET expires_at = $2 WHERE session_id = $1",
        session.session_id,
        session.expires_at,
    )


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


def _order(row: asyncpg.Record) -> AttestedOrder:
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


async def attested_amounts(
    tx: Tx, session_id: SessionId, network: str, token_id: str, rail: RailName | None
) -> frozenset[int]:
    """The merchant's amounts, in atomic units of the settlement token, of all orders signed to be
    paid with that token and brought by that rail."""
    rows = await tx.fetch(
        "SELECT DISTINCT merchant_amount FROM session_orders WHERE session_id = $1 "
        "AND network = $2 AND token_id = $3 AND rail IS NOT DISTINCT FROM $4",
        session_id,
        network,
        token_id,
        rail,
    )
    return frozenset(int(row["merchant_amount"]) for row in rows)


def _payment(row: asyncpg.Record) -> Payment:
    return Payment(
        payment_id=PaymentId(row["payment_id"]),
        session_id=SessionId(row["session_id"]) if row["session_id"] else None,
        network=row["network"],
        chain_id=row["chain_id"],
        tx_hash=row["tx_hash"],
        log_position=row["log_position"],
        block_number=row["block_number"],
        block_hash=row["block_hash"],
        block_time=row["block_time"],
        payer=Address(row["payer"]),
        merchant=Address(row["merchant"]),
        token_id=row["token_id"],
        decimals=row["decimals"],
        amount=int(row["amount"]),
        fee_received=int(row["fee_received"]),
        rail=RailName(row["rail"]) if row["rail"] else None,
        settlement_token=row["settlement_token"],
        settlement_decimals=row["settlement_decimals"],
        promised=int(row["promised"]),
        merchant_received=int(row["merchant_received"]),
        state=PaymentState(row["state"]),
        flags=frozenset(Flag(flag) for flag in row["flags"]),
        pays=row["pays"],
        seen_at=row["seen_at"],
        final_at=row["final_at"],
        times_mined=row["times_mined"],
        delivery=_delivery(row),
        times_delivered=row["times_delivered"],
        hold=_hold(row),
    )


def _hold(row: asyncpg.Record) -> Hold | None:
    if row["hold_capture_before"] is None:
        return None
    return Hold(
        capture_before=row["hold_capture_before"],
        captured=int(row["hold_captured"]),
        returned=int(row["hold_returned"]),
        received=int(row["hold_received"]),
        fee=int(row["hold_fee"]),
        capture_tx=row["hold_capture_tx"],
        captured_at=row["hold_captured_at"],
    )


def _delivery(row: asyncpg.Record) -> Delivery | None:
    if row["delivery_tx"] is None:
        return None
    return Delivery(
        network=row["delivery_network"],
        tx_hash=row["delivery_tx"],
        log_position=row["delivery_position"],
        received=int(row["delivery_received"]),
        delivered_at=row["delivered_at"],
        final_at=row["delivery_final_at"],
    )


async def insert_payment(tx: Tx, payment: Payment) -> None:
    await tx.execute(
        "INSERT INTO payments (payment_id, session_id, network, chain_id, tx_hash, log_position, "
        "block_number, block_hash, block_time, payer, merchant, token_id, decimals, amount, "
        "fee_received, rail, settlement_token, settlement_decimals, promised, merchant_received, "
        "state, flags, pays, seen_at, hold_capture_before) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
        "$9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)",
        payment.payment_id,
        payment.session_id,
        payment.network,
        payment.chain_id,
        payment.tx_hash,
        payment.log_position,
        payment.block_number,
        payment.block_hash,
        payment.block_time,
        payment.payer,
        payment.merchant,
        payment.token_id,
        payment.decimals,
        payment.amount,
        payment.fee_received,
        payment.rail,
        payment.settlement_token,
        payment.settlement_decimals,
        payment.promised,
        payment.merchant_received,
        payment.state,
        sorted(payment.flags),
        payment.pays,
        payment.seen_at,
        payment.hold.capture_before if payment.hold else None,
    )


async def update_payment(tx: Tx, payment: Payment) -> None:
    """Write where a payment stands now, and what it moved there."""
    await tx.execute(
        "UPDATE payments SET state = $2, block_number = $3, block_hash = $4, block_time = $5, "
        "pays = $6, flags = $7, final_at = $8, times_mined = $9, payer = $10, "
        "merchant_received = $11, fee_received = $12, amount = $13 WHERE payment_id = $1",
        payment.payment_id,
        payment.state,
        payment.block_number,
        payment.block_hash,
        payment.block_time,
        payment.pays,
        sorted(payment.flags),
        payment.final_at,
        payment.times_mined,
        payment.payer,
        payment.merchant_received,
        payment.fee_received,
        payment.amount,
    )
    if payment.times_delivered:
        await _update_delivery(tx, payment)


async def _update_delivery(tx: Tx, payment: Payment) -> None:
    """Its far end, also when that was taken back."""
    delivery = payment.delivery
    await tx.execute(
        "UPDATE payments SET delivery_network = $2, delivery_tx = $3, delivery_position = $4, "
        "delivery_received = $5, delivered_at = $6, delivery_final_at = $7, times_delivered = $8 "
        "WHERE payment_id = $1",
        payment.payment_id,
        delivery.network if delivery else None,
        delivery.tx_hash if delivery else None,
        delivery.log_position if delivery else None,
        delivery.received if delivery else None,
        delivery.delivered_at if delivery else None,
        delivery.final_at if delivery else None,
        payment.times_delivered,
    )


async def update_hold(tx: Tx, payment: Payment) -> None:
    """Write what became of a payment that is held."""
    hold = payment.hold
    assert hold is not None, "only what is held leaves a hold"
    await tx.execute(
        "UPDATE payments SET hold_captured = $2, hold_returned = $3, hold_received = $4, "
        "hold_fee = $5, hold_capture_tx = $6, hold_captured_at = $7 WHERE payment_id = $1",
        payment.payment_id,
        hold.captured,
        hold.returned,
        hold.received,
        hold.fee,
        hold.capture_tx,
        hold.captured_at,
    )


async def lock_payment(tx: Tx, network: str, tx_hash: bytes, log_position: int) -> Payment | None:
    row = await tx.fetchrow(
        "SELECT * FROM payments WHERE network = $1 AND tx_hash = $2 AND log_position = $3 "
        "FOR UPDATE",
        network,
        tx_hash,
        log_position,
    )
    return _payment(row) if row else None


async def payments_of(tx: Tx, session_ids: Sequence[SessionId]) -> dict[SessionId, list[Payment]]:
    """The payments of each session, oldest first."""
    rows = await tx.fetch(
        "SELECT * FROM payments WHERE session_id = ANY($1) ORDER BY sequence", list(session_ids)
    )
    found: dict[SessionId, list[Payment]] = {session_id: [] for session_id in session_ids}
    for row in rows:
        payment = _payment(row)
        assert payment.session_id is not None
        found[payment.session_id].append(payment)
    return found


async def exceptional(
    tx: Tx, tenant: Tenant, wallets: Sequence[Address], limit: int
) -> list[Payment]:
    """The tenant's payments with anything unusual about them, newest first: those of its
    sessions, and those that no session claims but one of its ``wallets`` received."""
    rows = await tx.fetch(
        "SELECT p.* FROM payments p LEFT JOIN sessions s USING (session_id) "
        "WHERE p.flags <> '{}' AND ((s.merchant_id = $1 AND s.mode = $2) "
        "OR (p.session_id IS NULL AND p.merchant = ANY($3))) ORDER BY p.sequence DESC LIMIT $4",
        tenant.merchant_id,
        tenant.mode,
        list(wallets),
        limit,
    )
    return [_payment(row) for row in rows]
