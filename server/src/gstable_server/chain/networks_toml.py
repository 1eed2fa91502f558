"""The file ``networks.toml``: read and checked for a server, and written for local chains.

The format is described in docs/guide/networks.md. Everything is checked when it is loaded, so
that a mistyped address stops the server instead of losing a payment.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from gstable_server.chain import configuration as check
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.configuration import ConfigurationError
from gstable_server.chain.networks import (
    KEEP_BLOCKS,
    X402,
    Cctp,
    Contract,
    Contracts,
    Finality,
    Gas,
    HeaderHash,
    Network,
    Networks,
    Token,
    TokenSigning,
    Trust,
)
from gstable_server.kernel.address import Address
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode

CONFIRMATIONS_MAX = 1024
DECIMALS_MAX = 36
POLL_MILLISECONDS = (50, 60_000)
LOG_RANGE_MAX = 100_000
DOMAIN_MAX = 2**32 - 1
THRESHOLD_MAX = 2000
FEE_PPM_MAX = 10_000
POOL_FEE_MAX = 999_999
GAS_PRICE_MAX = 10**15
FUNDS_MAX = 10**24
AMOUNT_MIN_MAX = 10**12
VALUE_MAX = 10**18
_NAME = re.compile(r"[a-z][a-z0-9]{0,31}")
_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,15}")
_ROUTE_GROUP = re.compile(r"[A-Z][A-Z0-9]{1,11}")


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """A table of the file; what it does not know it refuses."""


class _SigningEntry(_Entry):
    name: str
    version: str
    erc3009: bool = False
    permit: bool = False


class _TokenEntry(_Entry):
    name: str
    symbol: str
    address: str
    decimals: int
    code_hash: str = ""
    signing: _SigningEntry | None = None


class _Named(_Entry):
    """One text for each of our contracts: an address, or a code hash."""

    permit_collector: str = ""
    deposit_collector: str = ""
    swap_rail: str = ""
    cctp_rail: str = ""
    escrow_rail: str = ""
    hold_rail: str = ""


class _ContractsEntry(_Named):
    code_hash: _Named = msgspec.field(default_factory=_Named)


class _CctpEntry(_Entry):
    domain: int
    token_messenger: str
    message_transmitter: str
    attestation_url: str
    finality_threshold: int = 2000
    max_fee_ppm: int = 0
    token_messenger_code_hash: str = ""
    message_transmitter_code_hash: str = ""


class _GasEntry(_Entry):
    price_max: int = Gas().price_max
    tip: int = Gas().tip
    funds_min: int = Gas().funds_min


class _X402Entry(_Entry):
    permit2_proxy: str = ""
    permit2_proxy_code_hash: str = ""
    amount_min: int = X402().amount_min


class _NetworkEntry(_Entry):
    name: str
    title: str
    mode: str
    chain_id: int
    route_group: str
    rpc_urls: list[str]
    router: str
    confirmations: int
    start_block: int
    native_symbol: str
    token: list[_TokenEntry]
    router_code_hash: str = ""
    explorer_url: str = ""
    poll_milliseconds: int = 2000
    log_range: int = 1000
    permit2: str = ""
    permit2_code_hash: str = ""
    swap_pool_fee: int = 0
    contracts: _ContractsEntry = msgspec.field(default_factory=_ContractsEntry)
    cctp: _CctpEntry | None = None
    gas: _GasEntry = msgspec.field(default_factory=_GasEntry)
    x402: _X402Entry = msgspec.field(default_factory=_X402Entry)
    ws_url: str = ""
    finality: str = Finality.DEPTH.value
    quorum_above_micro_usd: int | None = None
    reorg_limit: int = KEEP_BLOCKS
    header_hash: str = HeaderHash.DETECT.value


class _File(_Entry):
    network: list[_NetworkEntry]


def load_networks(path: Path) -> Networks:
    """Read and check ``path``. Raises ``ConfigurationError`` naming the file and the field."""
    try:
        return parse_networks(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise ConfigurationError(f"{path}: {failure.strerror}") from failure
    except UnicodeDecodeError as failure:
        raise ConfigurationError(f"{path}: must be UTF-8") from failure
    except ConfigurationError as failure:
        raise ConfigurationError(f"{path}: {failure}") from failure


def parse_networks(text: str) -> Networks:
    """The networks that ``text``, in TOML, describes. Raises ``ConfigurationError``."""
    try:
        entries = msgspec.convert(tomllib.loads(text), _File).network
    except tomllib.TOMLDecodeError as failure:
        raise ConfigurationError(f"is not TOML: {failure}") from failure
    except msgspec.ValidationError as failure:
        raise ConfigurationError(str(failure).replace("`$.", "`")) from failure
    if not entries:
        raise ConfigurationError("network must have at least one entry")
    networks = tuple(_network(entry, f"network[{at}]") for at, entry in enumerate(entries))
    _require_coherent(networks)
    return Networks(networks)


def _require_coherent(networks: tuple[Network, ...]) -> None:
    check.require_distinct("network", [network.name for network in networks], "name")
    check.require_distinct("network", [network.chain_id for network in networks], "chain_id")
    check.require_distinct("network", [(n.mode, n.route_group) for n in networks], "route_group")
    domains = [(n.mode, n.cctp.domain) for n in networks if n.cctp]
    check.require_distinct("network", domains, "cctp.domain")
    for mode in Mode:
        collectors = {
            network.contracts.deposit_collector.address
            for network in networks
            if network.mode is mode and network.contracts.deposit_collector
        }
        # A deposit sent on another network than the chosen one is only found where the address
        # is the same.
        if len(collectors) > 1:
            raise ConfigurationError(
                f"contracts.deposit_collector must be the same on all {mode} networks"
            )


def _network(entry: _NetworkEntry, at: str) -> Network:
    name = check.matching(f"{at}.name", entry.name, _NAME, "lower case letters and digits")
    if entry.mode not in set(Mode):
        raise ConfigurationError(f'{at}.mode must be "live" or "test"')
    if not entry.rpc_urls or not entry.token:
        raise ConfigurationError(f"{at} must have at least one of rpc_urls and one token")
    chain_id = check.within(f"{at}.chain_id", entry.chain_id, 1, 2**53)
    mode = Mode(entry.mode)
    network = Network(
        name=name,
        title=check.shown_text(f"{at}.title", entry.title),
        mode=mode,
        chain_id=chain_id,
        route_group=check.matching(
            f"{at}.route_group", entry.route_group, _ROUTE_GROUP, "upper case letters and digits"
        ),
        rpc_urls=tuple(
            check.web_address(f"{at}.rpc_urls[{position}]", url)
            for position, url in enumerate(entry.rpc_urls)
        ),
        router=check.address(f"{at}.router", entry.router),
        router_code_hash=check.code_hash(f"{at}.router_code_hash", entry.router_code_hash, mode),
        confirmations=check.within(
            f"{at}.confirmations", entry.confirmations, 1, CONFIRMATIONS_MAX
        ),
        start_block=check.within(f"{at}.start_block", entry.start_block, 0, 2**62),
        explorer_url=_explorer_url(f"{at}.explorer_url", entry.explorer_url),
        native_symbol=check.shown_text(f"{at}.native_symbol", entry.native_symbol),
        tokens=tuple(
            _token(token, name, chain_id, mode, f"{at}.token[{position}]")
            for position, token in enumerate(entry.token)
        ),
        poll_milliseconds=check.within(
            f"{at}.poll_milliseconds", entry.poll_milliseconds, *POLL_MILLISECONDS
        ),
        log_range=check.within(f"{at}.log_range", entry.log_range, 1, LOG_RANGE_MAX),
        contracts=_contracts(entry.contracts, mode, f"{at}.contracts"),
        cctp=_cctp(entry.cctp, mode, f"{at}.cctp") if entry.cctp else None,
        gas=_gas(entry.gas, f"{at}.gas"),
        permit2=check.address(f"{at}.permit2", entry.permit2) if entry.permit2 else None,
        permit2_code_hash=(
            check.code_hash(f"{at}.permit2_code_hash", entry.permit2_code_hash, mode)
            if entry.permit2
            else None
        ),
        swap_pool_fee=check.within(f"{at}.swap_pool_fee", entry.swap_pool_fee, 0, POOL_FEE_MAX),
        x402=_x402(entry.x402, mode, f"{at}.x402"),
        trust=_trust(entry, at),
        ws_url=check.socket_address(f"{at}.ws_url", entry.ws_url) if entry.ws_url else "",
    )
    check.require_distinct(f"{at}.token", [token.token_id for token in network.tokens], "symbol")
    check.require_distinct(f"{at}.token", _addresses(network), "address")
    _require_complete(network, at)
    return network


def _trust(entry: _NetworkEntry, at: str) -> Trust:
    if entry.finality not in set(Finality):
        raise ConfigurationError(f'{at}.finality must be "depth" or "finalized"')
    if entry.header_hash not in set(HeaderHash):
        raise ConfigurationError(f'{at}.header_hash must be "detect", "require" or "ignore"')
    quorum_above = entry.quorum_above_micro_usd
    if quorum_above is not None:
        check.within(f"{at}.quorum_above_micro_usd", quorum_above, 0, VALUE_MAX)
        if len({urlsplit(url).netloc for url in entry.rpc_urls}) < 2:
            raise ConfigurationError(
                f"{at}.rpc_urls must name two providers for quorum_above_micro_usd"
            )
    return Trust(
        finality=Finality(entry.finality),
        quorum_above=None if quorum_above is None else MicroUsd(quorum_above),
        reorg_limit=check.within(f"{at}.reorg_limit", entry.reorg_limit, 1, KEEP_BLOCKS),
        header_hash=HeaderHash(entry.header_hash),
    )


def _explorer_url(field: str, url: str) -> str:
    return check.web_address(field, url).rstrip("/") if url else ""


def _addresses(network: Network) -> list[Address]:
    """Every contract of the network: one address in two roles is a slip of the pen."""
    addresses = [network.router, *(token.address for token in network.tokens)]
    addresses += [contract.address for contract in network.contracts.configured.values()]
    if network.cctp:
        addresses += [network.cctp.token_messenger, network.cctp.message_transmitter]
    if network.permit2:
        addresses.append(network.permit2)
    if network.x402.permit2_proxy:
        addresses.append(network.x402.permit2_proxy)
    return addresses


def _require_complete(network: Network, at: str) -> None:
    """Refuse a contract without the setting that it works with, and the other way round."""
    for contract, setting, needed in (
        ("swap_rail", "swap_pool_fee", network.swap_pool_fee),
        ("cctp_rail", "cctp", network.cctp),
    ):
        if contract in network.contracts.configured and not needed:
            raise ConfigurationError(f"{at}.{setting} is required with contracts.{contract}")
    if network.swap_pool_fee and network.contracts.swap_rail is None:
        raise ConfigurationError(f"{at}.contracts.swap_rail is required with swap_pool_fee")
    if network.x402.permit2_proxy and network.permit2 is None:
        raise ConfigurationError(f"{at}.permit2 is required with x402.permit2_proxy")


def _token(entry: _TokenEntry, network: str, chain_id: int, mode: Mode, at: str) -> Token:
    symbol = check.matching(f"{at}.symbol", entry.symbol, _SYMBOL, "letters, digits and dots")
    return Token(
        token_id=f"{network}::{symbol.lower()}",
        name=check.shown_text(f"{at}.name", entry.name),
        symbol=symbol,
        network=network,
        chain_id=chain_id,
        address=check.address(f"{at}.address", entry.address),
        decimals=check.within(f"{at}.decimals", entry.decimals, 0, DECIMALS_MAX),
        code_hash=check.code_hash(f"{at}.code_hash", entry.code_hash, mode),
        signing=_signing(entry.signing, f"{at}.signing") if entry.signing else None,
    )


def _signing(entry: _SigningEntry, at: str) -> TokenSigning:
    if not (entry.erc3009 or entry.permit):
        raise ConfigurationError(f"{at} must set erc3009 or permit to true")
    return TokenSigning(
        name=check.shown_text(f"{at}.name", entry.name),
        version=check.shown_text(f"{at}.version", entry.version),
        erc3009=entry.erc3009,
        permit=entry.permit,
    )


def _contracts(entry: _ContractsEntry, mode: Mode, at: str) -> Contracts:
    contracts: dict[str, Contract] = {}
    for name in _Named.__struct_fields__:
        text, hash_text = getattr(entry, name), getattr(entry.code_hash, name)
        if text:
            contracts[name] = Contract(
                check.address(f"{at}.{name}", text),
                check.code_hash(f"{at}.code_hash.{name}", hash_text, mode),
            )
        elif hash_text:
            raise ConfigurationError(f"{at}.{name} is required with its code_hash")
    return Contracts(**contracts)


def _cctp(entry: _CctpEntry, mode: Mode, at: str) -> Cctp:
    return Cctp(
        domain=check.within(f"{at}.domain", entry.domain, 0, DOMAIN_MAX),
        token_messenger=check.address(f"{at}.token_messenger", entry.token_messenger),
        message_transmitter=check.address(f"{at}.message_transmitter", entry.message_transmitter),
        attestation_url=check.web_address(f"{at}.attestation_url", entry.attestation_url).rstrip(
            "/"
        ),
        finality_threshold=check.within(
            f"{at}.finality_threshold", entry.finality_threshold, 1, THRESHOLD_MAX
        ),
        max_fee_ppm=check.within(f"{at}.max_fee_ppm", entry.max_fee_ppm, 0, FEE_PPM_MAX),
        token_messenger_code_hash=check.code_hash(
            f"{at}.token_messenger_code_hash", entry.token_messenger_code_hash, mode
        ),
        message_transmitter_code_hash=check.code_hash(
            f"{at}.message_transmitter_code_hash", entry.message_transmitter_code_hash, mode
        ),
    )


def _gas(entry: _GasEntry, at: str) -> Gas:
    price_max = check.within(f"{at}.price_max", entry.price_max, 1, GAS_PRICE_MAX)
    return Gas(
        price_max=price_max,
        tip=check.within(f"{at}.tip", entry.tip, 0, price_max),
        funds_min=check.within(f"{at}.funds_min", entry.funds_min, 0, FUNDS_MAX),
    )


def _x402(entry: _X402Entry, mode: Mode, at: str) -> X402:
    amount_min = check.within(f"{at}.amount_min", entry.amount_min, 0, AMOUNT_MIN_MAX)
    if not entry.permit2_proxy:
        return X402(amount_min=amount_min)
    return X402(
        permit2_proxy=check.address(f"{at}.permit2_proxy", entry.permit2_proxy),
        permit2_proxy_code_hash=check.code_hash(
            f"{at}.permit2_proxy_code_hash", entry.permit2_proxy_code_hash, mode
        ),
        amount_min=amount_min,
    )


def networks_toml(networks: Networks) -> str:
    """The file's text: what ``parse_networks`` reads back."""
    return "\n".join(_network_section(network) for network in networks.all)


def _network_section(network: Network) -> str:
    lines = ["[[network]]", *_pairs(_network_pairs(network))]
    configured = network.contracts.configured
    if configured:
        addresses = {name: to_checksum(one.address) for name, one in configured.items()}
        hashes = {name: _hash(one.code_hash) for name, one in configured.items() if one.code_hash}
        lines += ["", "[network.contracts]", *_pairs(addresses)]
        lines += ["", "[network.contracts.code_hash]", *_pairs(hashes)]
    if network.cctp:
        lines += ["", "[network.cctp]", *_pairs(_cctp_pairs(network.cctp))]
    gas = network.gas
    lines += ["", "[network.gas]"]
    lines += _pairs({"price_max": gas.price_max, "tip": gas.tip, "funds_min": gas.funds_min})
    lines += ["", "[network.x402]", *_pairs(_x402_pairs(network.x402))]
    for token in network.tokens:
        lines += ["", "[[network.token]]", *_token_lines(token)]
    return "\n".join(lines) + "\n"


def _network_pairs(network: Network) -> Mapping[str, str | int | list[str]]:
    trust = network.trust
    quorum = {} if trust.quorum_above is None else {"quorum_above_micro_usd": trust.quorum_above}
    return {
        "name": network.name,
        "title": network.title,
        "mode": network.mode.value,
        "chain_id": network.chain_id,
        "route_group": network.route_group,
        "rpc_urls": list(network.rpc_urls),
        "router": to_checksum(network.router),
        "router_code_hash": _hash(network.router_code_hash),
        "confirmations": network.confirmations,
        "start_block": network.start_block,
        "explorer_url": network.explorer_url,
        "native_symbol": network.native_symbol,
        "poll_milliseconds": network.poll_milliseconds,
        "log_range": network.log_range,
        "permit2": to_checksum(network.permit2) if network.permit2 else "",
        "permit2_code_hash": _hash(network.permit2_code_hash),
        "swap_pool_fee": network.swap_pool_fee,
        "ws_url": network.ws_url,
        "finality": trust.finality.value,
        "reorg_limit": trust.reorg_limit,
        "header_hash": trust.header_hash.value,
        **quorum,
    }


def _cctp_pairs(cctp: Cctp) -> Mapping[str, str | int]:
    return {
        "domain": cctp.domain,
        "token_messenger": to_checksum(cctp.token_messenger),
        "message_transmitter": to_checksum(cctp.message_transmitter),
        "attestation_url": cctp.attestation_url,
        "finality_threshold": cctp.finality_threshold,
        "max_fee_ppm": cctp.max_fee_ppm,
        "token_messenger_code_hash": _hash(cctp.token_messenger_code_hash),
        "message_transmitter_code_hash": _hash(cctp.message_transmitter_code_hash),
    }


def _x402_pairs(x402: X402) -> Mapping[str, str | int]:
    return {
        "permit2_proxy": to_checksum(x402.permit2_proxy) if x402.permit2_proxy else "",
        "permit2_proxy_code_hash": _hash(x402.permit2_proxy_code_hash),
        "amount_min": x402.amount_min,
    }


def _token_lines(token: Token) -> list[str]:
    lines = [
        *_pairs(
            {
                "name": token.name,
                "symbol": token.symbol,
                "address": to_checksum(token.address),
                "decimals": token.decimals,
                "code_hash": _hash(token.code_hash),
            }
        )
    ]
    if token.signing:
        signing = token.signing
        lines += ["", "[network.token.signing]"]
        lines += _pairs({"name": signing.name, "version": signing.version})
        lines += _pairs({"erc3009": signing.erc3009, "permit": signing.permit})
    return lines


def _pairs(pairs: Mapping[str, str | int | list[str]]) -> Iterable[str]:
    # JSON's strings, numbers, booleans and arrays of strings are TOML's too, within ASCII.
    return (f"{name} = {json.dumps(value)}" for name, value in pairs.items())


def _hash(code_hash: bytes | None) -> str:
    return "0x" + code_hash.hex() if code_hash else ""
