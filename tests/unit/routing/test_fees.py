"""The arithmetic of a payment at its edges: what is deducted, added, rounded, and too small."""

from __future__ import annotations

import pytest

from gstable_server.kernel.money import Asset, MicroUsd, Money
from gstable_server.routing.fees import by_rail, is_payable, quote
from gstable_server.routing.model import FeeModel, Quote

USDC = Asset("polygon::usdc", 6)
COARSE = Asset("base::coarse", 4)


def units(*amounts: int) -> tuple[Money, ...]:
    return tuple(Money(amount, USDC) for amount in amounts)


@pytest.mark.parametrize(
    ("model", "paying", "settlement", "expected"),
    [
        (FeeModel.MERCHANT_PAYS, USDC, USDC, (1_000_099, 994_098, 6_001, 994_098)),
        (FeeModel.PAYER_PAYS, USDC, USDC, (1_006_100, 1_000_099, 6_001, 1_000_099)),
        (FeeModel.MERCHANT_PAYS, COARSE, USDC, (10_001, 9_940, 61, 994_098)),
        (FeeModel.PAYER_PAYS, USDC, COARSE, (1_006_100, 1_000_099, 6_001, 10_000)),
    ],
)
def test_who_pays_the_fee_and_who_gets_the_rounding(
    model: FeeModel, paying: Asset, settlement: Asset, expected: tuple[int, int, int, int]
) -> None:
    payer_pays, amount, fee, merchant_receives = expected
    assert quote(MicroUsd(1_000_099), model, 6_000, paying, settlement) == Quote(
        payer_pays=Money(payer_pays, paying),
        amount=Money(amount, paying),
        fee=Money(fee, paying),
        merchant_receives=Money(merchant_receives, settlement),
    )


def test_what_a_rail_costs_comes_out_of_the_fee() -> None:
    payer_pays, amount, fee, cheaper = units(1_000, 990, 10, 4)
    known = Quote(payer_pays=payer_pays, amount=amount, fee=fee, merchant_receives=amount)
    assert by_rail(known, 996) == Quote(
        payer_pays=payer_pays, amount=Money(996, USDC), fee=cheaper, merchant_receives=amount
    )
    with pytest.raises(ValueError, match="never negative"):
        by_rail(known, 1_001)


@pytest.mark.parametrize(
    ("payer_pays", "amount", "fee", "merchant_receives", "payable"),
    [
        (1_000, 990, 10, 990, True),  # a fee of the cap itself
        (1_000, 989, 11, 989, False),
        (1_001, 990, 11, 990, True),  # the cap is rounded up
        (100, 1, 1, 1, True),
        (100, 99, 1, 0, False),
        (100, 0, 1, 99, False),
    ],
)
def test_an_order_has_a_share_for_the_merchant_and_a_fee_within_the_cap(
    payer_pays: int, amount: int, fee: int, merchant_receives: int, payable: bool
) -> None:
    assert is_payable(Quote(*units(payer_pays, amount, fee, merchant_receives))) is payable
