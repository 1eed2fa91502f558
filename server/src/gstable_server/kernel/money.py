"""Money is an integer of the smallest unit with its asset. No float, ever.

Micro-USD (1 USD = 1,000,000) is what prices are written in (spec 2); atomic units are what a
token contract counts. Stablecoins are valued at 1 USD (spec 15, Fees).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

MicroUsd = NewType("MicroUsd", int)
"""A price or amount in Micro-USD."""

MICRO_USD_DECIMALS = 6
PARTS_PER_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Asset:
    """A token on a network: ``token_id`` as ``network::symbol`` and its decimals."""

    token_id: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Money:
    """``atomic`` smallest units of ``asset``; never negative.

    Raises ``ValueError`` for a negative amount and for arithmetic across assets.
    """

    atomic: int
    asset: Asset

    def __post_init__(self) -> None:
        if self.atomic < 0:
            raise ValueError("money is never negative")

    def _same(self, other: Money) -> int:
        if other.asset != self.asset:
            raise ValueError(f"{self.asset.token_id} and {other.asset.token_id} do not add up")
        return other.atomic

    def __add__(self, other: Money) -> Money:
        return Money(self.atomic + self._same(other), self.asset)

    def __sub__(self, other: Money) -> Money:
        return Money(self.atomic - self._same(other), self.asset)


def share_rounded_up(amount: int, ppm: int) -> int:
    """``ceil(amount × ppm / 1,000,000)`` in the unit of ``amount`` (spec 15, Fees)."""
    return -(-amount * ppm // PARTS_PER_MILLION)


def atomic_rounded_up(amount: MicroUsd, asset: Asset) -> Money:
    """The payer's side of an amount: rounded up to the token's smallest unit (spec 15, Fees)."""
    if asset.decimals >= MICRO_USD_DECIMALS:
        return Money(amount * 10 ** (asset.decimals - MICRO_USD_DECIMALS), asset)
    return Money(-(-amount // 10 ** (MICRO_USD_DECIMALS - asset.decimals)), asset)


def atomic_rounded_down(amount: MicroUsd, asset: Asset) -> Money:
    """The merchant's side of an amount: rounded down to the token's smallest unit (spec 15)."""
    if asset.decimals >= MICRO_USD_DECIMALS:
        return Money(amount * 10 ** (asset.decimals - MICRO_USD_DECIMALS), asset)
    return Money(amount // 10 ** (MICRO_USD_DECIMALS - asset.decimals), asset)


def micro_usd_rounded_down(money: Money) -> MicroUsd:
    """A token amount in Micro-USD at 1 USD a token, rounded down."""
    if money.asset.decimals >= MICRO_USD_DECIMALS:
        return MicroUsd(money.atomic // 10 ** (money.asset.decimals - MICRO_USD_DECIMALS))
    return MicroUsd(money.atomic * 10 ** (MICRO_USD_DECIMALS - money.asset.decimals))


def usd_text(amount: MicroUsd) -> str:
    """An amount for people: ``1234567`` → ``"1.234567"``, ``3000000`` → ``"3.00"``."""
    whole, micro = divmod(amount, PARTS_PER_MILLION)
    fraction = f"{micro:06d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{fraction}"


def token_text(money: Money) -> str:
    """A token amount for people, exact to the last unit, at least two decimals."""
    whole, rest = divmod(money.atomic, 10**money.asset.decimals)
    fraction = f"{rest:0{money.asset.decimals}d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{fraction}"
