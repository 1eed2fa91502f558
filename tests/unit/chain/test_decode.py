"""What counts as a payment: only our router's own event, whatever else is in the block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.chain.checksum import keccak256
from gstable_server.chain.decode import Decoded, Watches, decode, named_for_good
from gstable_server.chain.facts import ChainLog, PaymentLog
from gstable_server.chain.rpc import Header, Log
from gstable_server.chain.testing import FakeChain, fake_network
from gstable_server.kernel.address import Address

NETWORK = fake_network()
LOOK_ALIKE = Address(b"\x66" * 20)


def mined(*logs: Log) -> tuple[Header, tuple[Log, ...]]:
    chain = FakeChain(NETWORK)
    header = chain.mine_logs(logs)
    return header, chain.blocks[-1].logs


def decoded(header: Header, logs: Sequence[Log]) -> Decoded:
    return decode(NETWORK, header, logs, (), Watches())


def a_log() -> Log:
    return FakeChain(NETWORK).payment().log(NETWORK.router)


def test_payment_is_read_member_by_member() -> None:
    chain = FakeChain(NETWORK)
    payment = chain.payment()
    header = chain.mine(payment)
    [found] = decoded(header, chain.blocks[-1].logs).logs
    assert found == PaymentLog(
        network="fake",
        chain_id=1337001,
        tx_hash=payment.tx_hash,
        log_position=0,
        block_number=1,
        block_hash=header.hash,
        block_time=found.block_time,
        session_key=payment.session_key,
        payer=payment.payer,
        merchant=payment.merchant,
        token=payment.token,
        amount=payment.merchant_received,
        rail=None,
        rail_data=b"",
        settlement_chain_id=1337001,
        settlement_token=payment.token,
        merchant_amount=payment.merchant_received,
        merchant_received=payment.merchant_received,
        fee_received=payment.fee_received,
        fee_receiver=payment.fee_receiver,
    )
    assert int(found.block_time.timestamp()) == header.timestamp


def test_chn_01_event_of_a_look_alike_contract_is_foreign() -> None:
    header, logs = mined(replace(a_log(), address=LOOK_ALIKE))
    found = decoded(header, logs)
    assert (found.logs, found.foreign) == ((), 1)


def test_chn_02_event_of_a_copy_of_our_router_with_our_session_is_foreign() -> None:
    chain = FakeChain(NETWORK)
    payment = chain.payment()
    header = chain.mine_logs([payment.log(LOOK_ALIKE), payment.log(NETWORK.router)])
    found = decoded(header, chain.blocks[-1].logs)
    assert len(found.logs) == 1
    assert found.foreign == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda log: replace(log, topics=()),
        lambda log: replace(log, topics=log.topics[:3]),
        lambda log: replace(log, topics=(keccak256(b"Other()"), *log.topics[1:])),
        lambda log: replace(log, data=log.data[:-1]),
        lambda log: replace(log, data=log.data + bytes(32)),
        lambda log: replace(log, data=b""),
        lambda log: replace(log, topics=(*log.topics[:2], b"\x01" * 32, log.topics[3])),
        lambda log: replace(log, data=b"\x01" * 128),
    ],
    ids=[
        "no topics",
        "a topic missing",
        "another event",
        "a byte short",
        "a word long",
        "no data",
        "dirty payer",
        "dirty addresses",
    ],
)
def test_chn_01_anything_else_of_the_router_is_no_payment(change: object) -> None:
    assert callable(change)
    header, logs = mined(change(a_log()))
    assert decoded(header, logs).logs == ()


def test_chn_05_several_payments_in_one_transaction_have_their_own_positions() -> None:
    chain = FakeChain(NETWORK)
    first, second, other = chain.payment(), chain.payment(), chain.payment()
    together = replace(second, tx_hash=first.tx_hash)
    header = chain.mine(first, other, together)
    found = named_for_good(decoded(header, chain.blocks[-1].logs).logs, ())
    assert [(p.tx_hash, p.log_position) for p in found] == [
        (first.tx_hash, 0),
        (other.tx_hash, 0),
        (first.tx_hash, 1),
    ]


def test_chn_05_names_survive_mining_again_in_another_order() -> None:
    chain = FakeChain(NETWORK)
    first = chain.payment()
    second = replace(chain.payment(), tx_hash=first.tx_hash)
    third = replace(chain.payment(), tx_hash=first.tx_hash)
    before = decoded(chain.mine(first, second), chain.blocks[-1].logs).logs
    known = named_for_good(before, ())
    chain.take_back(1)
    found = decoded(chain.mine(third, second, first), chain.blocks[-1].logs).logs
    assert names(named_for_good(found, reversed(known))) == [
        (third.session_key, 2),
        (second.session_key, 1),
        (first.session_key, 0),
    ]


def names(logs: Iterable[ChainLog]) -> list[tuple[bytes, int]]:
    return [(log.session_key, log.log_position) for log in logs if isinstance(log, PaymentLog)]


def test_chn_21_time_of_a_block_is_taken_as_it_is() -> None:
    chain = FakeChain(NETWORK)
    for second in (0, 253_402_300_799):
        header = chain.mine(chain.payment(), timestamp=second)
        [found] = decoded(header, chain.blocks[-1].logs).logs
        assert int(found.block_time.timestamp()) == second


amounts = st.integers(0, 2**256 - 1)
addresses = st.binary(min_size=20, max_size=20).map(Address)


@given(amounts, amounts, addresses)
def test_chn_06_amounts_are_exact(received: int, fee: int, account: Address) -> None:
    chain = FakeChain(NETWORK)
    payment = replace(chain.payment(), merchant_received=received, fee_received=fee, payer=account)
    header = chain.mine(payment)
    [log] = decoded(header, chain.blocks[-1].logs).logs
    assert isinstance(log, PaymentLog)
    assert (log.merchant_received, log.fee_received, log.payer) == (received, fee, account)
