"""What one provider's word is not enough for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gstable_server.chain.facts import PaymentLog, RailName
from gstable_server.chain.finality import needs_quorum
from gstable_server.chain.networks import Trust
from gstable_server.kernel.address import Address
from gstable_server.kernel.money import MicroUsd
from tests.unit.chain.indexing import NETWORK

LIMIT = 5_000_000
QUORUM = replace(NETWORK, trust=Trust(quorum_above=MicroUsd(LIMIT)))
[TOKEN] = [token.address for token in QUORUM.tokens]
UNKNOWN = Address(b"\x99" * 20)
SWAPPED = PaymentLog(
    network=QUORUM.name,
    chain_id=QUORUM.chain_id,
    tx_hash=bytes(32),
    log_position=0,
    block_number=1,
    block_hash=bytes(32),
    block_time=datetime(2026, 1, 1, tzinfo=UTC),
    session_key=bytes(32),
    payer=Address(b"\x01" * 20),
    merchant=Address(b"\x02" * 20),
    token=TOKEN,
    amount=1,
    fee_received=0,
    fee_receiver=Address(b"\x03" * 20),
    rail=RailName.SWAP,
    rail_data=b"",
    settlement_chain_id=QUORUM.chain_id,
    settlement_token=TOKEN,
    merchant_amount=1,
    merchant_received=LIMIT,
)


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, False),
        ({"merchant_received": LIMIT + 1}, True),
        ({"merchant_amount": LIMIT + 1}, True),
        ({"amount": LIMIT, "fee_received": 1}, True),
        ({"settlement_token": UNKNOWN}, True),
        # What is delivered on another network is judged where it arrives.
        ({"settlement_chain_id": QUORUM.chain_id + 1, "merchant_amount": LIMIT + 1}, False),
    ],
)
def test_chn_14_what_the_merchant_got_counts_as_much_as_what_was_spent(
    changes: dict[str, object], needed: bool
) -> None:
    swapped = replace(SWAPPED, **changes)  # type: ignore[arg-type]
    assert needs_quorum(QUORUM, swapped) is needed
    assert not needs_quorum(NETWORK, swapped), "nobody asked for a quorum"
