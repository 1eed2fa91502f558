"""What a link or session costs in each token, and which price a total belongs to. Pure.

The total that a payer signs is the whole charge, a fee of the payer's included. Where the payer
names the amount, the total comes first and the price is computed from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gstable_server.chain.networks import Network, Token
from gstable_server.kernel.money import MicroUsd
from gstable_server.routing.fees import quote
from gstable_server.routing.model import FeeModel, Route, RouteOption

PRESETS_MAX = 5


@dataclass(frozen=True, slots=True)
class CustomPrices:
    """Which amounts a payer may name, and which the merchant suggests; Micro-USD."""

    minimum: MicroUsd
    maximum: MicroUsd
    presets: tuple[MicroUsd, ...]


@dataclass(frozen=True, slots=True)
class CustomOffer:
    """The same in one token: totals in its atomic units, and (Micro-USD, total) of presets."""

    minimum_total: int
    maximum_total: int
    presets: tuple[tuple[MicroUsd, int], ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A token that can pay: ``amount`` is the price in Micro-USD, ``total`` the whole charge in
    atomic units; both 0 where the payer names the amount, within ``custom``."""

    network: Network
    token: Token
    amount: MicroUsd
    total: int
    custom: CustomOffer | None = None


def fixed_offer(option: RouteOption, amount: MicroUsd) -> Offer:
    """What a price that is settled comes to."""
    return Offer(option.network, option.token, amount, option.quote.payer_pays.atomic)


def custom_offer(
    route: Route, settlement: Token, fee_model: FeeModel, presets: Sequence[MicroUsd]
) -> Offer:
    """What a payer may name there."""

    def total(amount: MicroUsd) -> int:
        return total_of(amount, route, settlement, fee_model)

    within = [amount for amount in presets if route.minimum <= amount <= route.maximum]
    custom = CustomOffer(
        total(MicroUsd(route.minimum)),
        total(MicroUsd(route.maximum)),
        tuple((amount, total(amount)) for amount in within),
    )
    return Offer(route.network, route.token, MicroUsd(0), 0, custom)


def total_of(amount: MicroUsd, route: Route, settlement: Token, fee_model: FeeModel) -> int:
    """What a payer pays for ``amount``, in atomic units of the route's token."""
    quoted = quote(amount, fee_model, route.fee_ppm, route.token.asset, settlement.asset)
    return quoted.payer_pays.atomic


def price_of(
    total: int, route: Route, settlement: Token, fee_model: FeeModel
) -> tuple[MicroUsd, int]:
    """The highest price within the route's limits that costs at most ``total`` atomic units, and
    what it costs: the same as ``total`` unless a fee leaves that out, or it is out of limits."""
    low, high = route.minimum, route.maximum
    while low < high:  # bounded: halves the distance, which is below 2^40
        middle = (low + high + 1) // 2
        if total_of(MicroUsd(middle), route, settlement, fee_model) <= total:
            low = middle
        else:
            high = middle - 1
    return MicroUsd(low), total_of(MicroUsd(low), route, settlement, fee_model)
