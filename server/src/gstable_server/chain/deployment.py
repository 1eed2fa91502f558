"""Puts everything that payments need on local chains: the router, every collector and rail, USDC,
a double of USDT, Circle's transfer protocol as doubles, Permit2 with a double of x402's proxy
of it, and Uniswap.

``contracts/artifacts`` and ``node_modules`` of the source tree hold the code. The tables
``_COLLECTORS`` and ``_RAILS`` name our contracts and what their constructors are given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gstable_server.chain import abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.deployment_script import (
    CHECKOUT,
    Script,
    carry_out,
    creation_code,
    load_artifact,
)
from gstable_server.chain.deployment_uniswap import (
    POOL_FEE,
    POOL_TOKENS,
    swap_router_with_pool,
)
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.networks import Contract, Contracts, Token, TokenSigning
from gstable_server.kernel.address import Address, address_from_hex

ARTIFACTS = CHECKOUT / "contracts/artifacts"
NODE_MODULES = CHECKOUT / "node_modules"
DECIMALS = 6
UNLIMITED = 2**256 - 1
MINT = "mint(address,uint256)"
ISSUE = "issue(uint256)"
PERMIT2 = Address(bytes.fromhex("000000000022d473030f116ddee9f6b43ac78ba3"))
"""Where Permit2 is on every chain."""
X402_PERMIT2_PROXY = Address(bytes.fromhex("402085c248eea27d92e8b30b2c58ed07f9e20001"))
"""Whom x402 clients name as Permit2's spender, on every chain."""
PROXY_ADMIN = Address(keccak256(b"administrator of the USDC proxy")[12:])
"""The proxy answers nothing else to its administrator, so it is nobody who calls the token."""
SOLVER_TOKENS = 50_000_000
"""Whole tokens of each kind that the solver has to fill orders with."""
ACTOR_NATIVE = 1000 * 10**18
SHARED_OWNER = 9
"""Which of the nodes' accounts owns the collector of deposits: the same on every chain, because
its address, which is the same on every chain, follows from its owner."""


@dataclass(frozen=True, slots=True)
class Actors:
    """The accounts that the contracts are told of, and whose keys a server holds."""

    order_signer: Address
    relayer: Address
    solver: Address
    attestor: Address
    cctp_attester: Address


@dataclass(frozen=True, slots=True)
class SitePlan:
    """One chain to deploy to. ``deployer`` is one of the node's accounts: another one on each
    chain, so that no contract has the same address on two and a mix-up of networks shows."""

    name: str
    chain_id: int
    tether: bool
    domain: int
    deployer: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where everything is; code hashes are Keccak-256 of the runtime code."""

    router: Contract
    tokens: tuple[Token, ...]
    contracts: Contracts
    token_messenger: Contract
    message_transmitter: Contract
    permit2: Contract
    x402_permit2_proxy: Contract
    swap_pool_fee: int


@dataclass(slots=True)
class _Site:
    """A chain while its deployment is being written down."""

    plan: SitePlan
    rpc: HttpRpc
    actors: Actors
    script: Script
    shared_owner: Script
    tokens: dict[str, Address] = field(default_factory=dict)
    places: dict[str, Address] = field(default_factory=dict)
    """Contracts by name: ``router``, those of ``_COLLECTORS`` and ``_RAILS``, and foreign ones."""

    def create(self, place: str, artifact: str, *arguments: bytes | abi.Dynamic) -> None:
        """Deploy one of our own contracts."""
        self.places[place] = self.script.create(_own_code(artifact), *arguments)

    def word(self, place: str) -> bytes:
        """The address of a contract as an ABI word."""
        return abi.address_word(self.places[place])

    @property
    def owner(self) -> bytes:
        """Who owns everything but the collector of deposits, as an ABI word."""
        return abi.address_word(self.script.sender)


Arguments = Callable[[_Site], Sequence[bytes]]

_COLLECTORS: Mapping[str, tuple[str, Arguments]] = {
    "permit_collector": ("PermitCollector", lambda site: [site.word("router")]),
}
_RAILS: Mapping[str, tuple[str, Arguments]] = {
    "swap_rail": ("SwapRail", lambda site: [site.word("router"), site.word("swap_router")]),
    "cctp_rail": ("CctpRail", lambda site: [site.word("router"), site.word("token_messenger")]),
    "escrow_rail": ("EscrowRail", lambda site: [site.word("router"), site.owner]),
    "hold_rail": ("HoldRail", lambda site: [site.word("router")]),
}


async def deploy(
    rpcs: Sequence[HttpRpc], plans: Sequence[SitePlan], actors: Actors
) -> list[Deployment]:
    """Deploy to all chains at once and let each know the others. Each plan's deployer owns what is
    deployed there."""
    sites = await asyncio.gather(
        *(_site(rpc, plan, actors) for rpc, plan in zip(rpcs, plans, strict=True))
    )
    for site in sites:
        _write_down(site)
    for site in sites:
        _know_each_other(site, [other for other in sites if other is not site])
    collectors = {site.places["deposit_collector"] for site in sites}
    assert len(collectors) == 1, "deposits are collected at one address on every network"
    await asyncio.gather(*(_carry_out(site) for site in sites))
    return await asyncio.gather(*(_read_back(site) for site in sites))


async def _site(rpc: HttpRpc, plan: SitePlan, actors: Actors) -> _Site:
    [accounts] = await rpc.ask([("eth_accounts", [])])
    deployer, owner = (address_from_hex(accounts[n]) for n in (plan.deployer, SHARED_OWNER))
    return _Site(
        plan=plan,
        rpc=rpc,
        actors=actors,
        script=Script(deployer, await rpc.transaction_count(deployer)),
        shared_owner=Script(owner, await rpc.transaction_count(owner)),
    )


def _write_down(site: _Site) -> None:
    """Everything that needs no other chain."""
    script = site.script
    site.tokens["USDC"] = fiat_token(script)
    if site.plan.tether:
        site.tokens["USDT"] = script.create(_own_code("TetherDouble"), abi.number_word(0))
        _issue(site, site.script.sender, POOL_TOKENS)
        site.places["swap_router"] = swap_router_with_pool(
            script, NODE_MODULES, *site.tokens.values()
        )
    signer = abi.address_word(site.actors.order_signer)
    site.create("router", "PaymentRouter", site.owner, signer, abi.address_word(PERMIT2))
    _transfer_protocol(site)
    for place, (artifact, arguments) in _COLLECTORS.items():
        site.create(place, artifact, *arguments(site))
        script.call(site.places["router"], "addCollector(address)", site.word(place))
    _deposit_collector(site)
    for place, (artifact, arguments) in _RAILS.items():
        if place == "swap_rail" and "swap_router" not in site.places:
            continue
        site.create(place, artifact, *arguments(site))
        script.call(site.places["router"], "addRail(address)", site.word(place))
    escrow = site.places["escrow_rail"]
    script.call(escrow, "addSolver(address)", abi.address_word(site.actors.solver))
    script.call(escrow, "addAttestor(address)", abi.address_word(site.actors.attestor))
    script.call(escrow, "setThreshold(uint256)", abi.number_word(1))
    _issue(site, site.actors.solver, SOLVER_TOKENS)


def _deposit_collector(site: _Site) -> None:
    owner = abi.address_word(site.shared_owner.sender)
    collector = site.script.create_everywhere_alike(_own_code("DepositCollector"), owner)
    site.places["deposit_collector"] = collector
    site.script.call(site.places["router"], "addCollector(address)", abi.address_word(collector))
    site.shared_owner.call(collector, "setRouter(address)", site.word("router"))


def _transfer_protocol(site: _Site) -> None:
    """Circle's messenger may mint and burn USDC; one attester signs."""
    domain = abi.number_word(site.plan.domain)
    attester = abi.address_word(site.actors.cctp_attester)
    site.create("message_transmitter", "MessageTransmitterDouble", domain, site.owner, attester)
    site.create(
        "token_messenger", "TokenMessengerDouble", site.word("message_transmitter"), site.owner
    )
    site.script.call(
        site.tokens["USDC"],
        "configureMinter(address,uint256)",
        site.word("token_messenger"),
        abi.number_word(UNLIMITED),
    )


def _know_each_other(site: _Site, others: Sequence[_Site]) -> None:
    """What is burnt on another chain is minted on this one."""
    messenger = site.places["token_messenger"]
    for other in others:
        domain = abi.number_word(other.plan.domain)
        site.script.call(
            messenger,
            "addRemoteTokenMessenger(uint32,bytes32)",
            domain,
            other.word("token_messenger"),
        )
        site.script.call(
            messenger,
            "linkTokenPair(address,uint32,bytes32)",
            abi.address_word(site.tokens["USDC"]),
            domain,
            abi.address_word(other.tokens["USDC"]),
        )


def _issue(site: _Site, holder: Address, whole_tokens: int) -> None:
    """New tokens of each kind; those of the double of USDT appear with its owner."""
    amount = abi.number_word(whole_tokens * 10**DECIMALS)
    word = abi.address_word(holder)
    site.script.call(site.tokens["USDC"], MINT, word, amount)
    if site.plan.tether:
        site.script.call(site.tokens["USDT"], ISSUE, amount)
        if holder != site.script.sender:
            site.script.call(site.tokens["USDT"], abi.TRANSFER, word, amount)


def fiat_token(script: Script, decimals: int = DECIMALS) -> Address:
    """Circle's FiatTokenV2_2 behind its proxy, in the sequence of contracts/README.md; the script's
    sender has every office of it."""
    contracts = load_artifact(ARTIFACTS / "usdc.json")["contracts"]
    checker = script.create(creation_code(contracts["SignatureChecker"]))
    implementation = script.create(creation_code(contracts["FiatTokenV2_2"], checker))
    token = script.create(
        creation_code(contracts["FiatTokenProxy"]), abi.address_word(implementation)
    )
    operator = abi.address_word(script.sender)
    name, symbol, currency = (abi.Dynamic(t) for t in (b"USD Coin", b"USDC", b"USD"))
    script.call(token, "changeAdmin(address)", abi.address_word(PROXY_ADMIN))
    script.call(
        token,
        "initialize(string,string,string,uint8,address,address,address,address)",
        name,
        symbol,
        currency,
        abi.number_word(decimals),
        operator,  # master minter
        operator,  # pauser
        operator,  # blacklister
        operator,  # owner
    )
    script.call(token, "initializeV2(string)", name)
    script.call(token, "initializeV2_1(address)", operator)
    script.call(token, "initializeV2_2(address[],string)", abi.Dynamic(b""), symbol)
    script.call(token, "configureMinter(address,uint256)", operator, abi.number_word(UNLIMITED))
    return token


async def _carry_out(site: _Site) -> None:
    rpc, actors = site.rpc, site.actors
    placed = {PERMIT2: "permit2", X402_PERMIT2_PROXY: "ExactPermit2ProxyDouble"}
    codes = {
        address: load_artifact(ARTIFACTS / f"{name}.json")["deployedBytecode"]
        for address, name in placed.items()
    }
    await rpc.ask(
        [
            *(("anvil_setCode", ["0x" + where.hex(), code]) for where, code in codes.items()),
            *(
                ("anvil_setBalance", ["0x" + account.hex(), hex(ACTOR_NATIVE)])
                for account in (actors.relayer, actors.solver)
            ),
            ("anvil_impersonateAccount", ["0x" + actors.solver.hex()]),
        ]
    )
    solver = Script(actors.solver, await rpc.transaction_count(actors.solver))
    for token in site.tokens.values():
        solver.call(token, abi.APPROVE, site.word("escrow_rail"), abi.number_word(UNLIMITED))
    await carry_out(rpc, [site.script])
    await carry_out(rpc, [solver, site.shared_owner])
    await rpc.ask([("anvil_stopImpersonatingAccount", ["0x" + actors.solver.hex()])])


_TOKEN_NAMES: Mapping[str, str] = {"USDC": "USD Coin", "USDT": "Tether USD"}
_SIGNING: Mapping[str, TokenSigning] = {
    "USDC": TokenSigning("USD Coin", "2", erc3009=True, permit=True)
}


async def _read_back(site: _Site) -> Deployment:
    foreign = {"permit2": PERMIT2, "x402_permit2_proxy": X402_PERMIT2_PROXY}
    wanted = {**site.places, **site.tokens, **foreign}
    codes = await site.rpc.ask(
        [("eth_getCode", ["0x" + address.hex(), "latest"]) for address in wanted.values()]
    )
    found = {
        name: Contract(address, keccak256(bytes.fromhex(code[2:])))
        for (name, address), code in zip(wanted.items(), codes, strict=True)
    }
    names = [*_COLLECTORS, "deposit_collector", *_RAILS]
    return Deployment(
        router=found["router"],
        tokens=tuple(
            Token(
                token_id=f"{site.plan.name}::{symbol.lower()}",
                name=_TOKEN_NAMES[symbol],
                symbol=symbol,
                network=site.plan.name,
                chain_id=site.plan.chain_id,
                address=address,
                decimals=DECIMALS,
                code_hash=found[symbol].code_hash,
                signing=_SIGNING.get(symbol),
            )
            for symbol, address in site.tokens.items()
        ),
        contracts=Contracts(**{name: found[name] for name in names if name in found}),
        token_messenger=found["token_messenger"],
        message_transmitter=found["message_transmitter"],
        permit2=found["permit2"],
        x402_permit2_proxy=found["x402_permit2_proxy"],
        swap_pool_fee=POOL_FEE if "swap_router" in found else 0,
    )


def _own_code(artifact: str) -> bytes:
    return creation_code(load_artifact(ARTIFACTS / f"{artifact}.json"))
