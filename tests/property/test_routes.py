"""What payers can choose, for every pair of tokens of any decimals: the sums close to the unit,
the merchant gets what the contract says, and the router accepts the order."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode
from gstable_server.routing import operations as routing
from gstable_server.routing.fees import ROUTER_FEE_PPM_MAX
from gstable_server.routing.model import FeeModel, Market, Schedule
from tests.unit.routing.market import CHAINS, every_network, market, rails_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTLEMENTS = [f"{name}::{one}" for name, (_, _, symbols) in CHAINS.items() for one in symbols]
amounts = st.one_of(st.integers(10_000, 10**12), st.integers(1, 10**6).map(lambda n: n * 10**6))
decimals = st.integers(0, 18)


@given(amounts, st.sampled_from(FeeModel), st.sampled_from(SETTLEMENTS), decimals, decimals)
def test_api_31_every_quote_closes_and_keeps_its_word(
    amount: int, model: FeeModel, settlement_id: str, usdc: int, usdt: int
) -> None:
    here = market({"usdc": usdc, "usdt": usdt})
    settlement = here.networks.require_token(settlement_id, Mode.TEST)
    for option in routing.options(here, settlement, MicroUsd(amount), model, NOW):
        quoted, paying = option.quote, option.token
        assert option.route.minimum <= amount <= option.route.maximum
        assert quoted.payer_pays == quoted.amount + quoted.fee
        fee = -(-amount * option.fee_ppm // 10**6)
        payer_side = amount if model is FeeModel.MERCHANT_PAYS else amount + fee
        merchant_side = payer_side - fee
        exact = Fraction(payer_side * 10**paying.decimals, 10**6)
        assert exact <= quoted.payer_pays.atomic < exact + 1
        exact = Fraction(merchant_side * 10**settlement.decimals, 10**6)
        assert 0 < quoted.merchant_receives.atomic <= exact < quoted.merchant_receives.atomic + 1
        cap = Fraction(quoted.payer_pays.atomic * ROUTER_FEE_PPM_MAX, 10**6)
        assert quoted.fee.atomic < cap + 1
        if option.rail is None:
            assert quoted.amount == quoted.merchant_receives
        else:
            # The rail is given at least what the merchant gets, at 1 to 1, and the fee is not
            # spent on it whole.
            worth = Fraction(quoted.amount.atomic, 10**paying.decimals)
            assert worth >= Fraction(quoted.merchant_receives.atomic, 10**settlement.decimals)
            assert quoted.fee.atomic > 0


@given(amounts, st.sampled_from(FeeModel), st.sampled_from(SETTLEMENTS))
def test_with_six_decimals_the_payer_sees_one_fee_whatever_the_rail_costs(
    amount: int, model: FeeModel, settlement_id: str
) -> None:
    here = market()
    settlement = here.networks.require_token(settlement_id, Mode.TEST)
    for option in routing.options(here, settlement, MicroUsd(amount), model, NOW):
        quoted = option.quote
        fee = -(-amount * option.fee_ppm // 10**6)
        assert quoted.payer_pays.atomic - quoted.merchant_receives.atomic == fee
        assert quoted.fee.atomic <= fee


@given(
    amounts,
    st.sampled_from(FeeModel),
    st.sampled_from(SETTLEMENTS),
    st.tuples(*[st.integers(0, 12_000)] * 3),
)
def test_no_schedule_offers_what_the_router_refuses(
    amount: int, model: FeeModel, settlement_id: str, rates: tuple[int, int, int]
) -> None:
    same_token, same_chain, crosschain = rates
    networks = every_network()
    schedule = Schedule(
        same_token_ppm=same_token, same_chain_ppm=same_chain, crosschain_ppm=crosschain
    )
    here = Market(networks, schedule, rails_of(networks))
    settlement = networks.require_token(settlement_id, Mode.TEST)
    found = routing.options(here, settlement, MicroUsd(amount), model, NOW)
    for option in found:
        total, fee = option.quote.payer_pays.atomic, option.quote.fee.atomic
        assert fee <= -(-total * ROUTER_FEE_PPM_MAX // 10**6)
        assert option.quote.amount.atomic > 0


@pytest.mark.parametrize("settlement_id", SETTLEMENTS)
def test_what_is_offered_can_be_started(settlement_id: str) -> None:
    here = market()
    settlement = here.networks.require_token(settlement_id, Mode.TEST)
    model = FeeModel.PAYER_PAYS
    for option in routing.options(here, settlement, MicroUsd(10_000_000), model, NOW):
        if option.rail is not None:
            request = routing.rail_request(here.networks, option.route, settlement, option.quote)
            terms = here.rail(option.rail).start(request, 1_800_000_000)  # type: ignore[arg-type]
            assert len(terms.address) == 20
