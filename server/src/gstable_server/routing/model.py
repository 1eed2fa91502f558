"""Rates, limits, routes and quotes. All values in Micro-USD unless they are ``Money``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from gstable_server.chain.facts import RailName
from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.chain.rails.port import Rail
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.money import Money


class FeeModel(IntEnum):
    """Who bears the fee (spec 5)."""

    MERCHANT_PAYS = 1
    PAYER_PAYS = 2


class AmountTooFine(Refused):
    """An amount (Micro-USD) within the limits that the settlement token cannot express."""

    def __init__(self, settlement: Token) -> None:
        decimals = f"{settlement.symbol} of {settlement.decimals} decimals"
        super().__init__(Code.VALUE_OUT_OF_RANGE, f"amount is too fine for {decimals}")


class Way(StrEnum):
    """How a payer lets the router take the tokens of one order."""

    ERC3009 = "erc3009"
    """One signature, EIP-3009 ``receiveWithAuthorization``; we send the transaction."""
    PERMIT2 = "permit2"
    """One signature for Uniswap's Permit2, which needs an approval of its own; we send."""
    PERMIT = "permit"
    """One signature, EIP-2612, and one transaction of the payer's."""
    APPROVE = "approve"
    """Two transactions of the payer's: approve the exact amount, then pay (ERC-20)."""
    DEPOSIT = "deposit"
    """A plain transfer to the session's own address, from any wallet or exchange; we collect it."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Fee rates in parts per million and limits in Micro-USD by path (spec 8 and 15).

    ``quote_seconds`` is how long a price of a rail stands.
    """

    same_token_ppm: int = 2000
    same_chain_ppm: int = 3000
    crosschain_ppm: int = 6000
    same_chain_minimum: int = 10_000
    same_chain_maximum: int = 10**12
    crosschain_minimum: int = 1_000_000
    crosschain_maximum: int = 10**11
    quote_seconds: int = 900


@dataclass(frozen=True, slots=True)
class Market:
    """What can be paid with what: the tokens there are, the rails between them in the order of
    preference, and what it costs."""

    networks: Networks
    schedule: Schedule
    rails: tuple[Rail, ...] = ()

    def rail(self, name: RailName) -> Rail:
        """The rail of that name. Raises ``LookupError`` for one that this server does not have."""
        for rail in self.rails:
            if rail.name is name:
                return rail
        raise LookupError(name)


@dataclass(frozen=True, slots=True)
class Quote:
    """What one payment moves: ``payer_pays`` = ``amount`` + ``fee``, all of the paying asset.

    ``amount`` goes to the merchant, or to the rail that turns it into ``merchant_receives``;
    ``fee`` is what reaches the fee receiver.
    """

    payer_pays: Money
    amount: Money
    fee: Money
    merchant_receives: Money


@dataclass(frozen=True, slots=True)
class Route:
    """A token that may pay for a settlement token, its fee and its limits (Micro-USD).

    ``rail`` carries the money to the settlement token; None where it is that token already.
    """

    token: Token
    network: Network
    crosschain: bool
    fee_ppm: int
    minimum: int
    maximum: int
    rail: RailName | None = None


@dataclass(frozen=True, slots=True)
class RouteOption:
    """A route with the quote for one amount, which stands until ``expires_at``."""

    route: Route
    quote: Quote
    expires_at: datetime

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

    @property
    def rail(self) -> RailName | None:
        return self.route.rail
