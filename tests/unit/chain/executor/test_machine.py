"""The whole table, and the sums beside it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.chain.executor.fees import Fees, first_bid, gas_limit, raised_bid
from gstable_server.chain.executor.machine import (
    Fact,
    back_off_seconds,
    decide,
    is_deep,
    next_nonce,
)
from gstable_server.chain.executor.model import State
from gstable_server.chain.networks import Gas

MOVES = {
    (State.QUEUED, Fact.WITHDRAWN): State.WITHDRAWN,
    (State.QUEUED, Fact.POSTPONED): State.QUEUED,
    (State.QUEUED, Fact.EXPIRED): State.REFUSED,
    (State.QUEUED, Fact.SIGNED): State.SIGNED,
    (State.SIGNED, Fact.ACCEPTED): State.SENT,
    (State.SIGNED, Fact.REPRICED): State.REPRICED,
    (State.SIGNED, Fact.INCLUDED): State.MINED,
    (State.SIGNED, Fact.REPLACED): State.QUEUED,
    (State.REPRICED, Fact.ACCEPTED): State.SENT,
    (State.REPRICED, Fact.REPRICED): State.REPRICED,
    (State.REPRICED, Fact.INCLUDED): State.MINED,
    (State.REPRICED, Fact.REPLACED): State.QUEUED,
    (State.SENT, Fact.REPRICED): State.REPRICED,
    (State.SENT, Fact.INCLUDED): State.MINED,
    (State.SENT, Fact.REPLACED): State.QUEUED,
    (State.MINED, Fact.INCLUDED): State.MINED,
    (State.MINED, Fact.TAKEN_BACK): State.SENT,
    (State.MINED, Fact.SUCCEEDED): State.FINAL,
    (State.MINED, Fact.REVERTED): State.FAILED,
}
"""The drawing of docs/operations/executor.md; every other pair is late news."""


@pytest.mark.parametrize(("state", "fact"), list(itertools.product(State, Fact)))
def test_every_pair_has_its_answer(state: State, fact: Fact) -> None:
    assert decide(state, fact) is MOVES.get((state, fact))


def test_what_holds_of_every_way_through_the_table() -> None:
    ends = {State.FINAL, State.FAILED, State.REFUSED, State.WITHDRAWN}
    for state, fact in itertools.product(State, Fact):
        to = decide(state, fact)
        assert state not in ends or to is None, "an outcome is never left"
        if to is State.QUEUED and state is not State.QUEUED:
            assert fact is Fact.REPLACED, "only a proof gives up what was signed"
        if to in (State.FINAL, State.FAILED):
            assert state is State.MINED, "an outcome is of a block"
        if to in (State.REFUSED, State.WITHDRAWN):
            assert state is State.QUEUED, "what is signed is sent"


def test_the_page_names_every_state(repository: Path) -> None:
    text = (repository / "docs/operations/executor.md").read_text()
    assert [state for state in State if f"`{state}`" not in text] == []


@given(st.integers(0, 50), st.sets(st.integers(0, 60)))
def test_the_next_nonce_is_the_lowest_that_neither_side_uses(waiting: int, ours: set[int]) -> None:
    nonce = next_nonce(waiting, ours)
    assert nonce >= waiting
    assert nonce not in ours
    assert all(each in ours for each in range(waiting, nonce))


def test_while_all_is_well_the_next_nonce_is_the_greater_of_both() -> None:
    assert next_nonce(5, set()) == 5
    assert next_nonce(5, {3, 4}) == 5
    assert next_nonce(5, {5, 6, 7}) == 8, "signed and not sent, or forgotten by the node"
    assert next_nonce(9, {5, 6, 7}) == 9, "somebody else sent two"
    assert next_nonce(5, {6, 7}) == 5, "the gap that a dropped foreign transaction left"


def test_the_newest_block_has_one_confirmation() -> None:
    assert is_deep(10, 10, 1)
    assert not is_deep(10, 10, 2)
    assert is_deep(10, 11, 2)


def test_waits_grow_and_end() -> None:
    waits = [back_off_seconds(tries) for tries in range(1, 40)]
    assert waits == sorted(waits)
    assert waits[0] == 0.25
    assert waits[-1] == 15.0


FEES = st.integers(0, 10**15)


@given(FEES, FEES, FEES)
def test_a_bid_never_exceeds_the_cap(base_fee: int, tip: int, price_max: int) -> None:
    gas = Gas(price_max=price_max, tip=tip)
    bid = first_bid(base_fee, gas)
    assert (bid is None) == (base_fee + tip > price_max)
    if bid is not None:
        assert base_fee + tip <= bid.fee <= price_max
        assert bid.tip <= bid.fee


@given(FEES, FEES, FEES, FEES, FEES)
def test_a_raise_lifts_both_fees_by_an_eighth(
    fee: int, tip: int, base_fee: int, least_tip: int, price_max: int
) -> None:
    bid = Fees(max(fee, tip), tip)
    raised = raised_bid(bid, base_fee, Gas(price_max=price_max, tip=least_tip))
    if raised is None:
        return
    assert 8 * raised.fee >= 9 * bid.fee
    assert 8 * raised.tip >= 9 * bid.tip
    assert (raised.fee, raised.tip) > (bid.fee, bid.tip)
    assert raised.tip + base_fee <= raised.fee <= price_max


def test_a_raise_reaches_the_market_at_once() -> None:
    gas = Gas(price_max=1000, tip=10)
    assert raised_bid(Fees(100, 10), 300, gas) == Fees(612, 12)
    assert raised_bid(Fees(100, 10), 10, gas) == Fees(113, 12)
    assert raised_bid(Fees(900, 10), 10, gas) is None
    assert raised_bid(Fees(100, 10), 990, gas) is None, "the cap would not buy it a place"


def test_the_gas_limit_is_a_fifth_above_the_estimate() -> None:
    assert gas_limit(100) == 120
    assert gas_limit(21_001) == 25_202
