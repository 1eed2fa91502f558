"""The networks, tokens and contracts that this server works with, from ``networks.toml``.

The format is described in docs/guide/networks.md. Everything is checked when it is loaded, so
that a mistyped address stops the server instead of losing a payment.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gstable_server.chain.checksum import address_from_text
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.money import Asset
from gstable_server.kernel.tenant import Mode
from gstable_server.kernel.urls import url_problem

CONFIRMATIONS_MAX = 1024
DECIMALS_MAX = 36
POLL_MILLISECONDS = (50, 60_000)
LOG_RANGE_MAX = 100_000
_NAME = re.compile(r"[a-z][a-z0-9]{0,31}")
_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,15}")
_ROUTE_GROUP = re.compile(r"[A-Z][A-Z0-9]{1,11}")


class ConfigurationError(Exception):
    """The operator's file says something that cannot be; the message names the field."""


@dataclass(frozen=True, slots=True)
class Token:
    """An ERC-20 token on one network; ``token_id`` is ``network::symbol`` in lower case."""

    token_id: str
    name: str
    symbol: str
    network: str
    chain_id: int
    address: Address
    decimals: int
    code_hash: bytes | None

    @property
    def asset(self) -> Asset:
        """The unit that amounts of this token are counted in."""
        return Asset(self.token_id, self.decimals)


@dataclass(frozen=True, slots=True)
class Network:
    """One chain and our router on it.

    ``confirmations`` is how many blocks deep a payment is final, its own block counted;
    ``start_block`` is where reading begins: the router's deployment or before.
    """

    name: str
    title: str
    mode: Mode
    chain_id: int
    route_group: str
    rpc_urls: tuple[str, ...]
    router: Address
    router_code_hash: bytes | None
    confirmations: int
    start_block: int
    explorer_url: str
    native_symbol: str
    tokens: tuple[Token, ...]
    poll_milliseconds: int = 2000
    log_range: int = 1000
    """The most blocks one question for logs spans while catching up."""


class Networks:
    """All networks of this server."""

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self.all = networks
        self._by_name = {network.name: network for network in networks}
        self._tokens = {
            token.token_id: (token, network.mode)
            for network in networks
            for token in network.tokens
        }

    def of(self, mode: Mode) -> tuple[Network, ...]:
        """The networks that keys of ``mode`` see."""
        return tuple(network for network in self.all if network.mode is mode)

    def network(self, name: str) -> Network:
        """The network of that name. Raises ``LookupError``."""
        return self._by_name[name]

    def find_network(self, name: str) -> Network | None:
        """The network of that name, None once it has left the configuration."""
        return self._by_name.get(name)

    def find_token(self, token_id: str, mode: Mode) -> Token | None:
        """The token, if it is on a network of ``mode``."""
        token, its_mode = self._tokens.get(token_id, (None, mode))
        return token if its_mode is mode else None

    def require_token(self, token_id: str, mode: Mode) -> Token:
        """The token, or ``Refused(CURRENCY_UNSUPPORTED)`` (spec 11)."""
        token = self.find_token(token_id, mode)
        if token is None:
            raise Refused(Code.CURRENCY_UNSUPPORTED, token_id[:64])
        return token

    def token_at(self, network_name: str, address: Address) -> Token | None:
        """The allow-listed token whose contract is at ``address``."""
        for token in self.network(network_name).tokens:
            if token.address == address:
                return token
        return None


class _TokenEntry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    symbol: str
    address: str
    decimals: int
    code_hash: str = ""


class _NetworkEntry(msgspec.Struct, forbid_unknown_fields=True):
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


class _File(msgspec.Struct, forbid_unknown_fields=True):
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
    _require_distinct("network", [network.name for network in networks], "name")
    _require_distinct("network", [network.chain_id for network in networks], "chain_id")
    _require_distinct("network", [(n.mode, n.route_group) for n in networks], "route_group")
    return Networks(networks)


def _network(entry: _NetworkEntry, at: str) -> Network:
    name = _matching(f"{at}.name", entry.name, _NAME, "lower case letters and digits")
    if entry.mode not in set(Mode):
        raise ConfigurationError(f'{at}.mode must be "live" or "test"')
    if not entry.rpc_urls or not entry.token:
        raise ConfigurationError(f"{at} must have at least one of rpc_urls and one token")
    for position, url in enumerate(entry.rpc_urls):
        _require_url(f"{at}.rpc_urls[{position}]", url)
    if entry.explorer_url:
        _require_url(f"{at}.explorer_url", entry.explorer_url)
    chain_id = _within(f"{at}.chain_id", entry.chain_id, 1, 2**53)
    mode = Mode(entry.mode)
    tokens = tuple(
        _token(token, name, chain_id, mode, f"{at}.token[{position}]")
        for position, token in enumerate(entry.token)
    )
    router = _address(f"{at}.router", entry.router)
    _require_distinct(f"{at}.token", [token.token_id for token in tokens], "symbol")
    _require_distinct(f"{at}.token", [router, *(t.address for t in tokens)], "address")
    return Network(
        name=name,
        title=_text(f"{at}.title", entry.title),
        mode=mode,
        chain_id=chain_id,
        route_group=_matching(
            f"{at}.route_group", entry.route_group, _ROUTE_GROUP, "upper case letters and digits"
        ),
        rpc_urls=tuple(entry.rpc_urls),
        router=router,
        router_code_hash=_code_hash(f"{at}.router_code_hash", entry.router_code_hash, mode),
        confirmations=_within(f"{at}.confirmations", entry.confirmations, 1, CONFIRMATIONS_MAX),
        start_block=_within(f"{at}.start_block", entry.start_block, 0, 2**62),
        explorer_url=entry.explorer_url.rstrip("/"),
        native_symbol=_text(f"{at}.native_symbol", entry.native_symbol),
        tokens=tokens,
        poll_milliseconds=_within(
            f"{at}.poll_milliseconds", entry.poll_milliseconds, *POLL_MILLISECONDS
        ),
        log_range=_within(f"{at}.log_range", entry.log_range, 1, LOG_RANGE_MAX),
    )


def _token(entry: _TokenEntry, network: str, chain_id: int, mode: Mode, at: str) -> Token:
    symbol = _matching(f"{at}.symbol", entry.symbol, _SYMBOL, "letters, digits and dots")
    return Token(
        token_id=f"{network}::{symbol.lower()}",
        name=_text(f"{at}.name", entry.name),
        symbol=symbol,
        network=network,
        chain_id=chain_id,
        address=_address(f"{at}.address", entry.address),
        decimals=_within(f"{at}.decimals", entry.decimals, 0, DECIMALS_MAX),
        code_hash=_code_hash(f"{at}.code_hash", entry.code_hash, mode),
    )


def _matching(field: str, text: str, pattern: re.Pattern[str], made_of: str) -> str:
    if not pattern.fullmatch(text):
        raise ConfigurationError(f"{field} must be made of {made_of}, begin with a letter")
    return text


def _text(field: str, text: str) -> str:
    if not text.strip() or len(text) > 50 or not text.isprintable():
        raise ConfigurationError(f"{field} must have 1 to 50 printable characters")
    return text


def _within(field: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise ConfigurationError(f"{field} must be between {least} and {most}")
    return value


def _require_url(field: str, url: str) -> None:
    problem = url_problem(url)
    if problem:
        raise ConfigurationError(f"{field} {problem.replace('https', 'http or https')}")


def _address(field: str, text: str) -> Address:
    try:
        address = address_from_text(text)
    except ValueError as failure:
        raise ConfigurationError(f"{field} {failure}") from failure
    if address == ZERO_ADDRESS:
        raise ConfigurationError(f"{field} must not be the zero address")
    return address


def _code_hash(field: str, text: str, mode: Mode) -> bytes | None:
    """With real money the code must be the code that was reviewed; elsewhere it may be open."""
    if not text:
        if mode is Mode.LIVE:
            raise ConfigurationError(f"{field} is required on a live network")
        return None
    if not re.fullmatch(r"0x[0-9a-fA-F]{64}", text):
        raise ConfigurationError(f"{field} must be 0x followed by 64 hexadecimal digits")
    return bytes.fromhex(text[2:])


def _require_distinct(field: str, values: Sequence[object], member: str) -> None:
    if len(set(values)) != len(values):
        raise ConfigurationError(f"{field} entries must differ in {member}")
