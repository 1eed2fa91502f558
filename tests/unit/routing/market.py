"""The four networks and seven tokens of spec 8, with every rail that has a price. Nothing runs."""

from __future__ import annotations

from dataclasses import replace

from gstable_server.chain.networks import (
    Cctp,
    Contract,
    Contracts,
    Network,
    Networks,
    Token,
    TokenSigning,
)
from gstable_server.chain.rails.cctp import CctpRail
from gstable_server.chain.rails.escrow import EscrowRail
from gstable_server.chain.rails.hold import HoldRail
from gstable_server.chain.rails.port import Rail
from gstable_server.chain.rails.swap import SwapRail
from gstable_server.chain.rails.testing import FakeAttestations
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Mode
from gstable_server.routing.model import Market, Schedule

CHAINS = {
    "ethereum": (1331001, "ETH", ("usdt", "usdc")),
    "base": (1338453, "BASE", ("usdc",)),
    "arbitrumone": (1342161, "ARB", ("usdt", "usdc")),
    "polygon": (1337137, "POL", ("usdt", "usdc")),
}
SIGNING = TokenSigning("USD Coin", "2", erc3009=True, permit=True)


def address(*parts: object) -> Address:
    """An address of its own for each name."""
    return Address("/".join(map(str, parts)).encode()[-20:].rjust(20, b"\x01"))


def contract(network: str, name: str) -> Contract:
    return Contract(address(network, name), None)


def token(network: str, symbol: str, decimals: int = 6) -> Token:
    return Token(
        token_id=f"{network}::{symbol}",
        name=symbol,
        symbol=symbol.upper(),
        network=network,
        chain_id=CHAINS[network][0],
        address=address(network, symbol),
        decimals=decimals,
        code_hash=None,
        signing=SIGNING if symbol == "usdc" else None,
    )


def network(name: str, domain: int, decimals: dict[str, int] | None = None) -> Network:
    chain_id, group, symbols = CHAINS[name]
    return Network(
        name=name,
        title=name.title(),
        mode=Mode.TEST,
        chain_id=chain_id,
        route_group=group,
        rpc_urls=("http://127.0.0.1:1",),
        router=address(name, "router"),
        router_code_hash=None,
        confirmations=2,
        start_block=0,
        explorer_url="",
        native_symbol=group,
        tokens=tuple(token(name, one, (decimals or {}).get(one, 6)) for one in symbols),
        contracts=Contracts(
            permit_collector=contract(name, "permit"),
            swap_rail=contract(name, "swap"),
            cctp_rail=contract(name, "cctp"),
            escrow_rail=contract(name, "escrow"),
            hold_rail=contract(name, "hold"),
        ),
        cctp=Cctp(
            domain, address(name, "messenger"), address(name, "transmitter"), "http://127.0.0.1:1"
        ),
        permit2=address(name, "permit2"),
        swap_pool_fee=100,
    )


def every_network(decimals: dict[str, int] | None = None) -> Networks:
    """``decimals`` by token symbol, 6 where it says nothing."""
    return Networks(tuple(network(name, at, decimals) for at, name in enumerate(CHAINS)))


def rails_of(networks: Networks) -> tuple[Rail, ...]:
    """Those that a server has, in its order, with nobody to speak to: prices need no chain."""
    return (
        SwapRail(),
        CctpRail(networks, {}, FakeAttestations()),
        EscrowRail(networks, {}),
        HoldRail(fee_ppm=2000, fee_receiver=address("fees")),
    )


def market(decimals: dict[str, int] | None = None, schedule: Schedule | None = None) -> Market:
    networks = every_network(decimals)
    return Market(networks, schedule or Schedule(), rails_of(networks))


def without_rails(networks: Networks) -> Market:
    """Nothing but each token for itself."""
    bare = (replace(one, contracts=Contracts(), cctp=None) for one in networks.all)
    return Market(Networks(tuple(bare)), Schedule(), rails_of(networks))
