"""Which routes exist, what they cost, and the public matrix of capabilities (spec 8)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from gstable_server.chain.facts import RailName
from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.chain.rails.port import RailRequest
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode
from gstable_server.routing.fees import by_rail, is_payable, quote
from gstable_server.routing.model import (
    AmountTooFine,
    FeeModel,
    Market,
    Quote,
    Route,
    RouteOption,
)


def require_settlement(networks: Networks, mode: Mode, token_id: str) -> Token:
    """The settlement token of that id. Refuses with 400201 what this server does not settle in."""
    return networks.require_token(token_id, mode)


def routes_to(market: Market, settlement: Token, *, held: bool = False) -> tuple[Route, ...]:
    """Every route whose money arrives as ``settlement``: the token itself first, then what swaps
    on its own network, then the other networks; one rail for each, the first that serves it.

    ``held``: what is captured later. Only the token itself can wait, because nobody knows what a
    swap or a crossing will cost then.
    """
    destination = market.networks.network(settlement.network)
    if held:
        return _held_routes(market, destination, settlement)
    routes = (
        _route(market, source, paying, destination, settlement)
        for source in market.networks.of(destination.mode)
        for paying in source.tokens
    )
    return tuple(sorted((one for one in routes if one), key=_nearness))


def _held_routes(market: Market, network: Network, settlement: Token) -> tuple[Route, ...]:
    schedule = market.schedule
    return tuple(
        Route(
            settlement,
            network,
            crosschain=False,
            fee_ppm=schedule.same_token_ppm,
            minimum=schedule.same_chain_minimum,
            maximum=schedule.same_chain_maximum,
            rail=rail.name,
        )
        for rail in market.rails
        if rail.name is RailName.HOLD and rail.serves(network, settlement, network, settlement)
    )


def _nearness(route: Route) -> tuple[bool, bool]:
    return route.crosschain, route.rail is not None


def _route(
    market: Market, source: Network, paying: Token, destination: Network, settlement: Token
) -> Route | None:
    schedule = market.schedule
    if paying == settlement:
        minimum, maximum = schedule.same_chain_minimum, schedule.same_chain_maximum
        return Route(paying, source, False, schedule.same_token_ppm, minimum, maximum)
    for rail in market.rails:
        if not rail.serves(source, paying, destination, settlement):
            continue
        if source == destination:
            ppm = schedule.same_chain_ppm
            minimum, maximum = schedule.same_chain_minimum, schedule.same_chain_maximum
        else:
            ppm = schedule.crosschain_ppm
            minimum, maximum = schedule.crosschain_minimum, schedule.crosschain_maximum
        return Route(paying, source, source != destination, ppm, minimum, maximum, rail.name)
    return None


def options(
    market: Market,
    settlement: Token,
    amount: MicroUsd,
    fee_model: FeeModel,
    now: datetime,
    *,
    held: bool = False,
) -> tuple[RouteOption, ...]:
    """The routes that accept ``amount``, each with its quote; empty when none does."""
    routes = routes_to(market, settlement, held=held)
    return tuple(_quoted(market, routes, settlement, amount, fee_model, now))


def _quoted(
    market: Market,
    routes: Iterable[Route],
    settlement: Token,
    amount: MicroUsd,
    fee_model: FeeModel,
    now: datetime,
) -> Iterable[RouteOption]:
    expires_at = now + timedelta(seconds=market.schedule.quote_seconds)
    for route in routes:
        if route.minimum <= amount <= route.maximum:
            plain = quote(amount, fee_model, route.fee_ppm, route.token.asset, settlement.asset)
            quoted = _carried(market, route, settlement, plain)
            if quoted is not None and is_payable(quoted):
                yield RouteOption(route, quoted, expires_at)


def _carried(market: Market, route: Route, settlement: Token, plain: Quote) -> Quote | None:
    """The quote with what the route's rail is given; None where the rail cannot do it for that."""
    if route.rail is None:
        return plain
    if plain.merchant_receives.atomic == 0:
        return None
    offer = market.rail(route.rail).quote(rail_request(market.networks, route, settlement, plain))
    if offer is None or not 0 < offer.amount <= plain.payer_pays.atomic:
        return None
    return by_rail(plain, offer.amount)


def rail_request(networks: Networks, route: Route, settlement: Token, quoted: Quote) -> RailRequest:
    """What the route's rail is asked to do."""
    return RailRequest(
        paying=route.token,
        source=route.network,
        settlement=settlement,
        destination=networks.network(settlement.network),
        payer_pays=quoted.payer_pays.atomic,
        merchant_amount=quoted.merchant_receives.atomic,
    )


def bounds(
    market: Market, settlement: Token, *, held: bool = False
) -> tuple[MicroUsd, MicroUsd] | None:
    """The least and the most that any route accepts, in Micro-USD; None where there is no route.
    Between them an amount may still be refused: as too fine, or by each route's own bounds."""
    routes = routes_to(market, settlement, held=held)
    if not routes:
        return None
    lowest = min(route.minimum for route in routes)
    return MicroUsd(lowest), MicroUsd(max(route.maximum for route in routes))


def require_payable(
    market: Market,
    settlement: Token,
    amount: MicroUsd,
    fee_model: FeeModel,
    now: datetime,
    *,
    held: bool = False,
) -> tuple[RouteOption, ...]:
    """Like ``options``, but refuses with 400204 an amount that no route accepts, and naming
    ``captureMethod`` a token that cannot be held."""
    found = options(market, settlement, amount, fee_model, now, held=held)
    if not found:
        limits = bounds(market, settlement, held=held)
        if limits is None:
            raise invalid_field("captureMethod", f"cannot be manual for {settlement.token_id}")
        lowest, highest = limits
        if lowest <= amount <= highest:
            raise AmountTooFine(settlement)
        problem = f"amount must be between {lowest} and {highest} Micro-USD"
        raise Refused(Code.VALUE_OUT_OF_RANGE, problem)
    return found


def require_option(found: tuple[RouteOption, ...], token_id: str) -> RouteOption:
    """The option that pays with ``token_id``. Refuses with 400202 a token that is not offered."""
    for option in found:
        if option.token.token_id == token_id:
            return option
    raise Refused(Code.CHANNEL_UNSUPPORTED, f"tokenId {token_id!r} cannot pay for this session")


def capabilities(market: Market, mode: Mode) -> dict[str, Any]:
    """The public matrix: which token on which chain may pay for which settlement token."""
    tokens = [token for network in market.networks.of(mode) for token in network.tokens]
    return {
        "supportedTokens": [
            {
                "tokenId": token.token_id,
                "symbol": token.symbol,
                "chainId": str(token.chain_id),
                "decimals": token.decimals,
            }
            for token in tokens
        ],
        "paymentCapabilities": {
            token.token_id: _grouped(routes_to(market, token)) for token in tokens
        },
    }


def _grouped(routes: tuple[Route, ...]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for route in routes:
        groups.setdefault(route.network.route_group, []).append(
            {
                "tokenId": route.token.token_id,
                "crosschain": route.crosschain,
                "feeRatePPM": route.fee_ppm,
                "minPaymentValue": route.minimum,
                "maxPaymentValue": route.maximum,
            }
        )
    return groups
