"""The networks, tokens and contracts that this server works with.

``networks_toml`` reads them from the operator's file and checks them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum

from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.money import Asset, MicroUsd
from gstable_server.kernel.tenant import Mode

KEEP_BLOCKS = 4096
"""How many blocks below the newest are remembered; more than twice the most confirmations."""


@dataclass(frozen=True, slots=True)
class TokenSigning:
    """What the holder of a token can sign instead of sending: its EIP-712 domain and its calls.

    ``erc3009``: ``receiveWithAuthorization`` with ``bytes`` (EIP-3009); ``permit``: EIP-2612.
    """

    name: str
    version: str
    erc3009: bool
    permit: bool


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
    signing: TokenSigning | None = None

    @property
    def asset(self) -> Asset:
        """The unit that amounts of this token are counted in."""
        return Asset(self.token_id, self.decimals)


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract of ours, and the Keccak-256 of its runtime code when that is pinned."""

    address: Address
    code_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Contracts:
    """Collectors and rails on one network; what is None is not offered there."""

    permit_collector: Contract | None = None
    deposit_collector: Contract | None = None
    swap_rail: Contract | None = None
    cctp_rail: Contract | None = None
    escrow_rail: Contract | None = None
    hold_rail: Contract | None = None

    @property
    def collectors(self) -> dict[str, Contract]:
        """The configured collectors by the name of their field."""
        return {name: one for name, one in self.configured.items() if name.endswith("_collector")}

    @property
    def rails(self) -> dict[str, Contract]:
        """The configured rails by the name of their field."""
        return {name: one for name, one in self.configured.items() if name.endswith("_rail")}

    @property
    def configured(self) -> dict[str, Contract]:
        """All that is configured, by the name of its field."""
        named = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: one for name, one in named if one is not None}


@dataclass(frozen=True, slots=True)
class Cctp:
    """Circle's cross-chain transfer protocol, version 2, on one network.

    ``domain`` is Circle's number of the network. ``finality_threshold`` asks for fast (1000) or
    standard (2000) attestation; ``max_fee_ppm`` is the most of the burnt amount, in millionths,
    that the fast one may cost.
    """

    domain: int
    token_messenger: Address
    message_transmitter: Address
    attestation_url: str
    finality_threshold: int = 2000
    max_fee_ppm: int = 0
    token_messenger_code_hash: bytes | None = None
    message_transmitter_code_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class Gas:
    """What our own transactions may cost, in the smallest native unit.

    ``price_max`` is the most a unit of gas may cost, ``tip`` of it what the block's producer gets;
    an account of ours with less than ``funds_min`` is an alarm.
    """

    price_max: int = 500 * 10**9
    tip: int = 10**9
    funds_min: int = 10**16


@dataclass(frozen=True, slots=True)
class X402:
    """How x402 clients may pay on one network (docs/guide/x402.md).

    ``permit2_proxy`` is the contract that they name as Permit2's spender; None where tokens
    without EIP-3009 are not offered to them. ``amount_min``: what costs less, in Micro-USD, is not
    worth the gas that sending the payer's transfer takes.
    """

    permit2_proxy: Address | None = None
    permit2_proxy_code_hash: bytes | None = None
    amount_min: int = 10_000


class Finality(StrEnum):
    """When a block is not taken back any more."""

    DEPTH = "depth"
    """When ``confirmations`` blocks were mined, itself counted."""
    FINALIZED = "finalized"
    """When the chain's own ``finalized`` tag is at it or above, besides that."""


class HeaderHash(StrEnum):
    """What is done about block headers that do not hash to their name (``chain.header_hash``)."""

    DETECT = "detect"
    """They are refused as soon as one header of the network did, and taken until then: it may be
    a network that hashes other fields."""
    REQUIRE = "require"
    """They are refused."""
    IGNORE = "ignore"
    """They are taken."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How far the providers of one network are believed, and the chain itself.

    ``quorum_above``: value in Micro-USD above which a payment is final only when a second provider
    knows the same block and receipt; None asks no second one. ``reorg_limit``: how many blocks the
    chain may take back at once; beyond it the network halts.
    """

    finality: Finality = Finality.DEPTH
    quorum_above: MicroUsd | None = None
    reorg_limit: int = KEEP_BLOCKS
    header_hash: HeaderHash = HeaderHash.DETECT


@dataclass(frozen=True, slots=True)
class Network:
    """One chain and our router on it.

    ``confirmations`` is how many blocks deep a payment is final, its own block counted;
    ``start_block`` is where reading begins: the router's deployment or before.
    ``swap_pool_fee`` names the Uniswap v3 pools to swap in, in hundredths of a basis point (100
    is 0.01 %); 0 where there is no swap rail.
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
    contracts: Contracts = field(default_factory=Contracts)
    cctp: Cctp | None = None
    gas: Gas = field(default_factory=Gas)
    permit2: Address | None = None
    permit2_code_hash: bytes | None = None
    swap_pool_fee: int = 0
    x402: X402 = field(default_factory=X402)
    trust: Trust = field(default_factory=Trust)
    ws_url: str = ""
    """Where new blocks are announced; only a reason to look at once. Empty: nowhere."""


class Networks:
    """All networks of this server."""

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self.all = networks
        self._by_name = {network.name: network for network in networks}
        self._by_chain_id = {network.chain_id: network for network in networks}
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

    def transaction_url(self, name: str, tx_hash: bytes | None) -> str:
        """Where the explorer of the network ``name`` shows a transaction; "" where the operator
        named none, or where there is no transaction yet."""
        network = self.find_network(name)
        if network is None or not network.explorer_url or not tx_hash:
            return ""
        return f"{network.explorer_url}/tx/0x{tx_hash.hex()}"

    def find_network(self, name: str) -> Network | None:
        """The network of that name, None once it has left the configuration."""
        return self._by_name.get(name)

    def at_chain(self, chain_id: int) -> Network | None:
        """The network with that chain id (EIP-155), None when it is not configured."""
        return self._by_chain_id.get(chain_id)

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

    def token_id_at(self, network_name: str, address: Address) -> str:
        """How the books name the token at ``address``: its id, or the network and the address
        where it is not configured, or not any more."""
        network = self.find_network(network_name)
        token = self.token_at(network_name, address) if network else None
        return token.token_id if token else f"{network_name}::0x{address.hex()}"
