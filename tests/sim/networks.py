"""The networks, tokens and contracts of the simulated world; none of them runs anywhere."""

from __future__ import annotations

from gstable_server.chain.keys import address_of_key
from gstable_server.chain.networks import (
    Contract,
    Contracts,
    Network,
    Networks,
    Token,
    TokenSigning,
    Trust,
)
from gstable_server.kernel.address import Address
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode

CHAIN_IDS = {"north": 1337201, "south": 1337202}
FEE_RECEIVER = Address(b"\x0f" * 20)
RELAYER_KEY = b"\x12" * 32
SOLVER_KEY = b"\x13" * 32
ATTESTOR_KEY = b"\x14" * 32
SOLVER = address_of_key(SOLVER_KEY)
RELAYER = address_of_key(RELAYER_KEY)
FOREIGN_ROUTER = Address(b"\xfa" * 20)


def address(*parts: object) -> Address:
    """An address of its own for each name."""
    return Address("/".join(map(str, parts)).encode()[-20:].rjust(20, b"\x01"))


def stranger(network: str) -> Address:
    """A token of that network that is not configured."""
    return address(network, "shells")


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
        signing=TokenSigning("USD Coin", "2", erc3009=True, permit=False)
        if symbol == "usdc"
        else None,
    )


def new_network(name: str, confirmations: int, *, quorum: bool = False) -> Network:
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
        contracts=Contracts(
            swap_rail=Contract(address(name, "swap"), None),
            escrow_rail=Contract(address(name, "escrow"), None),
            hold_rail=Contract(address(name, "hold"), None),
            # The same on every network, and so are the addresses that it collects from.
            deposit_collector=Contract(address("everywhere", "collector"), None),
        ),
        swap_pool_fee=100,
        log_range=64,
        poll_milliseconds=4000,
        trust=Trust(quorum_above=MicroUsd(0) if quorum else None),
    )


def new_networks(confirmations: dict[str, int], *, quorum: bool = False) -> Networks:
    return Networks(
        tuple(new_network(name, depth, quorum=quorum) for name, depth in confirmations.items())
    )
