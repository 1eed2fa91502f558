"""The networks, tokens and contracts of the simulated world; none of them runs anywhere."""

from __future__ import annotations

from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Mode

CHAIN_IDS = {"north": 1337201, "south": 1337202}
FEE_RECEIVER = Address(b"\x0f" * 20)
FOREIGN_ROUTER = Address(b"\xfa" * 20)


def address(*parts: object) -> Address:
    """An address of its own for each name."""
    return Address("/".join(map(str, parts)).encode()[-20:].rjust(20, b"\x01"))


def _token(network: str, symbol: str) -> Token:
    return Token(
        token_id=f"{network}::{symbol}",
        name=symbol,
        symbol=symbol.upper(),
        network=network,
        chain_id=CHAIN_IDS[network],
        address=address(network, symbol),
        decimals=6,
        code_hash=None,
    )


def new_network(name: str, confirmations: int) -> Network:
    return Network(
        name=name,
        title=name.title(),
        mode=Mode.TEST,
        chain_id=CHAIN_IDS[name],
        route_group=name.upper(),
        rpc_urls=("http://127.0.0.1:1",),
        router=address(name, "router"),
        router_code_hash=None,
        confirmations=confirmations,
        start_block=0,
        explorer_url="",
        native_symbol=name.upper(),
        tokens=(_token(name, "usdc"), _token(name, "usdt")),
    )


def new_networks(confirmations: dict[str, int]) -> Networks:
    return Networks(tuple(new_network(name, depth) for name, depth in confirmations.items()))
