"""Which price a total belongs to: the total is what the payer signs, so it is met to the unit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.agents.pricing import price_of, total_of
from gstable_server.kernel.money import MicroUsd
from gstable_server.routing.model import FeeModel, Route
from tests.unit.routing.market import network, token

POLYGON = network("polygon", 7)
SETTLEMENT = token("polygon", "usdc")


def route(decimals: int = 6, fee_ppm: int = 3000) -> Route:
    paying = replace(token("polygon", "usdt"), decimals=decimals)
    return Route(paying, POLYGON, False, fee_ppm, 10_000, 10**12)


@given(
    amount=st.integers(10_000, 10**12),
    decimals=st.sampled_from([2, 6, 8, 18]),
    fee_model=st.sampled_from(FeeModel),
    fee_ppm=st.sampled_from([0, 2000, 3000, 6000]),
)
def test_the_total_of_a_price_leads_back_to_a_price_of_that_total(
    amount: int, decimals: int, fee_model: FeeModel, fee_ppm: int
) -> None:
    where = route(decimals, fee_ppm)
    total = total_of(MicroUsd(amount), where, SETTLEMENT, fee_model)
    found, reached = price_of(total, where, SETTLEMENT, fee_model)
    assert reached == total
    assert found >= amount
    if decimals >= 6:
        assert found == amount


@given(total=st.integers(10_030, 10**12), fee_model=st.sampled_from(FeeModel))
def test_a_total_that_no_price_has_leads_to_the_next_lower(total: int, fee_model: FeeModel) -> None:
    where = route()
    found, reached = price_of(total, where, SETTLEMENT, fee_model)
    assert reached <= total
    if found < where.maximum:
        assert total_of(MicroUsd(found + 1), where, SETTLEMENT, fee_model) > total


@pytest.mark.parametrize("total", [0, 1, 10**30, 2**255])
def test_totals_out_of_limits_do_not_reach_them(total: int) -> None:
    where = route()
    found, reached = price_of(total, where, SETTLEMENT, FeeModel.PAYER_PAYS)
    assert found in (where.minimum, where.maximum)
    assert reached != total
