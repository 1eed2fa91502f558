"""Routed payments, what rails tell, watched transfers, and the names that all of them keep."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.chain import abi
from gstable_server.chain.abi.payments import TRANSFERRED
from gstable_server.chain.decode import (
    SENDERS_AT_ONCE,
    Decoded,
    Watches,
    decode,
    named_for_good,
    wanted,
)
from gstable_server.chain.facts import (
    ChainLog,
    DeliveryLog,
    EscrowLog,
    HoldLog,
    HoldWhat,
    InboundLog,
    LogKind,
    PaymentLog,
    RailName,
    TransferLog,
)
from gstable_server.chain.networks import Cctp
from gstable_server.chain.rpc import Log, LogFilter
from gstable_server.chain.testing import (
    FEE_RECEIVER,
    MERCHANT,
    PAYER,
    TOKEN,
    FakeChain,
    FakeRouted,
)
from gstable_server.kernel.address import Address
from tests.unit.chain.logs import (
    CCTP,
    COLLECTOR,
    ELSEWHERE,
    ESCROW,
    HOLD,
    NETWORK,
    ONE_OF_EACH,
    ORDER,
    RAILS,
    SENDER,
    SESSION,
    SOLVER,
    SWAP,
    captured,
    paid,
    routed,
    transferred,
)

TX, STRANGER = b"\x77" * 32, Address(b"\x66" * 20)


def decoded(*logs: Log, senders: tuple[Address, ...] = (SENDER,)) -> Decoded:
    chain = FakeChain(NETWORK)
    header = chain.mine_logs(logs)
    return decode(NETWORK, header, chain.blocks[-1].logs, RAILS, Watches(senders))


def only(found: Decoded) -> ChainLog:
    [log] = found.logs
    return log


@pytest.mark.parametrize(
    ("rail", "name"), [(CCTP, RailName.CCTP), (ESCROW, RailName.ESCROW), (HOLD, RailName.HOLD)]
)
def test_routed_payment_is_read_member_by_member(rail: Address, name: RailName) -> None:
    log = only(decoded(routed(TX, rail)))
    assert log == PaymentLog(
        network="fake",
        chain_id=1337001,
        tx_hash=TX,
        log_position=0,
        block_number=1,
        block_hash=log.block_hash,
        block_time=log.block_time,
        session_key=SESSION,
        payer=PAYER,
        merchant=MERCHANT,
        token=TOKEN,
        amount=10_000_000,
        fee_received=20_000,
        fee_receiver=FEE_RECEIVER,
        rail=name,
        rail_data=b"terms of the rail",
        settlement_chain_id=ELSEWHERE,
        settlement_token=TOKEN,
        merchant_amount=9_990_000,
        merchant_received=0,
    )


@pytest.mark.parametrize(
    ("chain_id", "received"), [(1337001, 9_995_000), (ELSEWHERE, 0)], ids=["here", "elsewhere"]
)
def test_merchant_received_what_the_rail_delivered_on_this_chain(
    chain_id: int, received: int
) -> None:
    payment = FakeRouted(TX, SESSION, SWAP, settlement_chain_id=chain_id, delivered=9_995_000).log(
        NETWORK.router
    )
    log = only(decoded(payment))
    assert isinstance(log, PaymentLog)
    assert (log.merchant_received, log.merchant_amount) == (received, 9_990_000)


@given(
    st.binary(max_size=200),
    st.lists(st.integers(0, 2**256 - 1), min_size=4, max_size=4),
    st.binary(min_size=20, max_size=20),
)
def test_chn_06_amounts_and_terms_of_a_routed_payment_are_exact(
    rail_data: bytes, numbers: list[int], account: bytes
) -> None:
    spent, fee, promised, settlement_chain_id = numbers
    payment = FakeRouted(
        TX,
        SESSION,
        CCTP,
        merchant=Address(account),
        spent=spent,
        fee_received=fee,
        merchant_amount=promised,
        settlement_chain_id=settlement_chain_id,
        rail_data=rail_data,
    )
    log = only(decoded(payment.log(NETWORK.router)))
    assert isinstance(log, PaymentLog)
    assert (log.amount, log.fee_received, log.merchant_amount) == (spent, fee, promised)
    assert (log.settlement_chain_id, log.rail_data) == (settlement_chain_id, rail_data)
    assert log.merchant == account


@pytest.mark.parametrize("rail", [STRANGER, NETWORK.router, Address(bytes(20))])
def test_chn_02_payment_over_a_rail_that_is_not_configured_is_foreign_and_never_credited(
    rail: Address,
) -> None:
    log = routed(TX, rail)
    found = decoded(log, paid(b"\x78" * 32))
    assert [each.tx_hash for each in found.logs] == [b"\x78" * 32]
    assert found.foreign == 1
    assert [stray.tx_hash for stray in found.strays] == [TX]


def test_chn_01_routed_payment_of_another_contract_is_foreign_without_alarm() -> None:
    found = decoded(replace(routed(TX), address=STRANGER))
    assert (found.logs, found.foreign, found.strays) == ((), 1, ())


def word_changed(log: Log, place: int, word: bytes) -> Log:
    return replace(log, data=log.data[: place * 32] + word + log.data[place * 32 + 32 :])


@pytest.mark.parametrize(
    "change",
    [
        lambda log: replace(log, topics=log.topics[:3]),
        lambda log: replace(log, topics=(*log.topics, bytes(32))),
        lambda log: replace(log, topics=(*log.topics[:2], b"\x01" * 32, log.topics[3])),
        lambda log: replace(log, topics=(*log.topics[:3], b"\x01" + log.topics[3][1:])),
        lambda log: replace(log, data=b""),
        lambda log: replace(log, data=log.data[: 10 * 32]),
        lambda log: replace(log, data=log.data[:-1]),
        lambda log: replace(log, data=log.data[:-32]),
        lambda log: replace(log, data=log.data + bytes(32)),
        lambda log: replace(log, data=log.data[:-1] + b"\x01"),
        lambda log: word_changed(log, 0, b"\x01" * 32),
        lambda log: word_changed(log, 6, b"\x01" * 32),
        lambda log: word_changed(log, 9, abi.number_word(9 * 32)),
        lambda log: word_changed(log, 9, abi.number_word(11 * 32)),
        lambda log: word_changed(log, 9, b"\xff" * 32),
        lambda log: word_changed(log, 10, abi.number_word(16)),
        lambda log: word_changed(log, 10, abi.number_word(33)),
        lambda log: word_changed(log, 10, b"\xff" * 32),
    ],
    ids=[
        "a topic missing",
        "a topic too many",
        "dirty payer",
        "dirty rail",
        "no data",
        "no terms",
        "a byte short",
        "a word short",
        "a word long",
        "dirty padding",
        "dirty merchant",
        "dirty token",
        "terms within the words",
        "terms behind their end",
        "terms out of reach",
        "terms cut short",
        "terms too long",
        "terms without end",
    ],
)
def test_chn_01_routed_payment_that_is_not_laid_out_exactly_is_not_read(change: object) -> None:
    assert callable(change)
    found = decoded(change(routed(TX)))
    assert (found.logs, found.foreign) == ((), 1)


def test_rails_tell_what_their_contracts_wrote() -> None:
    found = decoded(*(write(TX) for write in ONE_OF_EACH.values()))
    payment, delivery, escrow, hold, transfer, inbound, recovery = found.logs
    assert found.foreign == 0
    assert {log.session_key for log in (payment, delivery, escrow, hold, recovery)} == {SESSION}  # type: ignore[attr-defined]
    assert isinstance(delivery, DeliveryLog)
    assert (delivery.reference, delivery.solver, delivery.source_chain_id) == (
        ORDER,
        SOLVER,
        ELSEWHERE,
    )
    assert isinstance(escrow, EscrowLog)
    assert (escrow.order_id, escrow.receiver) == (ORDER, SOLVER)
    assert isinstance(hold, HoldLog)
    assert (hold.what, hold.amount, hold.remaining) == (HoldWhat.CAPTURED, 4_000_000, 6_000_000)
    assert isinstance(transfer, TransferLog)
    assert (transfer.sender, transfer.receiver, transfer.amount) == (SENDER, PAYER, 7)
    assert isinstance(inbound, InboundLog)
    assert (inbound.sender, inbound.receiver) == (PAYER, NETWORK.router)


def test_chn_01_logs_of_other_contracts_are_never_asked_of_rails() -> None:
    ours = ONE_OF_EACH.items()
    # A transfer to us is told in any token, because people look for what they sent.
    logs = [replace(write(TX), address=STRANGER) for kind, write in ours if kind != "inbound"]
    found = decoded(*logs)
    assert (found.logs, found.foreign) == ((), len(logs))


@pytest.mark.parametrize(
    "change",
    [
        lambda log: replace(log, address=STRANGER),
        lambda log: replace(log, topics=log.topics[:2]),
        lambda log: replace(log, topics=(*log.topics, bytes(32))),
        lambda log: replace(log, topics=(log.topics[0], abi.address_word(PAYER), log.topics[2])),
        lambda log: replace(log, topics=(log.topics[0], b"\x01" + log.topics[1][1:])),
        lambda log: replace(log, data=log.data + bytes(32)),
        lambda log: replace(log, data=b""),
    ],
    ids=[
        "another token",
        "a topic missing",
        "a topic too many",
        "another sender",
        "dirty sender",
        "a word long",
        "no data",
    ],
)
def test_chn_01_only_transfers_of_our_tokens_by_watched_senders_are_told(change: object) -> None:
    assert callable(change)
    found = decoded(change(transferred(TX)))
    assert (found.logs, found.foreign, found.strays) == ((), 1, ())


def test_one_question_names_every_contract_and_one_more_the_watched_senders() -> None:
    transmitter = Address(b"\x55" * 20)
    network = replace(NETWORK, cctp=Cctp(7, Address(b"\x56" * 20), transmitter, "http://127.0.0.1"))
    contracts = (network.router, SWAP, CCTP, ESCROW, HOLD, transmitter, COLLECTOR)
    named = (network.router, SWAP, CCTP, ESCROW, HOLD, COLLECTOR)
    ours = tuple(sorted(map(abi.address_word, named)))
    to_us = LogFilter((), ((TRANSFERRED.topic,), None, ours))
    assert wanted(network, Watches()) == (LogFilter(contracts), to_us)
    senders = ((TRANSFERRED.topic,), (abi.address_word(PAYER), abi.address_word(SENDER)))
    of_senders = LogFilter((TOKEN,), senders)
    assert wanted(network, Watches({SENDER, PAYER})) == (LogFilter(contracts), of_senders, to_us)
    without = replace(network, tokens=())
    assert wanted(without, Watches({SENDER})) == (LogFilter(contracts), to_us)


def test_many_senders_are_asked_for_in_several_questions() -> None:
    senders = [Address(number.to_bytes(20, "big")) for number in range(2 * SENDERS_AT_ONCE + 1)]
    _, *questions, _ = wanted(NETWORK, Watches(senders))
    places = [place for question in questions if (place := question.topics[1]) is not None]
    assert [word for place in places for word in place] == [
        abi.address_word(sender) for sender in senders
    ]
    assert max(map(len, places)) == SENDERS_AT_ONCE


def test_chn_05_repeated_captures_and_transfers_of_one_transaction_are_each_one_log() -> None:
    logs = [
        captured(TX, 1_000_000),
        transferred(TX, 1),
        captured(TX, 2_000_000),
        transferred(TX, 1),
    ]
    first = named_for_good(decoded(*logs).logs, ())
    assert [log.log_position for log in first] == [0, 1, 2, 3]
    # Mined again behind a payment that is new in the same transaction.
    again = named_for_good(decoded(paid(TX), *logs).logs, reversed(first))
    assert [log.log_position for log in again] == [4, 0, 1, 2, 3]


def test_chn_05_capture_that_is_missing_when_mined_again_leaves_the_others_their_names() -> None:
    first = named_for_good(decoded(captured(TX), captured(TX), transferred(TX)).logs, ())
    again = named_for_good(decoded(captured(TX), transferred(TX)).logs, first)
    assert [log.log_position for log in again] == [0, 2]


def test_chn_05_a_payment_told_twice_in_one_transaction_has_one_name() -> None:
    """A router pays a session once: the indexer takes the second for a provider's lie."""
    found = named_for_good(decoded(paid(TX), paid(TX)).logs, ())
    assert [log.log_position for log in found] == [0, 0]


minings = st.lists(
    st.lists(
        st.sampled_from(
            [
                *(write(TX) for write in ONE_OF_EACH.values()),
                paid(TX, b"\x01" * 32),
                paid(TX, b"\x02" * 32),
                captured(TX, 5_000_000),
                transferred(TX, 8),
            ]
        ),
        max_size=6,
    ),
    min_size=2,
    max_size=5,
)


@given(minings)
def test_chn_05_names_are_unique_and_kept_however_often_a_transaction_is_mined(
    blocks: list[list[Log]],
) -> None:
    known: dict[int, ChainLog] = {}
    for logs in blocks:
        found = decoded(*logs).logs
        unique = {(log.kind, log.key): log for log in found}
        once = [log for log in found if log.kind in (LogKind.HOLD, LogKind.TRANSFER)]
        once += [log for log in unique.values() if log not in once]
        named = named_for_good(once, known.values())
        positions = [log.log_position for log in named]
        assert len(set(positions)) == len(positions)
        for log in named:
            before = known.setdefault(log.log_position, log)
            assert (before.kind, before.key) == (log.kind, log.key)
        known |= {log.log_position: log for log in named}
    # Nothing is left out: positions are given from 0 on.
    assert sorted(known) == list(range(len(known)))
    repeats = [log for log in known.values() if log.kind is LogKind.PAYMENT]
    assert len({log.key for log in repeats}) == len(repeats)


def test_log_filters_admit_what_nodes_admit() -> None:
    log = transferred(TX)
    assert LogFilter((TOKEN,)).admits(log)
    assert LogFilter((STRANGER, TOKEN), ((TRANSFERRED.topic,),)).admits(log)
    assert not LogFilter((STRANGER,)).admits(log)
    assert not LogFilter((TOKEN,), ((TRANSFERRED.topic,), (bytes(32),))).admits(log)
    assert not LogFilter((TOKEN,), ((bytes(32),),)).admits(log)
    too_long = tuple((topic,) for topic in (*log.topics, bytes(32)))
    assert not LogFilter((TOKEN,), too_long).admits(log)
    to_payer = (abi.address_word(PAYER),)
    assert LogFilter((), ((TRANSFERRED.topic,), None, to_payer)).admits(log)
    assert not LogFilter((), ((TRANSFERRED.topic,), None, (bytes(32),))).admits(log)
    assert not LogFilter((), ((TRANSFERRED.topic,), to_payer)).admits(log)


@pytest.mark.parametrize(
    "empty",
    [((), ()), ((), ((TRANSFERRED.topic,), None)), ((TOKEN,), ((),))],
    ids=["addresses", "one place", "topics"],
)
def test_filter_that_nodes_would_take_for_everything_cannot_be_made(
    empty: tuple[tuple[Address, ...], tuple[tuple[bytes, ...] | None, ...]],
) -> None:
    with pytest.raises(AssertionError):
        LogFilter(*empty)


def test_chn_22_transfer_of_nothing_in_the_name_of_a_watched_sender_is_not_told() -> None:
    """Anybody may make any number of them."""
    found = decoded(transferred(TX, 0), transferred(TX, 1))
    assert [log.amount for log in found.logs if isinstance(log, TransferLog)] == [1]
    assert found.foreign == 1
