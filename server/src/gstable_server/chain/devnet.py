"""Local chains that stand in for Polygon and Base: a development tool, not part of a server.

Two anvil processes with Circle's FiatToken as USDC, a double of USDT and our router, deployed
from ``contracts/artifacts`` of the source tree. Their chain ids belong to no real network, so a
signature made here is worth nothing elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from gstable_server.chain import abi
from gstable_server.chain.configuration import ConfigurationError
from gstable_server.chain.deployment import Deployment, deploy
from gstable_server.chain.http_rpc import HttpRpc, open_rpc
from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.chain.networks_toml import load_networks, networks_toml
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.tenant import Mode
from gstable_server.plumbing.child import dying_with_parent, end

CHECKOUT = Path(__file__).resolve().parents[4]
START_SECONDS = 15.0
STOP_SECONDS = 5.0
BLOCK_GAS_LIMIT = 300_000_000
CALL_GAS = 1_000_000
BLOCK_SECONDS = 1


class DevnetFailed(Exception):
    """A local chain could not be started; the message says what to do."""


@dataclass(frozen=True, slots=True)
class _Plan:
    name: str
    title: str
    chain_id: int
    route_group: str
    native_symbol: str
    confirmations: int
    tether: bool
    deployer: int
    """Which of anvil's accounts deploys: another one on each chain, so that no contract has the
    same address on both and a mix-up of networks shows."""


PLANS = (
    _Plan("polygon", "Polygon (local)", 1337137, "POL", "POL", 3, True, 0),
    _Plan("base", "Base (local)", 1338453, "BASE", "ETH", 2, False, 1),
)


class Devnet:
    """Running local chains. ``networks`` says where; ``networks_file`` holds the same as TOML."""

    def __init__(
        self, directory: Path, networks: Networks, processes: list[subprocess.Popen[bytes]]
    ) -> None:
        self.directory = directory
        self.networks = networks
        self._processes = processes

    @property
    def networks_file(self) -> Path:
        return self.directory / "networks.toml"

    @classmethod
    async def start(cls, directory: Path, signer: Address, *, keep: bool = False) -> Devnet:
        """Start both chains and deploy, or take up what ``directory`` kept.

        ``signer`` is the address whose orders the routers accept. With ``keep`` the chains are
        written to ``directory`` every second and at the end, and a later start continues them.
        Call it on the main thread: the chains end with the thread that started them. Raises
        ``DevnetFailed``.
        """
        os.makedirs(directory, exist_ok=True)
        file = directory / "networks.toml"
        kept = load_networks(file) if keep and _is_kept(directory) else None
        processes: list[subprocess.Popen[bytes]] = []
        try:
            ports = [_free_port() for _ in PLANS]
            for plan, port in zip(PLANS, ports, strict=True):
                processes.append(_spawn(plan, port, directory, keep=keep))
            for plan, port, process in zip(PLANS, ports, processes, strict=True):
                await _listening(port, process, directory / f"{plan.name}.log")
            prepared = await asyncio.gather(
                *(
                    _prepare(plan, f"http://127.0.0.1:{port}", signer, kept)
                    for plan, port in zip(PLANS, ports, strict=True)
                )
            )
            networks = Networks(tuple(prepared))
        except BaseException:
            _end(processes)
            raise
        file.write_text(networks_toml(networks), encoding="utf-8")
        return cls(directory, networks, processes)

    def stop(self) -> None:
        """End the chains and wait until they are gone; calling it again does nothing."""
        _end(self._processes)
        self._processes.clear()

    def pause(self, network: str, *, paused: bool) -> None:
        """Let a chain hang, or go on: what a node looks like that answers no more."""
        process = self._processes[[plan.name for plan in PLANS].index(network)]
        process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    @contextlib.asynccontextmanager
    async def rpc(self, network: str) -> AsyncIterator[HttpRpc]:
        """A connection to one chain."""
        async with open_rpc(self.networks.network(network)) as rpc:
            yield rpc

    async def fund(self, network: str, account: Address, token: str, amount: int) -> None:
        """Give ``account`` ``amount`` atomic units of the token with that symbol, at once."""
        found = _token(self.networks.network(network), token)
        async with self.rpc(network) as rpc:
            operator = await _operator(rpc, network)
            if found.symbol == "USDC":
                calls = [abi.call_data("mint(address,uint256)", *_to(account, amount))]
            else:
                calls = [
                    abi.call_data("issue(uint256)", abi.number_word(amount)),
                    abi.call_data(abi.TRANSFER, *_to(account, amount)),
                ]
            await transact(rpc, operator, [(found.address, call) for call in calls])

    async def set_balance(self, network: str, account: Address, amount: int) -> None:
        """Set what ``account`` has of the native coin, in its smallest unit."""
        async with self.rpc(network) as rpc:
            await rpc.ask([("anvil_setBalance", ["0x" + account.hex(), hex(amount)])])

    async def balance(self, network: str, account: Address, token: str) -> int:
        """What ``account`` has of the token with that symbol, in atomic units."""
        found = _token(self.networks.network(network), token)
        async with self.rpc(network) as rpc:
            data = abi.call_data(abi.BALANCE_OF, abi.address_word(account))
            return int.from_bytes(await rpc.call(found.address, data), "big")

    async def mine(self, network: str, blocks: int = 1) -> None:
        """Add blocks now, without waiting for the next second."""
        async with self.rpc(network) as rpc:
            await rpc.ask([("anvil_mine", [hex(blocks)])])

    @contextlib.asynccontextmanager
    async def standing_still(self, network: str) -> AsyncIterator[None]:
        """Until the end of the block, the chain grows only by ``mine``."""
        async with self.rpc(network) as rpc:
            await rpc.ask([("evm_setIntervalMining", [0])])
            try:
                yield
            finally:
                await rpc.ask([("evm_setIntervalMining", [BLOCK_SECONDS])])

    async def reorganise(self, network: str, depth: int) -> None:
        """Replace the newest ``depth`` blocks by as many others; their transactions are gone."""
        async with self.rpc(network) as rpc:
            await rpc.ask([("anvil_reorg", [depth, []])])


async def transact(rpc: HttpRpc, sender: str, calls: list[tuple[Address, bytes]]) -> None:
    """Send from an account that the node holds the key of, and mine at once."""
    sent = []
    for to, data in calls:
        fields = {"to": "0x" + to.hex(), "data": "0x" + data.hex(), "gas": hex(CALL_GAS)}
        sent += await rpc.ask([("eth_sendTransaction", [{"from": sender, **fields}])])
    await rpc.ask([("evm_mine", [])])
    for tx_hash in sent:
        receipt = await rpc.receipt(bytes.fromhex(tx_hash[2:]))
        assert receipt is not None, "a mined block holds every waiting transaction"
        if not receipt.succeeded:
            raise DevnetFailed(f"transaction {tx_hash} failed on the local chain")


def anvil_path(checkout: Path = CHECKOUT) -> Path:
    """The anvil program itself. Raises ``DevnetFailed`` when it is not installed."""
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform, sys.platform)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    path = checkout / f"node_modules/@foundry-rs/anvil-{system}-{machine}/bin/anvil"
    if not path.is_file():
        raise DevnetFailed(f"{path.name} is not installed for {system} {machine}: ./run setup")
    return path


def _spawn(plan: _Plan, port: int, directory: Path, *, keep: bool) -> subprocess.Popen[bytes]:
    arguments = [
        str(anvil_path()),
        *("--host", "127.0.0.1", "--port", str(port), "--chain-id", str(plan.chain_id)),
        *("--block-time", str(BLOCK_SECONDS), "--prune-history", "64", "--slots-in-an-epoch", "4"),
        *("--gas-limit", str(BLOCK_GAS_LIMIT), "--silent"),
    ]
    if keep:
        arguments += ["--state", str(directory / f"{plan.name}.json"), "--state-interval", "1"]
    with (directory / f"{plan.name}.log").open("ab") as output:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "HOME": str(directory)},
            preexec_fn=dying_with_parent(signal.SIGTERM),
        )


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.send_signal(signal.SIGCONT)
    end(processes, STOP_SECONDS)


async def _prepare(plan: _Plan, url: str, signer: Address, kept: Networks | None) -> Network:
    """Deploy to a chain that just starts, or find again what was deployed to it before."""
    if kept is not None:
        network = replace(kept.network(plan.name), rpc_urls=(url,))
        async with open_rpc(network) as rpc:
            await rpc.ask([("evm_mine", [])])
            if await rpc.code(network.router) == b"":
                raise DevnetFailed(f"the kept state of {plan.name} lacks the router: remove it")
            signers = await rpc.call(
                network.router, abi.call_data(abi.IS_SIGNER, abi.address_word(signer))
            )
            if int.from_bytes(signers, "big") != 1:
                raise DevnetFailed(f"the kept router of {plan.name} has another order signer")
        return network
    blank = _network(plan, url, Deployment(ZERO_ADDRESS, b"", ()))
    async with open_rpc(blank) as rpc:
        operator = await _operator(rpc, plan.name)
        return _network(
            plan,
            url,
            await deploy(rpc, CHECKOUT / "contracts/artifacts", operator, signer, plan.tether),
        )


def _network(plan: _Plan, url: str, deployment: Deployment) -> Network:
    return Network(
        name=plan.name,
        title=plan.title,
        mode=Mode.TEST,
        chain_id=plan.chain_id,
        route_group=plan.route_group,
        rpc_urls=(url,),
        router=deployment.router,
        router_code_hash=deployment.router_code_hash,
        confirmations=plan.confirmations,
        start_block=0,
        explorer_url="",
        native_symbol=plan.native_symbol,
        tokens=tuple(
            Token(
                token_id=f"{plan.name}::{token.symbol.lower()}",
                name=token.name,
                symbol=token.symbol,
                network=plan.name,
                chain_id=plan.chain_id,
                address=token.address,
                decimals=token.decimals,
                code_hash=token.code_hash,
            )
            for token in deployment.tokens
        ),
        poll_milliseconds=250,
    )


async def _listening(port: int, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:  # bounded: by the deadline
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise DevnetFailed(f"a local chain did not start, see {log_file}") from None
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


async def _operator(rpc: HttpRpc, network: str) -> str:
    [accounts] = await rpc.ask([("eth_accounts", [])])
    [plan] = [plan for plan in PLANS if plan.name == network]
    return str(accounts[plan.deployer])


def _token(network: Network, symbol: str) -> Token:
    for token in network.tokens:
        if token.symbol.lower() == symbol.lower():
            return token
    raise ConfigurationError(f"{network.name} has no token {symbol}")


def _to(account: Address, amount: int) -> tuple[bytes, bytes]:
    return abi.address_word(account), abi.number_word(amount)


def _is_kept(directory: Path) -> bool:
    """All files or none: a start that was killed half-way left less, and begins anew."""
    names = ["networks.toml", *(f"{plan.name}.json" for plan in PLANS)]
    return all((directory / name).is_file() for name in names)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
