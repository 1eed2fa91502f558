"""The indexer between providers that leave logs out, lag, fail and contradict each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import structlog

from gstable_server.chain.completeness import INTERNAL_TYPE, LogsIncomplete
from gstable_server.chain.finality import NO_TAG, warn_of_finality
from gstable_server.chain.indexer import Indexer, NetworkHalted, Step
from gstable_server.chain.networks import Finality, Network, Trust
from gstable_server.chain.providers import REST_STEPS_MAX, ProvidersDisagree
from gstable_server.chain.rpc import ProviderFailed, ProviderLied, UnknownBlock
from gstable_server.chain.testing import FakeChain, fake_network, receipts_over
from gstable_server.kernel.address import Address
from gstable_server.kernel.money import MicroUsd
from gstable_server.plumbing.db import Database
from tests.unit.chain.indexing import (
    FINAL,
    NETWORK,
    REORGED,
    SEEN,
    drain,
    facts_of,
    halted_reason,
    kinds,
    tip_of,
)

pytestmark = pytest.mark.anyio

FAR = 40
"""Blocks that are read together, not one by one."""
near_and_far = pytest.mark.parametrize("behind", [0, FAR], ids=["at the head", "in a range"])


@pytest.fixture
def other(chain: FakeChain) -> FakeChain:
    return chain.beside()


def reading(database: Database, *chains: FakeChain, network: Network = NETWORK) -> Indexer:
    return Indexer(database, network, chains, ())


# Logs that are left out.


@near_and_far
@pytest.mark.parametrize("part", ["all", "one"])
async def test_chn_11_log_that_is_left_out_is_found_in_the_receipts_at_once(
    database: Database, chain: FakeChain, behind: int, part: str
) -> None:
    payments = [chain.payment() for _ in range(3)]
    chain.mine(*payments)
    chain.mine_empty(behind)
    hidden = payments[1].tx_hash
    chain.omitted = lambda log: part == "all" or log.tx_hash == hidden
    with structlog.testing.capture_logs() as written:
        await drain(reading(database, chain))
    for payment in payments:
        assert (await kinds(database, payment))[0] is SEEN
    assert "logs were left out" in [line["event"] for line in written]


@near_and_far
async def test_chn_11_hole_is_never_marked_done(
    database: Database, chain: FakeChain, behind: int
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    chain.mine_empty(behind)
    chain.omitted, chain.omits_receipts = (lambda _log: True), True
    indexer = reading(database, chain)
    await indexer.converge()
    for _ in range(5):
        with pytest.raises(LogsIncomplete):
            await indexer.converge()
    assert await tip_of(database) == 0
    chain.omits_receipts = False
    await drain(indexer)
    assert (await kinds(database, payment))[0] is SEEN


@near_and_far
async def test_chn_11_second_provider_is_asked_within_the_same_poll(
    database: Database, chain: FakeChain, other: FakeChain, behind: int
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    chain.mine_empty(behind)
    chain.omitted, chain.omits_receipts = (lambda _log: True), True
    indexer = reading(database, chain, other)
    assert await indexer.converge() is Step.ADVANCED
    assert await indexer.converge() is Step.ADVANCED
    assert (await kinds(database, payment))[0] is SEEN


@near_and_far
async def test_chn_11_without_receipts_two_equal_answers_are_the_proof(
    database: Database, chain: FakeChain, other: FakeChain, behind: int
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    chain.mine_empty(behind)
    chain.gives_receipts = other.gives_receipts = False
    alone = reading(database, chain)
    await alone.converge()
    with pytest.raises(LogsIncomplete):
        await alone.converge()
    other.omitted = lambda _log: True
    with pytest.raises(LogsIncomplete):
        await reading(database, chain, other).converge()
    assert await facts_of(database) == []
    other.omitted = None
    await drain(reading(database, chain, other))
    assert (await kinds(database, payment))[0] is SEEN


async def test_chn_11_receipts_of_a_second_provider_prove_what_the_first_left_out(
    database: Database, chain: FakeChain, other: FakeChain
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    chain.gives_receipts, chain.omitted = False, lambda _log: True
    await drain(reading(database, chain, other))
    assert await kinds(database, payment) == [SEEN]


async def test_chn_11_empty_blocks_need_no_receipts(database: Database, chain: FakeChain) -> None:
    chain.mine_empty(30)
    await drain(reading(database, chain))
    assert chain.asked.count("receipts_of_block") == 0


async def test_chn_22_logs_of_others_by_the_thousand_cost_one_question_a_block(
    database: Database, chain: FakeChain
) -> None:
    for _ in range(4):
        payment = chain.payment()
        look_alike = Address(payment.tx_hash[:20])
        chain.mine_logs(
            [replace(payment, tx_hash=n.to_bytes(32)).log(look_alike) for n in range(500)]
        )
    await drain(reading(database, chain))
    assert await facts_of(database) == []
    assert chain.asked.count("receipts_of_block") <= 4
    assert len(chain.asked) <= 30


async def test_chn_04_log_of_a_failed_transaction_is_not_credited(
    database: Database, chain: FakeChain
) -> None:
    [receipt] = receipts_over([chain.payment().log(NETWORK.router)])
    chain.mine_receipts([replace(receipt, succeeded=False)])
    indexer = reading(database, chain)
    await indexer.converge()
    with pytest.raises(ProviderLied, match="failed transaction"):
        await indexer.converge()
    assert (await facts_of(database), await tip_of(database)) == ([], 0)


async def test_chn_27_log_of_an_internal_transaction_is_passed_over(
    database: Database, chain: FakeChain
) -> None:
    payment = chain.payment()
    [receipt] = receipts_over([chain.payment().log(NETWORK.router)])
    chain.mine_receipts([replace(receipt, type=INTERNAL_TYPE)])
    chain.mine(payment)
    await drain(reading(database, chain))
    assert [fact.log.tx_hash for fact in await facts_of(database)] == [payment.tx_hash]


async def test_chn_27_hours_of_blocks_at_once_after_silence_are_all_read(
    database: Database, chain: FakeChain
) -> None:
    indexer = reading(database, chain)
    await drain(indexer)
    payments = [chain.payment() for _ in range(5)]
    for payment in payments:  # two hours at a block every two seconds
        chain.mine_empty(720)
        chain.mine(payment)
    chain.mine_empty(3)
    await drain(indexer, steps=60)
    for payment in payments:
        assert await kinds(database, payment) == [SEEN, FINAL]
    assert await tip_of(database) == len(chain.blocks) - 1


# Providers that fail, lag and are of another chain.


async def test_chn_15_provider_that_fails_is_left_and_rests(
    database: Database, chain: FakeChain, other: FakeChain
) -> None:
    indexer = reading(database, chain, other)
    chain.trouble = [ProviderFailed("HTTP status 502") for _ in range(100)]
    for _ in range(10):
        chain.mine()
        await indexer.converge()
    assert await tip_of(database) == 9
    assert len(chain.asked) <= 3, "it rests longer after each failure"
    chain.trouble, chain.asked = [], []
    for _ in range(5):
        chain.mine()
        await drain(indexer)
    assert "block_and_next" in chain.asked, "the operator's order holds again"


async def test_provider_of_another_chain_is_never_believed(
    database: Database, chain: FakeChain
) -> None:
    wrong = FakeChain(NETWORK)
    wrong.actual_chain_id = 1
    wrong.mine(wrong.payment())
    with pytest.raises(ProviderLied, match="follows chain 1"):
        await drain(reading(database, wrong))
    payment = chain.payment()
    chain.mine(payment)
    await drain(reading(database, wrong, chain))
    assert [fact.log.tx_hash for fact in await facts_of(database)] == [payment.tx_hash]


async def test_chn_12_provider_that_stands_still_is_noticed_after_two_polls(
    database: Database, chain: FakeChain, other: FakeChain
) -> None:
    indexer = reading(database, chain, other)
    await drain(indexer)
    chain.visible = 0
    payment = chain.payment()
    chain.mine(payment)
    steps = [await indexer.converge() for _ in range(3)]
    assert Step.ADVANCED in steps
    assert await kinds(database, payment) == [SEEN]


async def test_chn_12_lagging_provider_is_no_reorganisation_and_the_other_goes_on(
    database: Database, chain: FakeChain, other: FakeChain
) -> None:
    chain.mine_empty(5)
    indexer = reading(database, chain, other)
    await drain(indexer)
    chain.visible = 2
    payment = chain.payment()
    chain.mine(payment)
    await indexer.converge()
    assert await kinds(database, payment) == [SEEN]


# Providers that contradict each other.


def branches(chain: FakeChain, other: FakeChain) -> None:
    """``other`` stays on the branch that ``chain`` leaves with its last block."""
    other.blocks = list(chain.blocks)
    chain.take_back(1)
    chain.mine_empty(2)
    other.mine_empty(2)


async def test_chn_14_two_providers_that_disagree_are_waited_for(
    database: Database, chain: FakeChain, other: FakeChain
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    indexer = reading(database, chain, other)
    await drain(indexer)
    branches(chain, other)
    for _ in range(5):
        with pytest.raises(ProvidersDisagree):
            await indexer.converge()
    assert await kinds(database, payment) == [SEEN]
    other.blocks = chain.blocks
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN, REORGED]


async def test_chn_14_the_majority_of_three_is_followed(
    database: Database, chain: FakeChain, other: FakeChain
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    third = chain.beside()
    indexer = reading(database, chain, other, third)
    await drain(indexer)
    branches(chain, other)
    third.blocks = other.blocks
    await drain(indexer)
    assert (await kinds(database, payment))[:2] == [SEEN, FINAL]
    assert (await facts_of(database))[-1].what is FINAL


async def test_chn_14_halt_by_one_provider_alone_is_a_disagreement_and_no_halt(
    database: Database, chain: FakeChain, other: FakeChain
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    chain.mine_empty(5)
    indexer = reading(database, chain, other)
    await drain(indexer)
    other.blocks = list(chain.blocks)
    chain.take_back(6)
    chain.mine_empty(8)
    with pytest.raises(ProvidersDisagree):
        await indexer.converge()
    assert await halted_reason(database) is None


QUORUM = replace(NETWORK, trust=Trust(quorum_above=MicroUsd(5_000_000)))


async def test_chn_14_second_provider_that_is_down_is_not_asked_about_every_payment(
    database: Database, chain: FakeChain, other: FakeChain
) -> None:
    payments = [chain.payment() for _ in range(10)]
    other.blocks = chain.blocks
    other.trouble = [ProviderFailed("it hung until it was given up")] * 1000
    indexer = reading(database, chain, other, network=QUORUM)
    chain.mine(*payments)
    chain.mine_empty(4)
    await drain(indexer)
    assert await kinds(database, payments[0]) == [SEEN]
    assert len(other.asked) <= 3, "every question may take as long as a timeout"
    other.trouble.clear()
    chain.mine_empty(16)
    await drain(indexer)
    for payment in payments:
        assert await kinds(database, payment) == [SEEN, FINAL]


async def test_chn_14_large_payment_is_final_only_by_a_second_provider(
    database: Database, chain: FakeChain, other: FakeChain
) -> None:
    large = chain.payment()
    small = replace(chain.payment(), merchant_received=4_980_000, fee_received=20_000)
    other.blocks = list(chain.blocks)
    chain.mine(large, small)
    chain.mine_empty(3)
    other.mine_empty(4)
    indexer = reading(database, chain, other, network=QUORUM)
    with structlog.testing.capture_logs() as written:
        await drain(indexer)
    assert await kinds(database, large) == [SEEN]
    assert await kinds(database, small) == [SEEN, FINAL]
    assert "final credit waits for a second provider" in [line["event"] for line in written]
    other.blocks = chain.blocks
    chain.mine()
    await drain(indexer)
    assert await kinds(database, large) == [SEEN, FINAL]


async def test_chn_14_large_payment_in_a_range_waits_for_its_second_provider_too(
    database: Database, chain: FakeChain, other: FakeChain
) -> None:
    large = chain.payment()
    chain.mine(large)
    chain.mine_empty(FAR)
    other.trouble = [ProviderFailed("HTTP status 503") for _ in range(300)]
    indexer = reading(database, chain, other, network=QUORUM)
    await drain(indexer)
    assert await kinds(database, large) == [SEEN]
    other.trouble = []
    for _ in range(REST_STEPS_MAX):
        await indexer.converge()
    chain.mine()
    await drain(indexer)
    assert await kinds(database, large) == [SEEN, FINAL]


async def test_chn_14_second_provider_must_have_the_payment_and_not_only_the_block(
    database: Database, chain: FakeChain, other: FakeChain
) -> None:
    large = chain.payment()
    chain.mine(large)
    chain.mine_empty(3)
    other.omitted, other.omits_receipts = (lambda _log: True), True
    indexer = reading(database, chain, other, network=QUORUM)
    await drain(indexer)
    assert await kinds(database, large) == [SEEN]


# What is final.


TAGGED = replace(fake_network(confirmations=2), trust=Trust(finality=Finality.FINALIZED))


async def test_chn_25_payment_is_final_by_the_tag_and_its_depth(
    database: Database, chain: FakeChain
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    chain.mine_empty(5)
    chain.finalized = 0
    indexer = reading(database, chain, network=TAGGED)
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN]
    chain.finalized = 1
    chain.mine()
    await drain(indexer)
    assert await kinds(database, payment) == [SEEN, FINAL]


@pytest.mark.parametrize("tag", [None, 10**6], ids=["unknown", "the newest block"])
async def test_chn_25_useless_tag_leaves_the_depth_and_never_makes_the_newest_final(
    database: Database, chain: FakeChain, tag: int | None
) -> None:
    payment = chain.payment()
    chain.mine(payment)
    chain.finalized = tag
    indexer = reading(database, chain, network=TAGGED)
    with structlog.testing.capture_logs() as written:
        await drain(indexer)
        assert await kinds(database, payment) == [SEEN]
        chain.mine()
        await drain(indexer)
    assert await kinds(database, payment) == [SEEN, FINAL]
    assert [line["event"] for line in written].count(NO_TAG) == 1


@pytest.mark.parametrize(("tag", "warns"), [(None, True), (3, True), (1, False)])
async def test_chn_25_useless_tag_is_warned_of_at_the_start(
    chain: FakeChain, tag: int | None, warns: bool
) -> None:
    chain.mine_empty(3)
    chain.finalized = tag
    with structlog.testing.capture_logs() as written:
        await warn_of_finality(chain, TAGGED)
        await warn_of_finality(chain, NETWORK)
    assert [line["event"] for line in written] == [NO_TAG] * warns


async def test_chn_16_turn_deeper_than_the_limit_halts_and_goes_on_when_it_was_not_so(
    database: Database, chain: FakeChain
) -> None:
    network = replace(NETWORK, confirmations=50, trust=Trust(reorg_limit=10))
    payment = chain.payment()
    chain.mine_empty(5)
    chain.mine(payment)
    chain.mine_empty(10)
    indexer = reading(database, chain, network=network)
    await drain(indexer)
    right = list(chain.blocks)
    chain.take_back(11)
    chain.mine_empty(20)
    for _ in range(2):
        with pytest.raises(NetworkHalted, match="more than 10 blocks"):
            await indexer.converge()
    assert await kinds(database, payment) == [SEEN]
    assert "more than 10 blocks" in (await halted_reason(database) or "")
    chain.blocks = right
    chain.mine()
    await drain(indexer)
    assert await halted_reason(database) is None
    chain.take_back(10)
    chain.mine_empty(12)
    await drain(indexer)
    assert await tip_of(database) == len(chain.blocks) - 1


async def test_unknown_tip_is_asked_of_every_provider_before_it_is_trouble(
    database: Database, chain: FakeChain, other: FakeChain
) -> None:
    chain.mine_empty(3)
    indexer = reading(database, chain, other)
    await drain(indexer)
    chain.visible = other.visible = 1
    with pytest.raises(UnknownBlock):
        await indexer.converge()
    chain.visible = other.visible = None
    assert await indexer.converge() is Step.NOTHING_NEW
