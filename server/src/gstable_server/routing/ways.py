"""How a token may be taken on its network: what is configured and what the token can do."""

from __future__ import annotations

from gstable_server.chain.networks import Network, Token
from gstable_server.routing.model import Way


def ways(network: Network, token: Token, *, relays: bool) -> tuple[Way, ...]:
    """The ways to pay with ``token`` from a wallet that a page can ask, the least work for the
    payer first; never empty.

    ``relays``: whether this server sends payments that a payer only signed.
    """
    signing = token.signing
    found: list[Way] = []
    if relays and signing and signing.erc3009:
        found.append(Way.ERC3009)
    if relays and network.permit2:
        found.append(Way.PERMIT2)
    if signing and signing.permit and network.contracts.permit_collector:
        found.append(Way.PERMIT)
    return (*found, Way.APPROVE)


def takes_deposits(network: Network, *, relays: bool) -> bool:
    """Whether a plain transfer can pay on ``network``; somebody has to collect it afterwards."""
    return relays and network.contracts.deposit_collector is not None
