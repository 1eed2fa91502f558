"""What rails ask for is enough for the merchant, leaves a fee, and never a unit too much."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.chain.rails.cctp import CctpRail
from gstable_server.chain.rails.escrow import EscrowRail
from gstable_server.chain.rails.hold import HoldRail, hold_terms
from gstable_server.chain.rails.par import at_par_rounded_up
from gstable_server.chain.rails.port import Rail, RailRequest
from gstable_server.chain.rails.swap import SwapRail
from gstable_server.chain.rails.testing import FakeAttestations
from gstable_server.kernel.clock import UnixSeconds
from tests.unit.chain.rails.crossings import (
    FAR,
    FEE_RECEIVER,
    NEAR,
    NETWORKS,
    SOLVER,
    chains,
    request,
)

DEADLINE = UnixSeconds(1_800_000_000)
USDC, USDT = NEAR.tokens
FAR_USDC, FAR_USDT = FAR.tokens
SWAP = SwapRail(slippage_ppm=1000)
CCTP = CctpRail(NETWORKS, chains(), FakeAttestations())
ESCROW = EscrowRail(NETWORKS, chains(), solver_ppm=1000)
HOLD = HoldRail(fee_ppm=2000, fee_receiver=FEE_RECEIVER, operator=SOLVER)
amounts = st.integers(1, 10**14)
decimals = st.integers(0, 18)


def word(data: bytes, at: int) -> int:
    return int.from_bytes(data[32 * at : 32 * at + 32], "big")


def amount_of(rail: Rail, asked: RailRequest) -> int | None:
    quoted = rail.quote(asked)
    return quoted.amount if quoted else None


@pytest.mark.parametrize(
    ("rail", "paying", "settlement", "served"),
    [
        (SWAP, USDC, USDT, True),
        (SWAP, USDC, USDC, False),
        (SWAP, USDC, FAR_USDT, False),
        (CCTP, USDC, FAR_USDC, True),
        (CCTP, USDC, USDC, False),
        (CCTP, USDT, FAR_USDC, False),
        (CCTP, USDC, FAR_USDT, False),
        (ESCROW, USDT, FAR_USDC, True),
        (ESCROW, USDC, FAR_USDC, True),
        (ESCROW, USDC, USDT, False),
        (HOLD, USDC, USDC, True),
        (HOLD, USDC, USDT, False),
        (HOLD, USDC, FAR_USDC, False),
    ],
)
def test_each_rail_serves_its_own_way(
    rail: Rail, paying: Token, settlement: Token, served: bool
) -> None:
    asked = request(paying, settlement, 1, 1)
    assert rail.serves(asked.source, paying, asked.destination, settlement) is served


@pytest.mark.parametrize(
    ("rail", "paying", "settlement", "lacking"),
    [
        (SWAP, USDC, USDT, {"source": {"swap_rail": None}}),
        (CCTP, USDC, FAR_USDC, {"source": {"cctp_rail": None}}),
        (ESCROW, USDT, FAR_USDC, {"source": {"escrow_rail": None}}),
        (ESCROW, USDT, FAR_USDC, {"destination": {"escrow_rail": None}}),
        (HOLD, USDC, USDC, {"source": {"hold_rail": None}}),
    ],
)
def test_what_is_not_configured_is_not_served(
    rail: Rail, paying: Token, settlement: Token, lacking: dict[str, dict[str, None]]
) -> None:
    asked = request(paying, settlement, 1, 1)
    ends: dict[str, Network] = {"source": asked.source, "destination": asked.destination}
    for end, without in lacking.items():
        ends[end] = replace(ends[end], contracts=replace(ends[end].contracts, **without))
    assert not rail.serves(ends["source"], paying, ends["destination"], settlement)


def test_cctp_needs_the_protocol_at_both_ends_and_swaps_a_pool() -> None:
    assert not CCTP.serves(replace(NEAR, cctp=None), USDC, FAR, FAR_USDC)
    assert not CCTP.serves(NEAR, USDC, replace(FAR, cctp=None), FAR_USDC)
    assert not SWAP.serves(replace(NEAR, swap_pool_fee=0), USDC, NEAR, USDT)


@given(amounts, decimals, decimals)
def test_par_is_rounded_up_by_less_than_one_unit(amount: int, of: int, wanted: int) -> None:
    token, other = replace(USDC, decimals=of), replace(USDC, decimals=wanted)
    exact = Fraction(amount * 10**wanted, 10**of)
    assert 0 <= at_par_rounded_up(amount, token, other) - exact < 1


@pytest.mark.parametrize("rail", [SWAP, ESCROW], ids=["swap", "escrow"])
@given(merchant_amount=amounts, of=decimals, wanted=decimals)
def test_margin_is_on_top_and_rounded_up(
    rail: Rail, merchant_amount: int, of: int, wanted: int
) -> None:
    paying, settlement = replace(USDT, decimals=of), replace(USDC, decimals=wanted)
    par = at_par_rounded_up(merchant_amount, settlement, paying)
    found = amount_of(rail, request(paying, settlement, 10**40, merchant_amount))
    assert found is not None
    assert 0 <= found - Fraction(par * 1_001_000, 1_000_000) < 1


@given(merchant_amount=amounts, max_fee_ppm=st.integers(0, 10_000))
def test_what_is_burnt_covers_the_merchant_after_the_largest_fee(
    merchant_amount: int, max_fee_ppm: int
) -> None:
    assert NEAR.cctp is not None
    costly = replace(NEAR, cctp=replace(NEAR.cctp, max_fee_ppm=max_fee_ppm))
    rail = CctpRail(Networks((costly, FAR)), {}, FakeAttestations())
    asked = replace(request(USDC, FAR_USDC, 10**40, merchant_amount), source=costly)
    found = amount_of(rail, asked)
    assert found is not None
    domain, max_fee, finality = (word(rail.start(asked, DEADLINE).data, at) for at in range(3))
    assert (domain, finality) == (6, 2000)
    assert found - max_fee == merchant_amount, "what CctpRail.sol demands, and no more"
    assert max_fee * 1_000_000 >= found * max_fee_ppm, "Circle's fee is of all that is burnt"


@pytest.mark.parametrize(
    ("rail", "settlement"), [(SWAP, USDT), (ESCROW, FAR_USDT), (CCTP, FAR_USDC)]
)
@given(merchant_amount=amounts, over=st.integers(-5, 5))
def test_quote_without_a_fee_is_no_quote(
    rail: Rail, settlement: Token, merchant_amount: int, over: int
) -> None:
    needed = amount_of(rail, request(USDC, settlement, 10**40, merchant_amount))
    assert needed is not None
    found = amount_of(rail, request(USDC, settlement, max(0, needed + over), merchant_amount))
    assert found == (needed if over > 0 else None)


def test_swap_names_its_pool() -> None:
    terms = SWAP.start(request(USDC, USDT, 10**7, 10**6), DEADLINE)
    assert NEAR.contracts.swap_rail is not None
    assert (terms.address, word(terms.data, 0)) == (NEAR.contracts.swap_rail.address, 100)


def test_escrow_leaves_time_to_fill_and_to_prove() -> None:
    terms = ESCROW.start(request(USDT, FAR_USDC, 10**7, 10**6), DEADLINE)
    assert NEAR.contracts.escrow_rail is not None
    assert terms.address == NEAR.contracts.escrow_rail.address
    assert (word(terms.data, 0), word(terms.data, 1)) == (DEADLINE + 1800, DEADLINE + 5400)


def test_hold_is_given_everything_and_reads_its_own_terms() -> None:
    asked = request(USDC, USDC, 10_020_000, 10_000_000)
    assert amount_of(HOLD, asked) == 10_020_000
    terms = hold_terms(HOLD.start(asked, DEADLINE).data)
    assert terms.capture_before == DEADLINE + 7 * 24 * 3600
    # 20,000 of 10,020,000: the merchant who captures all of it gets what was promised.
    assert (terms.fee_ppm, terms.fee_receiver, terms.operator) == (1996, FEE_RECEIVER, SOLVER)
