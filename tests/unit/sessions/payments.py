"""A payment for pure functions; ``replace`` makes of it the one that a test is about."""

from __future__ import annotations

from datetime import UTC, datetime

from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import PaymentId, SessionId
from gstable_server.sessions.model import Payment, PaymentState

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
PAYMENT = Payment(
    payment_id=PaymentId("pay_1"),
    session_id=SessionId("sess_1"),
    network="polygon",
    chain_id=1337137,
    tx_hash=bytes(32),
    log_position=0,
    block_number=1,
    block_hash=bytes(32),
    block_time=NOW,
    payer=Address(b"\x02" * 20),
    merchant=Address(b"\x01" * 20),
    token_id="polygon::usdc",
    decimals=6,
    amount=100,
    fee_received=0,
    rail=None,
    settlement_token="polygon::usdc",
    settlement_decimals=6,
    promised=100,
    merchant_received=100,
    state=PaymentState.FINAL,
    flags=frozenset(),
    pays=True,
    seen_at=NOW,
)
