"""Facts of every kind of log: their names, and that they survive being written and read."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.chain.facts import (
    ChainLog,
    DeliveryLog,
    EscrowLog,
    EscrowWhat,
    Fact,
    FactWhat,
    HoldLog,
    HoldWhat,
    LogKind,
    PaymentLog,
    RailName,
    TransferLog,
    from_payload,
    to_payload,
)
from gstable_server.kernel.address import Address

words = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20).map(Address)
amounts = st.integers(0, 2**256 - 1)
place = {
    "network": st.sampled_from(["polygon", "base"]),
    "chain_id": st.integers(1, 2**53),
    "tx_hash": words,
    "log_position": st.integers(0, 1000),
    "block_number": st.integers(0, 2**53),
    "block_hash": words,
    "block_time": st.integers(0, 4_000_000_000).map(lambda at: datetime.fromtimestamp(at, UTC)),
}
payments = st.builds(
    PaymentLog,
    **place,
    session_key=words,
    payer=addresses,
    merchant=addresses,
    token=addresses,
    amount=amounts,
    fee_received=amounts,
    fee_receiver=addresses,
    rail=st.none() | st.sampled_from(RailName),
    rail_data=st.binary(max_size=100),
    settlement_chain_id=amounts,
    settlement_token=addresses,
    merchant_amount=amounts,
    merchant_received=amounts,
)
deliveries = st.builds(
    DeliveryLog,
    **place,
    session_key=words,
    rail=st.sampled_from(RailName),
    merchant=addresses,
    token=addresses,
    amount=amounts,
    fee=amounts,
    reference=st.binary(max_size=40),
    solver=st.none() | addresses,
    source_chain_id=st.none() | amounts,
)
escrows = st.builds(
    EscrowLog,
    **place,
    session_key=words,
    order_id=words,
    what=st.sampled_from(EscrowWhat),
    receiver=addresses,
    token=addresses,
    amount=amounts,
)
holds = st.builds(
    HoldLog,
    **place,
    session_key=words,
    what=st.sampled_from(HoldWhat),
    receiver=addresses,
    token=addresses,
    amount=amounts,
    merchant_received=amounts,
    fee_received=amounts,
    remaining=amounts,
)
transfers = st.builds(
    TransferLog, **place, token=addresses, sender=addresses, receiver=addresses, amount=amounts
)
logs = payments | deliveries | escrows | holds | transfers


@given(logs, st.sampled_from(FactWhat))
def test_fact_survives_being_written_and_read(log: ChainLog, what: FactWhat) -> None:
    fact = Fact(what, log)
    read = from_payload(json.loads(json.dumps(to_payload(fact))))
    assert read == fact
    assert type(read.log) is type(log)
    assert type(read.log.block_time) is datetime


@given(logs, st.sampled_from(FactWhat))
def test_amounts_are_text_in_json_and_bytes_hexadecimal(log: ChainLog, what: FactWhat) -> None:
    written = to_payload(Fact(what, log))["log"]
    numbers = {name for name, value in written.items() if isinstance(value, int)}
    assert numbers == {"chainId", "logPosition", "blockNumber", "blockTime"}
    assert written["txHash"] == "0x" + log.tx_hash.hex()
    assert written["kind"] == log.kind


@pytest.mark.parametrize(
    ("kind", "strategy"),
    [
        (LogKind.PAYMENT, payments),
        (LogKind.DELIVERY, deliveries),
        (LogKind.ESCROW, escrows),
        (LogKind.HOLD, holds),
        (LogKind.TRANSFER, transfers),
    ],
)
def test_every_kind_has_its_events(kind: LogKind, strategy: st.SearchStrategy[ChainLog]) -> None:
    @given(strategy)
    def names(log: ChainLog) -> None:
        told = [Fact(what, log).event_type for what in FactWhat]
        assert told == [f"chain.{kind}_{word}" for word in ("seen", "final", "reorged", "lost")]

    names()


@given(payments | deliveries | escrows | holds)
def test_what_happens_to_a_session_on_a_network_has_one_subject(log: ChainLog) -> None:
    assert isinstance(log, (PaymentLog, DeliveryLog, EscrowLog, HoldLog))
    assert log.subject == f"{log.network}:0x{log.session_key.hex()}"


@given(transfers)
def test_transfers_of_a_sender_have_one_subject(log: TransferLog) -> None:
    assert log.subject == f"{log.network}:0x{log.sender.hex()}"


@given(escrows | holds)
def test_where_the_money_went_is_part_of_the_key(log: EscrowLog | HoldLog) -> None:
    assert log.what.encode() in log.key
