"""What comes to an address or a contract of ours without being part of a payment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.chain.decode import Decoded, Watches, decode
from gstable_server.chain.facts import FactWhat, InboundLog, PaymentLog, RecoveryLog
from gstable_server.chain.inbound import (
    DUST,
    RECEIVERS_AT_ONCE,
    SPAM_A_DAY,
    contracts_of,
    filters,
    is_spam,
)
from gstable_server.chain.indexer import Indexer
from gstable_server.chain.operations import forget_receivers, watch_receiver
from gstable_server.chain.rpc import Log
from gstable_server.chain.testing import MERCHANT, PAYER, TOKEN, FakeChain
from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.chain.indexing import drain, facts_of
from tests.unit.chain.logs import (
    CCTP,
    COLLECTOR,
    NETWORK,
    RAILS,
    SENDER,
    SWAP,
    arrived,
    paid,
    recovered,
    routed,
    transferred,
)

pytestmark = pytest.mark.anyio

TX, DEPOSIT, UNKNOWN = b"\x77" * 32, Address(b"\x66" * 20), Address(b"\x99" * 20)


def decoded(*logs: Log, receivers: tuple[Address, ...] = ()) -> Decoded:
    chain = FakeChain(NETWORK)
    header = chain.mine_logs(logs)
    return decode(NETWORK, header, chain.blocks[-1].logs, RAILS, Watches((SENDER,), receivers))


def arrivals(*logs: Log, receivers: tuple[Address, ...] = ()) -> list[tuple[Address, int]]:
    found = decoded(*logs, receivers=receivers).logs
    return [(log.receiver, log.amount) for log in found if isinstance(log, InboundLog)]


@pytest.mark.parametrize("receiver", sorted(contracts_of(NETWORK)), ids=bytes.hex)
@pytest.mark.parametrize("token", [TOKEN, UNKNOWN], ids=["ours", "unknown"])
def test_con_15_any_token_that_comes_to_a_contract_of_ours_is_told(
    receiver: Address, token: Address
) -> None:
    found = decoded(arrived(TX, 7, receiver=receiver, token=token))
    [log] = found.logs
    assert isinstance(log, InboundLog)
    assert (log.token, log.sender, log.receiver, log.amount) == (token, PAYER, receiver, 7)
    assert found.foreign == 0


def test_only_watched_addresses_beside_our_contracts_are_told_of() -> None:
    log = arrived(TX, receiver=DEPOSIT)
    assert arrivals(log, receivers=(DEPOSIT,)) == [(DEPOSIT, 5_000_000)]
    assert (decoded(log).logs, decoded(log).foreign) == ((), 1)


def test_chk_11_an_address_that_looks_alike_brings_nothing() -> None:
    """A thief sends from and to addresses that begin and end like one of ours."""
    likes = Address(DEPOSIT[:4] + bytes(12) + DEPOSIT[-4:])
    poison = arrived(TX, 5_000_000, receiver=likes)
    assert arrivals(poison, receivers=(DEPOSIT,)) == []


def test_chk_11_a_transfer_of_nothing_is_foreign() -> None:
    assert decoded(arrived(TX, 0)).foreign == 1


@pytest.mark.parametrize(
    "logs",
    [
        # EIP-3009: the router takes it in and gives it on.
        [arrived(TX, 9), arrived(TX, 9, sender=NETWORK.router, receiver=MERCHANT), paid(TX)],
        [arrived(TX, 9), arrived(TX, 9, sender=NETWORK.router, receiver=CCTP), routed(TX)],
        [arrived(TX, 9, receiver=CCTP), routed(TX)],
        # A swap of a deposit: the change goes back to it.
        [
            arrived(TX, 10_200_000, receiver=SWAP),
            arrived(TX, 200_000, sender=SWAP, receiver=PAYER),
            routed(TX, SWAP),
        ],
    ],
    ids=["relayed", "relayed to a rail", "routed", "change"],
)
def test_chn_06_what_is_part_of_a_payment_is_no_arrival(logs: list[Log]) -> None:
    found = decoded(*logs, receivers=(PAYER,))
    assert [type(log) for log in found.logs] == [PaymentLog]
    assert found.foreign == sum(log.topics[2][12:] == MERCHANT for log in logs[:-1])


def test_chn_07_what_is_sent_beside_a_payment_in_its_transaction_is_told() -> None:
    stray, pull = arrived(TX, 3, receiver=CCTP), arrived(TX, 10_000_000, receiver=CCTP)
    assert arrivals(stray, pull, routed(TX)) == [(CCTP, 3)]
    # Behind the payment, of another payer, in another token, or in another transaction.
    assert arrivals(pull, routed(TX), stray) == [(CCTP, 3)]
    by_other = arrived(TX, 3, receiver=CCTP, sender=SENDER)
    assert arrivals(pull, by_other, routed(TX)) == [(CCTP, 3)]
    unknown = arrived(TX, 3, receiver=CCTP, token=UNKNOWN)
    assert arrivals(pull, unknown, routed(TX)) == [(CCTP, 3)]
    assert arrivals(arrived(b"\x01" * 32, 3, receiver=CCTP), routed(TX)) == [(CCTP, 3)]


def test_the_second_payment_of_a_transaction_has_transfers_of_its_own() -> None:
    pull = arrived(TX, 10_000_000, receiver=CCTP)
    assert arrivals(pull, routed(TX), pull, routed(TX)) == []
    assert arrivals(pull, pull, routed(TX), routed(TX)) == [(CCTP, 10_000_000)]


def test_a_transfer_of_a_watched_wallet_to_a_contract_of_ours_is_told_twice() -> None:
    found = decoded(arrived(TX, 3, sender=SENDER))
    assert [log.kind.value for log in found.logs] == ["transfer", "inbound"]
    assert len(decoded(transferred(TX), receivers=(PAYER,)).logs) == 2


def test_what_went_back_is_told_by_the_collector_alone() -> None:
    [log] = decoded(recovered(TX, 8)).logs
    assert isinstance(log, RecoveryLog)
    assert (log.token, log.receiver, log.amount) == (TOKEN, PAYER, 8)
    assert decoded(replace(recovered(TX), address=UNKNOWN)).foreign == 1


def test_many_receivers_are_asked_for_in_several_questions() -> None:
    receivers = [Address(number.to_bytes(20, "big")) for number in range(2 * RECEIVERS_AT_ONCE)]
    places = [place for asked in filters(NETWORK, receivers) if (place := asked.topics[2])]
    assert [len(place) for place in places][:2] == [RECEIVERS_AT_ONCE, RECEIVERS_AT_ONCE]
    assert len({word for place in places for word in place}) == len(receivers) + 6


TRANSFERS = st.tuples(
    st.sampled_from([PAYER, SENDER, NETWORK.router, CCTP, SWAP]),
    st.sampled_from([NETWORK.router, CCTP, SWAP, COLLECTOR, DEPOSIT, MERCHANT]),
    st.sampled_from([TOKEN, UNKNOWN]),
    st.integers(0, 3),
)


@given(st.lists(TRANSFERS, max_size=12))
def test_without_a_payment_all_that_comes_in_is_told_to_the_unit(
    transfers: list[tuple[Address, Address, Address, int]],
) -> None:
    logs = [
        arrived(TX, amount, sender=sender, receiver=receiver, token=token)
        for sender, receiver, token, amount in transfers
    ]
    ours = {*contracts_of(NETWORK), DEPOSIT}
    found = [
        (log.sender, log.receiver, log.token, log.amount)
        for log in decoded(*logs, receivers=(DEPOSIT,)).logs
        if isinstance(log, InboundLog)
    ]
    assert found == [each for each in transfers if each[1] in ours and each[3]]


# --- through the indexer --------------------------------------------------------------------------


async def told(database: Database) -> list[tuple[FactWhat, int]]:
    facts = await facts_of(database, NETWORK.name)
    return [(fact.what, fact.log.amount) for fact in facts if isinstance(fact.log, InboundLog)]


async def test_an_address_is_watched_until_blocks_of_after_its_time_are_final(
    database: Database, clock: FakeClock
) -> None:
    chain = FakeChain(NETWORK)
    indexer = Indexer(database, NETWORK, [chain], RAILS)
    await drain(indexer)
    chain.mine_logs([arrived(b"\x01" * 32, 100_000, receiver=DEPOSIT)])
    await drain(indexer)
    until = clock.now() + timedelta(days=1)
    await database.run(watch_receiver, NETWORK.name, DEPOSIT, until)
    chain.mine_logs([arrived(b"\x02" * 32, 200_000, receiver=DEPOSIT)])
    await drain(indexer)
    # By the clock its time is over; but blocks of before, after an outage, may be yet to be read.
    clock.advance(86_400)
    assert await database.run(forget_receivers) == 0
    chain.mine_logs([arrived(b"\x03" * 32, 300_000, receiver=DEPOSIT)])
    await drain(indexer)
    async with database.begin() as tx:
        await tx.execute("UPDATE chain_blocks SET block_time = $1", until)
    assert await database.run(forget_receivers) == 1
    chain.mine_logs([arrived(b"\x04" * 32, 400_000, receiver=DEPOSIT)])
    await drain(indexer)
    seen = [amount for what, amount in await told(database) if what is FactWhat.SEEN]
    assert seen == [200_000, 300_000]


async def test_chn_22_spam_is_told_so_often_and_money_always(database: Database) -> None:
    chain = FakeChain(NETWORK)
    indexer = Indexer(database, NETWORK, [chain], RAILS)
    await drain(indexer)
    spam = [
        arrived(number.to_bytes(32, "big"), 10**30, token=UNKNOWN)
        for number in range(3 * SPAM_A_DAY)
    ]
    dust = [arrived(b"\xd5" * 32, DUST - 1) for _ in range(3)]
    chain.mine_logs([*spam, *dust, arrived(TX, DUST)])
    chain.mine_logs(dust)
    await drain(indexer)
    seen = [amount for what, amount in await told(database) if what is FactWhat.SEEN]
    assert seen == [10**30] * SPAM_A_DAY + [DUST]
    # Another address has a count of its own.
    chain.mine_logs([arrived(b"\xd6" * 32, 1, receiver=COLLECTOR)])
    await drain(indexer)
    assert (FactWhat.SEEN, 1) in await told(database)


def test_chn_22_what_counts_as_spam() -> None:
    [unknown] = decoded(arrived(TX, 10**30, token=UNKNOWN)).logs
    [dust], [money] = decoded(arrived(TX, DUST - 1)).logs, decoded(arrived(TX, DUST)).logs
    assert [is_spam(NETWORK, log) for log in (unknown, dust, money)] == [True, True, False]
    [payment] = decoded(paid(TX)).logs
    assert not is_spam(NETWORK, payment)
