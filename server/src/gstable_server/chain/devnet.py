"""Local chains that stand in for Ethereum, Polygon, Arbitrum and Base: a development tool, not part
of a server.

Four anvil processes with everything that ``deployment`` puts on them. Their chain ids belong to no
real network, so a signature made here is worth nothing elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec

from gstable_server.chain import abi
from gstable_server.chain.checks import check_network
from gstable_server.chain.configuration import ConfigurationError
from gstable_server.chain.deployment import ISSUE, MINT, Actors, Deployment, SitePlan, deploy
from gstable_server.chain.deployment_script import CHECKOUT
from gstable_server.chain.http_rpc import HttpRpc, open_rpc
from gstable_server.chain.networks import X402, Cctp, Network, Networks, Token
from gstable_server.chain.networks_toml import load_networks, networks_toml
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Mode
from gstable_server.plumbing.child import dying_with_parent, end

START_SECONDS = 120.0
STOP_SECONDS = 5.0
ANSWER_SECONDS = 120.0
"""A chain of our own shares this machine, and mines hundreds of blocks in one call."""
BLOCK_GAS_LIMIT = 300_000_000
CALL_GAS = 1_000_000
BLOCK_SECONDS = 1
LOOK_SECONDS = 0.2


class DevnetFailed(Exception):
    """A local chain could not be started; the message says what to do."""


@dataclass(frozen=True, slots=True)
class _Plan:
    title: str
    route_group: str
    native_symbol: str
    confirmations: int
    site: SitePlan

    @property
    def name(self) -> str:
        return self.site.name


PLANS = (
    _Plan("Ethereum (local)", "ETH", "ETH", 2, SitePlan("ethereum", 1331001, True, 0, 0)),
    _Plan("Polygon (local)", "POL", "POL", 3, SitePlan("polygon", 1337137, True, 7, 1)),
    _Plan("Arbitrum One (local)", "ARB", "ETH", 2, SitePlan("arbitrumone", 1342161, True, 3, 2)),
    _Plan("Base (local)", "BASE", "ETH", 2, SitePlan("base", 1338453, False, 6, 3)),
)


class Devnet:
    """Running local chains. ``networks`` says where; ``networks_file`` holds the same as TOML."""

    def __init__(
        self,
        directory: Path,
        networks: Networks,
        processes: list[subprocess.Popen[bytes]],
        attestation_port: int,
        *,
        keep: bool = False,
    ) -> None:
        self.directory = directory
        self.networks = networks
        self.attestation_port = attestation_port
        """Where the networks expect the service that attests transfers between them; free."""
        self._processes = processes
        self._keep = keep

    @property
    def networks_file(self) -> Path:
        return self.directory / "networks.toml"

    @classmethod
    async def start(cls, directory: Path, actors: Actors, *, keep: bool = False) -> Devnet:
        """Start the chains and deploy, or take up what ``directory`` kept.

        With ``keep`` the chains are written to ``directory`` every second and at the end, and a
        later start continues them. Call it on the main thread: the chains end with the thread
        that started them. Raises ``DevnetFailed``.
        """
        os.makedirs(directory, exist_ok=True)
        file = directory / "networks.toml"
        kept = load_networks(file) if keep and _is_kept(directory) else None
        processes: list[subprocess.Popen[bytes]] = []
        try:
            if kept is not None:
                for plan in PLANS:
                    mend(_state_file(directory, plan))
            attestation_port, *ports = _free_ports(1 + len(PLANS))
            for plan, port in zip(PLANS, ports, strict=True):
                processes.append(_spawn(plan, port, directory, keep=keep))
            for plan, port, process in zip(PLANS, ports, processes, strict=True):
                await _listening(port, process, directory / f"{plan.name}.log")
            urls = [f"http://127.0.0.1:{port}" for port in ports]
            attestation_url = f"http://127.0.0.1:{attestation_port}"
            networks = (
                await _taken_up(kept, urls, attestation_url, actors)
                if kept
                else await _deployed(urls, attestation_url, actors)
            )
        except BaseException:
            _end(processes)
            raise
        file.write_text(networks_toml(networks), encoding="utf-8")
        return cls(directory, networks, processes, attestation_port, keep=keep)

    async def watch(self) -> None:
        """Start a chain that died again, at the same address, until cancelled.

        It goes on from what was written last, about a second before its death: what it mined
        since and what waited in its pool is gone, which for its readers is a reorganisation. Call
        it on the main thread. Raises ``DevnetFailed`` for a chain that was not kept.
        """
        copied: dict[Path, int] = {}
        while True:  # bounded: ends with the task
            for place, plan in enumerate(PLANS):
                file = _state_file(self.directory, plan)
                if self._processes[place].poll() is not None:
                    if not self._keep:
                        raise DevnetFailed(f"the local chain {plan.name} ended and was not kept")
                    await asyncio.to_thread(mend, file)
                    await self._start_again(place)
                elif self._keep:
                    await asyncio.to_thread(keep_copy, file, copied)
            await asyncio.sleep(LOOK_SECONDS)

    async def _start_again(self, place: int) -> None:
        plan = PLANS[place]
        port = urlsplit(self.networks.network(plan.name).rpc_urls[0]).port
        assert port is not None, "our own addresses name a port"
        log_file = self.directory / f"{plan.name}.log"
        deadline = time.monotonic() + START_SECONDS
        while True:  # bounded: by the deadline
            self._processes[place] = _spawn(plan, port, self.directory, keep=True)
            try:
                await _listening(port, self._processes[place], log_file)
                return
            except DevnetFailed:  # it may have been killed again while it started
                if time.monotonic() > deadline:
                    raise

    def pid(self, network: str) -> int:
        """The process that is the chain now."""
        return self._processes[[plan.name for plan in PLANS].index(network)].pid

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
        chain = self.networks.network(network)
        async with open_rpc(chain, timeout_seconds=ANSWER_SECONDS) as rpc:
            yield rpc

    async def fund(self, network: str, account: Address, token: str, amount: int) -> None:
        """Give ``account`` ``amount`` atomic units of the token with that symbol, at once."""
        await self.fund_all(network, [account], {token: amount})

    async def fund_all(
        self, network: str, accounts: Sequence[Address], amounts: Mapping[str, int]
    ) -> None:
        """Give each account these atomic units of the tokens with these symbols, in one block."""
        calls: list[tuple[Address, bytes]] = []
        for symbol, amount in amounts.items():
            token = _token(self.networks.network(network), symbol)
            for account in accounts:
                if token.symbol == "USDC":
                    issue = [abi.call_data(MINT, *_to(account, amount))]
                else:
                    issue = [
                        abi.call_data(ISSUE, abi.number_word(amount)),
                        abi.call_data(abi.TRANSFER, *_to(account, amount)),
                    ]
                calls += [(token.address, data) for data in issue]
        async with self.rpc(network) as rpc:
            await transact(rpc, await _operator(rpc, network), calls)

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
        *("--host", "127.0.0.1", "--port", str(port), "--chain-id", str(plan.site.chain_id)),
        *("--block-time", str(BLOCK_SECONDS), "--prune-history", "64", "--slots-in-an-epoch", "4"),
        *("--gas-limit", str(BLOCK_GAS_LIMIT), "--silent"),
    ]
    if keep:
        arguments += ["--state", str(_state_file(directory, plan)), "--state-interval", "1"]
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


@contextlib.asynccontextmanager
async def _rpcs(urls: Sequence[str]) -> AsyncIterator[list[HttpRpc]]:
    async with aiohttp.ClientSession() as session:
        yield [
            HttpRpc(session, [url], plan.site.chain_id)
            for url, plan in zip(urls, PLANS, strict=True)
        ]


async def _deployed(urls: Sequence[str], attestation_url: str, actors: Actors) -> Networks:
    """Deploy to chains that have just started."""
    async with _rpcs(urls) as rpcs:
        deployments = await deploy(rpcs, [plan.site for plan in PLANS], actors)
    return Networks(
        tuple(
            _network(plan, url, deployment, attestation_url)
            for plan, url, deployment in zip(PLANS, urls, deployments, strict=True)
        )
    )


async def _taken_up(
    kept: Networks, urls: Sequence[str], attestation_url: str, actors: Actors
) -> Networks:
    """Find again what was deployed before; only the ports are others."""
    networks: list[Network] = []
    async with _rpcs(urls) as rpcs:
        for plan, url, rpc in zip(PLANS, urls, rpcs, strict=True):
            network = kept.network(plan.name)
            assert network.cctp is not None, "every local chain has the transfer protocol"
            cctp = replace(network.cctp, attestation_url=attestation_url)
            network = replace(network, rpc_urls=(url,), cctp=cctp)
            await rpc.ask([("evm_mine", [])])
            problems = await check_network(rpc, network, actors.order_signer)
            if problems:
                raise DevnetFailed(f"the kept chains do not fit, remove them: {problems[0]}")
            networks.append(network)
    return Networks(tuple(networks))


def _network(plan: _Plan, url: str, deployment: Deployment, attestation_url: str) -> Network:
    return Network(
        name=plan.name,
        title=plan.title,
        mode=Mode.TEST,
        chain_id=plan.site.chain_id,
        route_group=plan.route_group,
        rpc_urls=(url,),
        router=deployment.router.address,
        router_code_hash=deployment.router.code_hash,
        confirmations=plan.confirmations,
        start_block=0,
        explorer_url="",
        native_symbol=plan.native_symbol,
        tokens=deployment.tokens,
        poll_milliseconds=250,
        contracts=deployment.contracts,
        cctp=Cctp(
            domain=plan.site.domain,
            token_messenger=deployment.token_messenger.address,
            message_transmitter=deployment.message_transmitter.address,
            attestation_url=attestation_url,
            token_messenger_code_hash=deployment.token_messenger.code_hash,
            message_transmitter_code_hash=deployment.message_transmitter.code_hash,
        ),
        permit2=deployment.permit2.address,
        permit2_code_hash=deployment.permit2.code_hash,
        swap_pool_fee=deployment.swap_pool_fee,
        x402=X402(
            permit2_proxy=deployment.x402_permit2_proxy.address,
            permit2_proxy_code_hash=deployment.x402_permit2_proxy.code_hash,
        ),
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
    return str(accounts[plan.site.deployer])


def _token(network: Network, symbol: str) -> Token:
    for token in network.tokens:
        if token.symbol.lower() == symbol.lower():
            return token
    raise ConfigurationError(f"{network.name} has no token {symbol}")


def _to(account: Address, amount: int) -> tuple[bytes, bytes]:
    return abi.address_word(account), abi.number_word(amount)


def _is_kept(directory: Path) -> bool:
    """All files or none: a start that was killed half-way left less, and begins anew."""
    files = [directory / "networks.toml", *(_state_file(directory, plan) for plan in PLANS)]
    return all(file.is_file() for file in files)


def _state_file(directory: Path, plan: _Plan) -> Path:
    return directory / f"{plan.name}.json"


def keep_copy(file: Path, copied: dict[Path, int]) -> None:
    """Copy what a chain wrote since the last time, if it is whole: the chain writes its file in
    place, and one that dies meanwhile leaves a part of it. ``copied``: when that was written."""
    try:
        written = file.stat().st_mtime_ns
        if copied.get(file) == written:
            return
        content = file.read_bytes()
    except FileNotFoundError:  # it has not been written yet
        return
    if _is_whole(content):
        unfinished = file.with_suffix(".new")
        unfinished.write_bytes(content)
        unfinished.rename(_copy_of(file))
        copied[file] = written


def mend(file: Path) -> None:
    """Put the last whole copy in the place of a file that is not whole."""
    copy = _copy_of(file)
    if copy.is_file() and not (file.is_file() and _is_whole(file.read_bytes())):
        shutil.copyfile(copy, file)


def _copy_of(file: Path) -> Path:
    return file.with_suffix(".copy")


def _is_whole(content: bytes) -> bool:
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
