"""Money is whole units of one asset; what is rounded is rounded against the payer."""

from __future__ import annotations

import pytest

from gstable_server.kernel.money import (
    Asset,
    MicroUsd,
    Money,
    atomic_rounded_down,
    atomic_rounded_up,
    micro_usd_rounded_down,
    share_rounded_up,
    token_text,
    usd_text,
)

USDC = Asset("polygon::usdc", 6)
USDT = Asset("polygon::usdt", 6)
COARSE = Asset("polygon::coarse", 4)
FINE = Asset("polygon::fine", 18)


def test_money_is_never_negative() -> None:
    assert Money(0, USDC).atomic == 0
    with pytest.raises(ValueError, match=r"^money is never negative$"):
        Money(-1, USDC)
    with pytest.raises(ValueError, match=r"^money is never negative$"):
        Money(2, USDC) - Money(3, USDC)


def test_money_adds_up_within_an_asset_only() -> None:
    assert Money(5, USDC) + Money(3, USDC) == Money(8, USDC)
    assert Money(5, USDC) - Money(3, USDC) == Money(2, USDC)
    for calculate in (Money.__add__, Money.__sub__):
        with pytest.raises(ValueError, match=r"^polygon::usdc and polygon::usdt do not add up$"):
            calculate(Money(5, USDC), Money(3, USDT))


@pytest.mark.parametrize(
    ("amount", "ppm", "share"),
    [(1_000_000, 1, 1), (1_000_001, 1, 2), (1, 1, 1), (0, 5, 0), (7, 0, 0), (10, 1_000_000, 10)],
)
def test_a_share_is_rounded_up(amount: int, ppm: int, share: int) -> None:
    assert share_rounded_up(amount, ppm) == share


@pytest.mark.parametrize(
    ("asset", "amount", "up", "down"),
    [
        (USDC, 1_234_567, 1_234_567, 1_234_567),
        (FINE, 7, 7 * 10**12, 7 * 10**12),
        (COARSE, 1_234_500, 12_345, 12_345),
        (COARSE, 1_234_501, 12_346, 12_345),
        (COARSE, 99, 1, 0),
        (Asset("polygon::five", 5), 11, 2, 1),
        (Asset("polygon::seven", 7), 11, 110, 110),
    ],
)
def test_micro_usd_become_units_against_the_payer(
    asset: Asset, amount: int, up: int, down: int
) -> None:
    assert atomic_rounded_up(MicroUsd(amount), asset) == Money(up, asset)
    assert atomic_rounded_down(MicroUsd(amount), asset) == Money(down, asset)


@pytest.mark.parametrize(
    ("money", "micro_usd"),
    [
        (Money(1_234_567, USDC), 1_234_567),
        (Money(10**12 + 1, FINE), 1),
        (Money(10**12 - 1, FINE), 0),
        (Money(3, COARSE), 300),
        (Money(3, Asset("polygon::five", 5)), 30),
        (Money(39, Asset("polygon::seven", 7)), 3),
    ],
)
def test_units_become_micro_usd_rounded_down(money: Money, micro_usd: int) -> None:
    assert micro_usd_rounded_down(money) == micro_usd


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (1_234_567, "1.234567"),
        (3_000_000, "3.00"),
        (10, "0.00001"),
        (1_500_000, "1.50"),
        (0, "0.00"),
    ],
)
def test_dollars_for_people(amount: int, text: str) -> None:
    assert usd_text(MicroUsd(amount)) == text


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(12_345, COARSE), "1.2345"),
        (Money(10_000, COARSE), "1.00"),
        (Money(1, FINE), "0.000000000000000001"),
        (Money(10_100, COARSE), "1.01"),
        (Money(15_000, COARSE), "1.50"),
    ],
)
def test_tokens_for_people(money: Money, text: str) -> None:
    assert token_text(money) == text
