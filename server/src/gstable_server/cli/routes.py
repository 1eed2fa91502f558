"""``gstable routes``: the table of what can pay for what, as the payers' pages would offer it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gstable_server.chain.networks import Networks, Token
from gstable_server.chain.networks_toml import load_networks
from gstable_server.chain.rails.assembly import RailSettings, rails_of
from gstable_server.chain.rails.attestation import HttpAttestationService
from gstable_server.kernel.address import ZERO_ADDRESS
from gstable_server.plumbing.config import DoctorSettings
from gstable_server.plumbing.http_client import GuardedClient
from gstable_server.routing.model import Market, Route, Schedule, Way
from gstable_server.routing.operations import routes_to
from gstable_server.routing.ways import takes_deposits, ways

MICRO = 10**6
HEAD = (
    "| settles in | pays | by | fee, PPM | from, USD | to, USD | ways |\n"
    "|---|---|---|---|---|---|---|\n"
)


def market_of(networks: Networks) -> Market:
    """Everything that such a server could offer. Its rails have no connections: they are asked
    only what they serve."""
    settings = RailSettings(fee_receiver=ZERO_ADDRESS)
    attestations = HttpAttestationService(GuardedClient())
    return Market(networks, Schedule(), rails_of(networks, {}, attestations, settings))


def table(networks: Networks) -> str:
    """A row of Markdown for each route, by settlement token in the order of their names."""
    market = market_of(networks)
    tokens = sorted(
        (token for network in networks.all for token in network.tokens),
        key=lambda token: token.token_id,
    )
    return HEAD + "".join(row for token in tokens for row in _rows(market, token))


def _rows(market: Market, settlement: Token) -> Iterator[str]:
    for route in sorted(routes_to(market, settlement), key=lambda one: one.token.token_id):
        cells = (
            f"`{settlement.token_id}`",
            f"`{route.token.token_id}`",
            route.rail.value if route.rail else "direct",
            str(route.fee_ppm),
            _usd(route.minimum),
            _usd(route.maximum),
            ", ".join(way.value for way in _ways(route)),
        )
        yield f"| {' | '.join(cells)} |\n"


def _ways(route: Route) -> tuple[Way, ...]:
    """With a relayer, as any server has that sends payments for payers."""
    found = ways(route.network, route.token, relays=True)
    return (*found, Way.DEPOSIT) if takes_deposits(route.network, relays=True) else found


def _usd(micro_usd: int) -> str:
    """Whole dollars, and cents where there are any; limits have no finer ones."""
    whole, rest = divmod(micro_usd, MICRO)
    return f"{whole:,}" if rest == 0 else f"{whole:,}.{rest:06}".rstrip("0")


def show(file: Path | None) -> None:
    """Print the table. Raises ``ConfigurationError``."""
    print(table(load_networks(file or DoctorSettings().networks_file)), end="")
