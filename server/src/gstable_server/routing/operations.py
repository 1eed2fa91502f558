"""Which routes exist, what they cost, and the public matrix of capabilities (spec 8)."""

from __future__ import annotations

from typing import Any

from gstable_server.chain.networks import Networks, Token
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode
from gstable_server.routing.fees import is_payable, quote
from gstable_server.routing.model import FeeModel, Route, RouteOption, Schedule


def require_settlement(networks: Networks, mode: Mode, token_id: str) -> Token:
    """The settlement token of that id. Refuses with 400201 what this server does not settle in."""
    return networks.require_token(token_id, mode)


def routes_to(networks: Networks, schedule: Schedule, settlement: Token) -> tuple[Route, ...]:
    """Every route whose money arrives as ``settlement``: today, the token itself on its network."""
    return (
        Route(
            token=settlement,
            network=networks.network(settlement.network),
            crosschain=False,
            fee_ppm=schedule.same_token_ppm,
            minimum=schedule.same_chain_minimum,
            maximum=schedule.same_chain_maximum,
        ),
    )


def options(
    networks: Networks,
    schedule: Schedule,
    settlement: Token,
    amount: MicroUsd,
    fee_model: FeeModel,
) -> tuple[RouteOption, ...]:
    """The routes that accept ``amount``, each with its quote; empty when none does."""
    quoted = (
        RouteOption(
            route, quote(amount, fee_model, route.fee_ppm, route.token.asset, settlement.asset)
        )
        for route in routes_to(networks, schedule, settlement)
        if route.minimum <= amount <= route.maximum
    )
    return tuple(option for option in quoted if is_payable(option.quote))


def require_payable(
    networks: Networks,
    schedule: Schedule,
    settlement: Token,
    amount: MicroUsd,
    fee_model: FeeModel,
) -> tuple[RouteOption, ...]:
    """Like ``options``, but refuses with 400204 an amount that no route accepts."""
    found = options(networks, schedule, settlement, amount, fee_model)
    if not found:
        routes = routes_to(networks, schedule, settlement)
        lowest = min(route.minimum for route in routes)
        highest = max(route.maximum for route in routes)
        problem = f"amount must be between {lowest} and {highest} Micro-USD"
        if lowest <= amount <= highest:
            problem = (
                f"amount is too fine for {settlement.symbol} of {settlement.decimals} decimals"
            )
        raise Refused(Code.VALUE_OUT_OF_RANGE, problem)
    return found


def require_option(found: tuple[RouteOption, ...], token_id: str) -> RouteOption:
    """The option that pays with ``token_id``. Refuses with 400202 a token that is not offered."""
    for option in found:
        if option.token.token_id == token_id:
            return option
    raise Refused(Code.CHANNEL_UNSUPPORTED, f"tokenId {token_id!r} cannot pay for this session")


def capabilities(networks: Networks, schedule: Schedule, mode: Mode) -> dict[str, Any]:
    """The public matrix: which token on which chain may pay for which settlement token."""
    tokens = [token for network in networks.of(mode) for token in network.tokens]
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
            token.token_id: _grouped(routes_to(networks, schedule, token)) for token in tokens
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
