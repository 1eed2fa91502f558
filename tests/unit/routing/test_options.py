"""Which amounts can be paid: what is offered must be what the router accepts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gstable_server.chain.networks import Networks, Token
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.money import MicroUsd
from gstable_server.routing import operations as routing
from gstable_server.routing.model import FeeModel, Schedule
from tests.unit.sessions.world import POLYGON, USDC


def _coarse(decimals: int) -> tuple[Networks, Token]:
    token = replace(USDC, decimals=decimals)
    return Networks((replace(POLYGON, tokens=(token,)),)), token


@pytest.mark.parametrize("model", FeeModel)
@pytest.mark.parametrize("decimals", [0, 2, 6, 18])
def test_every_option_is_one_that_the_router_accepts(decimals: int, model: FeeModel) -> None:
    # contracts/src/PaymentRouter.sol: no payment without the merchant's share, and at most 1 % of
    # the whole, rounded up, as the fee.
    networks, token = _coarse(decimals)
    offered = 0
    for amount in (10_000, 12_345, 20_010, 505_050, 999_999, 1_000_001, 2_000_001, 123_456_789):
        for option in routing.options(networks, Schedule(), token, MicroUsd(amount), model):
            offered += 1
            total, fee = option.quote.payer_pays.atomic, option.quote.fee.atomic
            assert option.quote.merchant_receives.atomic > 0
            assert fee * 1_000_000 <= total * 10_000 + 999_999
            assert option.quote.merchant_receives.atomic + fee == total
    assert offered


def test_an_amount_finer_than_the_token_is_refused_by_name() -> None:
    networks, token = _coarse(2)
    with pytest.raises(Refused) as refusal:
        routing.require_payable(
            networks, Schedule(), token, MicroUsd(20_010), FeeModel.MERCHANT_PAYS
        )
    assert refusal.value.code is Code.VALUE_OUT_OF_RANGE
    assert "2 decimals" in refusal.value.detail
