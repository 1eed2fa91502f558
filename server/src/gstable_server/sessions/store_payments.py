"""SQL of payments: the money that reached the chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gstable_server.chain.facts import RailName
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import PaymentId, SessionId
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.model import (
    STANDING,
    Delivery,
    Flag,
    Hold,
    Payment,
    PaymentName,
    PaymentState,
)


def _payment(row: Any) -> Payment:
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


def _hold(row: Any) -> Hold | None:
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


def _delivery(row: Any) -> Delivery | None:
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


_INSERT = """
INSERT INTO payments (payment_id, session_id, network, chain_id, tx_hash, log_position,
    block_number, block_hash, block_time, payer, merchant, token_id, decimals, amount,
    fee_received, rail, settlement_token, settlement_decimals, promised, merchant_received,
    state, flags, pays, seen_at, final_at, times_mined, hold_capture_before)
SELECT payment_id, session_id, network, chain_id, tx_hash, log_position, block_number, block_hash,
    block_time, payer, merchant, token_id, decimals, amount, fee_received, rail,
    settlement_token, settlement_decimals, promised, merchant_received, state,
    string_to_array(flags, ','), pays, seen_at, final_at, times_mined, hold_capture_before
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bytea[], $6::integer[],
    $7::bigint[], $8::bytea[], $9::timestamptz[], $10::bytea[], $11::bytea[], $12::text[],
    $13::smallint[], $14::numeric[], $15::numeric[], $16::text[], $17::text[], $18::smallint[],
    $19::numeric[], $20::numeric[], $21::text[], $22::text[], $23::boolean[],
    $24::timestamptz[], $25::timestamptz[], $26::integer[], $27::timestamptz[]) WITH ORDINALITY
    AS new (payment_id, session_id, network, chain_id, tx_hash, log_position, block_number,
        block_hash, block_time, payer, merchant, token_id, decimals, amount, fee_received, rail,
        settlement_token, settlement_decimals, promised, merchant_received, state, flags, pays,
        seen_at, final_at, times_mined, hold_capture_before, place)
ORDER BY place
"""


async def insert(tx: Tx, payments: Sequence[Payment]) -> None:
    """Write new payments, in their order; none of them is delivered, and nothing left a hold."""
    await tx.execute(
        _INSERT,
        [payment.payment_id for payment in payments],
        [payment.session_id for payment in payments],
        [payment.network for payment in payments],
        [payment.chain_id for payment in payments],
        [payment.tx_hash for payment in payments],
        [payment.log_position for payment in payments],
        [payment.block_number for payment in payments],
        [payment.block_hash for payment in payments],
        [payment.block_time for payment in payments],
        [payment.payer for payment in payments],
        [payment.merchant for payment in payments],
        [payment.token_id for payment in payments],
        [payment.decimals for payment in payments],
        [payment.amount for payment in payments],
        [payment.fee_received for payment in payments],
        [payment.rail for payment in payments],
        [payment.settlement_token for payment in payments],
        [payment.settlement_decimals for payment in payments],
        [payment.promised for payment in payments],
        [payment.merchant_received for payment in payments],
        [payment.state for payment in payments],
        [",".join(sorted(payment.flags)) for payment in payments],
        [payment.pays for payment in payments],
        [payment.seen_at for payment in payments],
        [payment.final_at for payment in payments],
        [payment.times_mined for payment in payments],
        [payment.hold.capture_before if payment.hold else None for payment in payments],
    )


async def update(tx: Tx, payments: Sequence[Payment]) -> None:
    """Write where payments stand now, what they moved there, what became of their far ends, also
    of those that were taken back, and of what is held."""
    # A session has one payment that pays it, and the database looks at every row: what pays no
    # more has to be written before what pays now.
    for pays in (False, True):
        some = [one for one in payments if (one.pays and one.state in STANDING) is pays]
        if some:
            await _update(tx, some)


_UPDATE = """
UPDATE payments SET state = now.state, block_number = now.block_number,
    block_hash = now.block_hash, block_time = now.block_time, pays = now.pays,
    flags = string_to_array(now.flags, ','), final_at = now.final_at,
    times_mined = now.times_mined, payer = now.payer, merchant_received = now.merchant_received,
    fee_received = now.fee_received, amount = now.amount,
    delivery_network = now.delivery_network, delivery_tx = now.delivery_tx,
    delivery_position = now.delivery_position, delivery_received = now.delivery_received,
    delivered_at = now.delivered_at, delivery_final_at = now.delivery_final_at,
    times_delivered = now.times_delivered, hold_captured = now.hold_captured,
    hold_returned = now.hold_returned, hold_received = now.hold_received,
    hold_fee = now.hold_fee, hold_capture_tx = now.hold_capture_tx,
    hold_captured_at = now.hold_captured_at
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[], $5::timestamptz[], $6::boolean[],
    $7::text[], $8::timestamptz[], $9::integer[], $10::bytea[], $11::numeric[], $12::numeric[],
    $13::numeric[], $14::text[], $15::bytea[], $16::integer[], $17::numeric[],
    $18::timestamptz[], $19::timestamptz[], $20::integer[], $21::numeric[], $22::numeric[],
    $23::numeric[], $24::numeric[], $25::bytea[], $26::timestamptz[])
    AS now (payment_id, state, block_number, block_hash, block_time, pays, flags, final_at,
        times_mined, payer, merchant_received, fee_received, amount, delivery_network,
        delivery_tx, delivery_position, delivery_received, delivered_at, delivery_final_at,
        times_delivered, hold_captured, hold_returned, hold_received, hold_fee, hold_capture_tx,
        hold_captured_at)
WHERE payments.payment_id = now.payment_id
"""


async def _update(tx: Tx, payments: Sequence[Payment]) -> None:
    deliveries = [payment.delivery for payment in payments]
    holds = [payment.hold for payment in payments]
    await tx.execute(
        _UPDATE,
        [payment.payment_id for payment in payments],
        [payment.state for payment in payments],
        [payment.block_number for payment in payments],
        [payment.block_hash for payment in payments],
        [payment.block_time for payment in payments],
        [payment.pays for payment in payments],
        [",".join(sorted(payment.flags)) for payment in payments],
        [payment.final_at for payment in payments],
        [payment.times_mined for payment in payments],
        [payment.payer for payment in payments],
        [payment.merchant_received for payment in payments],
        [payment.fee_received for payment in payments],
        [payment.amount for payment in payments],
        [one.network if one else None for one in deliveries],
        [one.tx_hash if one else None for one in deliveries],
        [one.log_position if one else None for one in deliveries],
        [one.received if one else None for one in deliveries],
        [one.delivered_at if one else None for one in deliveries],
        [one.final_at if one else None for one in deliveries],
        [payment.times_delivered for payment in payments],
        [one.captured if one else 0 for one in holds],
        [one.returned if one else 0 for one in holds],
        [one.received if one else 0 for one in holds],
        [one.fee if one else 0 for one in holds],
        [one.capture_tx if one else None for one in holds],
        [one.captured_at if one else None for one in holds],
    )


# One step in an index for each that is asked for: a plan that was made while the table was small
# reads all of it, and outlives that.
_LOCK = """
SELECT locked.* FROM (
    SELECT of_session.payment_id, of_session.sequence
    FROM unnest($1::text[]) AS asked (session_id) CROSS JOIN LATERAL (
        SELECT payment_id, sequence FROM payments
        WHERE payments.session_id = asked.session_id OFFSET 0) of_session
    UNION
    SELECT named.payment_id, named.sequence
    FROM unnest($2::text[], $3::bytea[], $4::integer[])
        AS asked (network, tx_hash, log_position) CROSS JOIN LATERAL (
        SELECT payment_id, sequence FROM payments
        WHERE (payments.network, payments.tx_hash, payments.log_position)
            = (asked.network, asked.tx_hash, asked.log_position) OFFSET 0) named
    ORDER BY sequence
) found CROSS JOIN LATERAL (
    SELECT * FROM payments WHERE payments.payment_id = found.payment_id FOR UPDATE) locked
ORDER BY found.sequence
"""


async def lock(
    tx: Tx, session_ids: Sequence[SessionId], names: Sequence[PaymentName]
) -> list[Payment]:
    """The payments of those sessions, and those of these names, oldest first; held until the
    transaction ends."""
    rows = await tx.fetch(
        _LOCK,
        list(session_ids),
        [network for network, _, _ in names],
        [tx_hash for _, tx_hash, _ in names],
        [log_position for _, _, log_position in names],
    )
    return [_payment(row) for row in rows]


async def of_sessions(tx: Tx, session_ids: Sequence[SessionId]) -> dict[SessionId, list[Payment]]:
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
