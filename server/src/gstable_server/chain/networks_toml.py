"""Networks as the text of a ``networks.toml``: what ``networks.parse_networks`` reads back."""

from __future__ import annotations

import json
from collections.abc import Iterable

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Network, Networks, Token


def networks_toml(networks: Networks) -> str:
    """The file's text."""
    return "\n".join(_section(network) for network in networks.all)


def _section(network: Network) -> str:
    lines = [
        "[[network]]",
        *_pairs(
            ("name", network.name),
            ("title", network.title),
            ("mode", network.mode.value),
            ("chain_id", network.chain_id),
            ("route_group", network.route_group),
            ("rpc_urls", list(network.rpc_urls)),
            ("router", to_checksum(network.router)),
            ("router_code_hash", _hash(network.router_code_hash)),
            ("confirmations", network.confirmations),
            ("start_block", network.start_block),
            ("explorer_url", network.explorer_url),
            ("native_symbol", network.native_symbol),
            ("poll_milliseconds", network.poll_milliseconds),
            ("log_range", network.log_range),
        ),
    ]
    for token in network.tokens:
        lines += ["", "[[network.token]]", *_token(token)]
    return "\n".join(lines) + "\n"


def _token(token: Token) -> Iterable[str]:
    return _pairs(
        ("name", token.name),
        ("symbol", token.symbol),
        ("address", to_checksum(token.address)),
        ("decimals", token.decimals),
        ("code_hash", _hash(token.code_hash)),
    )


def _pairs(*pairs: tuple[str, str | int | list[str]]) -> Iterable[str]:
    # JSON's strings, numbers and arrays of strings are TOML's too, when kept within ASCII.
    return (f"{name} = {json.dumps(value)}" for name, value in pairs)


def _hash(code_hash: bytes | None) -> str:
    return "0x" + code_hash.hex() if code_hash else ""
