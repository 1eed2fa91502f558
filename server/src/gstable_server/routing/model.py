"""Rates, limits and quotes. All values in Micro-USD unless they are ``Money``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from gstable_server.chain.networks import Network, Token
from gstable_server.kernel.money import Money


class FeeModel(IntEnum):
    """Who bears the fee (spec 5)."""

    MERCHANT_PAYS = 1
    PAYER_PAYS = 2


@dataclass(frozen=True, slots=True)
class Schedule:
    """Fee rates in parts per million and limits in Micro-USD by path (spec 8 and 15)."""

    same_token_ppm: int = 2000
    same_chain_minimum: int = 10_000
    same_chain_maximum: int = 10**12


@dataclass(frozen=True, slots=True)
class Quote:
    """What one payment moves. ``fee`` is in the paying asset and closes the sum:
    ``payer_pays`` is what the merchant's share is worth plus ``fee``."""

    payer_pays: Money
    merchant_receives: Money
    fee: Money


@dataclass(frozen=True, slots=True)
class Route:
    """A token that may pay for a settlement token, its fee and its limits (Micro-USD)."""

    token: Token
    network: Network
    crosschain: bool
    fee_ppm: int
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class RouteOption:
    """A route with the quote for one amount: what a payer can choose."""

    route: Route
    quote: Quote

    @property
    def token(self) -> Token:
        return self.route.token

    @property
    def network(self) -> Network:
        return self.route.network

    @property
    def crosschain(self) -> bool:
        return self.route.crosschain

    @property
    def fee_ppm(self) -> int:
        return self.route.fee_ppm
