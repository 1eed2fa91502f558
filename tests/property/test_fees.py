"""Fees: integers only, nothing lost to rounding, and never in the platform's disfavour."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from gstable_server.kernel.money import (
    Asset,
    MicroUsd,
    Money,
    atomic_rounded_down,
    atomic_rounded_up,
    share_rounded_up,
    token_text,
    usd_text,
)
from gstable_server.routing.fees import quote
from gstable_server.routing.model import FeeModel

amounts = st.integers(10_000, 10**12).map(MicroUsd)
rates = st.integers(0, 10_000)
decimals = st.integers(2, 18)


def asset(places: int) -> Asset:
    return Asset("polygon::test", places)


@given(amounts, rates, decimals, st.sampled_from(FeeModel))
@example(MicroUsd(100_000_000), 6000, 6, FeeModel.MERCHANT_PAYS)
@example(MicroUsd(100_000_000), 6000, 6, FeeModel.PAYER_PAYS)
def test_api_31_a_quote_adds_up_to_the_unit(
    amount: MicroUsd, ppm: int, places: int, model: FeeModel
) -> None:
    quoted = quote(amount, model, ppm, asset(places), asset(places))
    assert quoted.payer_pays == quoted.merchant_receives + quoted.fee
    assert quoted.amount == quoted.merchant_receives


@given(amounts, rates, st.sampled_from(FeeModel))
def test_api_31_the_fee_is_the_ceiling_of_the_rate(
    amount: MicroUsd, ppm: int, model: FeeModel
) -> None:
    fee = quote(amount, model, ppm, asset(6), asset(6)).fee.atomic
    exact = Fraction(amount * ppm, 1_000_000)
    assert exact <= fee < exact + 1


def test_the_examples_of_the_contract() -> None:
    hundred = MicroUsd(100_000_000)
    merchant_pays = quote(hundred, FeeModel.MERCHANT_PAYS, 6000, asset(6), asset(6))
    assert (merchant_pays.payer_pays.atomic, merchant_pays.merchant_receives.atomic) == (
        100_000_000,
        99_400_000,
    )
    payer_pays = quote(hundred, FeeModel.PAYER_PAYS, 6000, asset(6), asset(6))
    assert (payer_pays.payer_pays.atomic, payer_pays.merchant_receives.atomic) == (
        100_600_000,
        100_000_000,
    )


@given(amounts, decimals)
def test_rounding_says_its_direction(amount: MicroUsd, places: int) -> None:
    exact = Fraction(amount * 10**places, 10**6)
    assert atomic_rounded_down(amount, asset(places)).atomic <= exact
    assert atomic_rounded_up(amount, asset(places)).atomic >= exact
    spread = (
        atomic_rounded_up(amount, asset(places)).atomic
        - atomic_rounded_down(amount, asset(places)).atomic
    )
    assert spread in {0, 1}


@given(st.integers(0, 10**15), st.integers(0, 10**6))
def test_a_share_is_never_below_its_exact_value(amount: int, ppm: int) -> None:
    assert 0 <= share_rounded_up(amount, ppm) * 1_000_000 - amount * ppm < 1_000_000


@given(st.integers(0, 10**15))
def test_text_of_an_amount_is_exact(micro: int) -> None:
    assert Fraction(usd_text(MicroUsd(micro))) * 10**6 == micro


@given(st.integers(0, 10**30), decimals)
def test_text_of_a_token_amount_is_exact(atomic: int, places: int) -> None:
    assert Fraction(token_text(Money(atomic, asset(places)))) * 10**places == atomic
