"""A whole installation on this machine for development, the demonstration and the tests.

This process owns the database, the local chains, the service that attests transfers between them
and the webhook inbox; the server's roles are children of it. What dies is started again: a role,
the database with its data, and, where the state is kept, a chain with its blocks. If this process
is killed, the kernel ends everything that it started.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import aiohttp

from gstable_server.chain.checks import contracts_of
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.deployment import Actors
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.devnet_attester import Attester, open_attester
from gstable_server.chain.keys import address_of_key, private_key_from_hex
from gstable_server.chain.networks import Networks
from gstable_server.chain.networks_toml import networks_toml
from gstable_server.cli.inbox import Inbox, open_inbox
from gstable_server.cli.seed import Shop, fund, open_shop
from gstable_server.kernel.address import Address
from gstable_server.plumbing.child import dying_with_parent, end
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.embedded_postgres import EmbeddedPostgres
from gstable_server.plumbing.system import SystemClock, SystemIdMint

ROLES = ("api", "worker", "indexer", "executor")
ALL_IN_ONE = ("all",)
READY_SECONDS = 300.0
LOOK_SECONDS = 0.2
PAYERS = 3


class StackFailed(Exception):
    """The installation cannot start; the text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of one local installation, worth nothing anywhere else."""

    order_signing_key: str
    payer_private_keys: tuple[str, ...]
    fee_receiver_key: str
    merchant_key: str
    relayer_key: str
    solver_key: str
    attestor_key: str
    cctp_attester_key: str
    robot_key: str
    secrets_key: str

    @classmethod
    def new(cls) -> Keys:
        return cls(
            order_signing_key=secrets.token_hex(32),
            payer_private_keys=tuple(secrets.token_hex(32) for _ in range(PAYERS)),
            fee_receiver_key=secrets.token_hex(32),
            merchant_key=secrets.token_hex(32),
            relayer_key=secrets.token_hex(32),
            solver_key=secrets.token_hex(32),
            attestor_key=secrets.token_hex(32),
            cctp_attester_key=secrets.token_hex(32),
            robot_key=secrets.token_hex(32),
            secrets_key=secrets.token_hex(32),
        )

    @classmethod
    def from_json(cls, text: str) -> Keys:
        """What ``json.dumps(asdict(keys))`` wrote. Raises ``StackFailed``."""
        known = json.loads(text)
        if set(known) != {each.name for each in fields(cls)}:
            raise StackFailed("the kept state is of another version: remove it, and start anew")
        return cls(**{**known, "payer_private_keys": tuple(known["payer_private_keys"])})

    @property
    def actors(self) -> Actors:
        """The accounts that the local chains' contracts are told of."""
        return Actors(
            order_signer=self.address("order_signing_key"),
            relayer=self.address("relayer_key"),
            solver=self.address("solver_key"),
            attestor=self.address("attestor_key"),
            cctp_attester=self.address("cctp_attester_key"),
        )

    def address(self, name: str) -> Address:
        """The account of the key in the field ``name``."""
        return address_of_key(private_key_from_hex(getattr(self, name)))

    @property
    def payers(self) -> tuple[Address, ...]:
        return tuple(address_of_key(private_key_from_hex(key)) for key in self.payer_private_keys)


class Roles:
    """The server's processes, and those started beside them. ``watch`` starts again what died."""

    def __init__(
        self, environment: dict[str, str], log: Path, roles: tuple[str, ...] = ROLES
    ) -> None:
        self._log = log
        self._commands: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for role in roles:
            self.start(role, ("serve", "--role", role), environment)

    def start(self, name: str, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        """Start ``gstable`` with these arguments."""
        self._commands[name] = arguments, environment
        self.processes[name] = self._run(name)

    def _run(self, name: str) -> subprocess.Popen[bytes]:
        arguments, environment = self._commands[name]
        with self._log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "gstable_server.cli", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=dying_with_parent(signal.SIGTERM),
            )

    async def watch(self) -> None:
        """Start a dead role again, until cancelled."""
        while True:  # bounded: ends with the task
            for name, process in self.processes.items():
                if process.poll() is not None:
                    self.processes[name] = self._run(name)
            await asyncio.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """End all of them and wait."""
        end(list(self.processes.values()))


@dataclass(slots=True)
class Stack:
    """A running installation."""

    base: str
    database_url: str
    devnet: Devnet
    keys: Keys
    inbox: Inbox
    shop: Shop
    roles: Roles
    networks: Networks
    """As the roles are told of them, in ``networks_file``."""
    networks_file: Path
    attester: Attester
    postgres: EmbeddedPostgres | None
    """None where ``DATABASE_URL`` named a database."""
    watching: asyncio.Future[Any]
    """Never done by itself; raises what ended the starting again of what died."""

    def description(self) -> dict[str, Any]:
        """What ``./run dev --json`` prints."""
        return {
            "baseUrl": f"{self.base}/api/v1",
            "publicBaseUrl": f"{self.base}/public/api/v1",
            "aiBaseUrl": f"{self.base}/aipay/api/v1",
            "dashboardUrl": f"{self.base}/dashboard",
            "dashboardEmail": self.shop.email,
            "dashboardPassword": self.shop.password,
            "apiKey": self.shop.api_key,
            "accountId": self.shop.account_id,
            "databaseUrl": self.database_url,
            "networks": [
                {
                    "name": network.name,
                    "chainId": network.chain_id,
                    "rpcUrl": network.rpc_urls[0],
                    "contract": to_checksum(network.router),
                    "contracts": {
                        _camel_case(name): to_checksum(contract.address)
                        for name, contract in contracts_of(network).items()
                    },
                    "tokens": [
                        {
                            "tokenId": token.token_id,
                            "address": to_checksum(token.address),
                            "decimals": token.decimals,
                            "symbol": token.symbol,
                        }
                        for token in network.tokens
                    ],
                }
                for network in self.networks.all
            ],
            "payerPrivateKeys": [f"0x{key}" for key in self.keys.payer_private_keys],
            "merchantPrivateKey": f"0x{self.keys.merchant_key}",
            "webhookInbox": self.inbox.url,
            "mail": str(self.networks_file.parent / "mail"),
            "networksFile": str(self.networks_file),
        }


Front = Callable[[Networks], AbstractAsyncContextManager[Networks]]
"""Something between the roles and the nodes, and the networks as they are seen through it."""


@asynccontextmanager
async def nothing_between(networks: Networks) -> AsyncIterator[Networks]:
    """The roles ask the nodes themselves."""
    yield networks


@asynccontextmanager
async def open_stack(
    port: int,
    state: Path | None,
    roles: tuple[str, ...] = ROLES,
    *,
    robot: bool = False,
    front: Front = nothing_between,
) -> AsyncIterator[Stack]:
    """Start everything, wait until it answers, and end everything at the end.

    Each of ``roles`` is a process; ``ALL_IN_ONE`` starts fastest. With ``robot`` another one pays
    sessions with a magic total. Without ``state`` nothing is kept. Raises ``StackFailed``,
    ``DevnetFailed`` or ``DatabaseFailed`` with one line that says what is wrong.
    """
    port = _free_port(port)
    with _database(state) as (postgres, database_url, directory):
        keys = _keys(directory, keep=state is not None)
        migrating = asyncio.create_task(asyncio.to_thread(_migrate, database_url))
        devnet = await Devnet.start(directory / "chains", keys.actors, keep=state is not None)
        try:
            await migrating
            attester_key = private_key_from_hex(keys.cctp_attester_key)
            async with (
                open_inbox() as inbox,
                open_attester(devnet.networks, attester_key, devnet.attestation_port) as attester,
                front(devnet.networks) as networks,
            ):
                networks_file = directory / "networks.toml"
                networks_file.write_text(networks_toml(networks), encoding="utf-8")
                base = f"http://127.0.0.1:{port}"
                environment = _environment(base, port, database_url, networks_file, keys)
                server = Roles(environment, directory / "server.log", roles)
                watching = _watching(server, devnet, postgres)
                try:
                    shop = await _shop(database_url, devnet, keys, inbox, directory)
                    await _ready(base, directory / "server.log")
                    if robot:
                        cursor = str(directory / "robot.cursor")
                        settings = _robot_environment(base, networks_file, keys, shop)
                        server.start("robot", ("robot", "--cursor-file", cursor), settings)
                    yield Stack(
                        base=base,
                        database_url=database_url,
                        devnet=devnet,
                        keys=keys,
                        inbox=inbox,
                        shop=shop,
                        roles=server,
                        networks=networks,
                        networks_file=networks_file,
                        attester=attester,
                        postgres=postgres,
                        watching=watching,
                    )
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
                    await asyncio.to_thread(server.stop)
        finally:
            devnet.stop()


def _watching(
    server: Roles, devnet: Devnet, postgres: EmbeddedPostgres | None
) -> asyncio.Future[Any]:
    """Whatever died is started again until this is cancelled."""
    watches = [server.watch(), devnet.watch()]
    if postgres is not None:
        watches.append(postgres.watch())
    return asyncio.gather(*watches)


def _migrate(database_url: str) -> None:
    # Imported here, in the thread, because it takes as long as the chains take to start.
    from gstable_server import migrations

    migrations.upgrade(database_url)


@contextmanager
def _database(state: Path | None) -> Iterator[tuple[EmbeddedPostgres | None, str, Path]]:
    """The database, if it is ours, its address and the directory of this installation."""
    given = os.environ.get("DATABASE_URL")
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
        if given:
            yield None, given, state
            return
        with EmbeddedPostgres.start(state) as server:
            yield server, server.url, state
        return
    with tempfile.TemporaryDirectory(prefix="gstable-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # under root the database runs as a user of its own
        if given:
            yield None, given, directory
            return
        with EmbeddedPostgres.start(directory) as server:
            yield server, server.url, directory


def _keys(directory: Path, *, keep: bool) -> Keys:
    file = directory / "keys.json"
    if keep and file.is_file():
        return Keys.from_json(file.read_text())
    keys = Keys.new()
    file.touch(mode=0o600)
    file.write_text(json.dumps(asdict(keys)))
    return keys


async def _shop(
    database_url: str, devnet: Devnet, keys: Keys, inbox: Inbox, directory: Path
) -> Shop:
    """The demo merchant, made at the first start and found again later, and funded payers."""
    db = await Database.connect(database_url, clock=SystemClock(), ids=SystemIdMint(), size=2)
    try:
        shop = await open_shop(
            db, devnet.networks, keys.address("merchant_key"), inbox, directory / "shop.json"
        )
    finally:
        await db.close()
    robot = keys.address("robot_key")
    await fund(devnet, (*keys.payers, robot), keys.address("merchant_key"))
    return shop


def _environment(
    base: str, port: int, database_url: str, networks_file: Path, keys: Keys
) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "GSTABLE_PUBLIC_URL": base,
        "GSTABLE_PORT": str(port),
        "GSTABLE_NETWORKS_FILE": str(networks_file),
        "GSTABLE_ORDER_SIGNING_KEY": keys.order_signing_key,
        "GSTABLE_FEE_RECEIVER": to_checksum(keys.address("fee_receiver_key")),
        "GSTABLE_RELAYER_KEY": keys.relayer_key,
        "GSTABLE_SOLVER_KEY": keys.solver_key,
        "GSTABLE_ATTESTOR_KEY": keys.attestor_key,
        "GSTABLE_SECRETS_KEY": keys.secrets_key,
        "GSTABLE_WEBHOOK_ALLOW_LOOPBACK": "true",
        "GSTABLE_MAIL_FROM": "receipts@gstable.localhost",
        "GSTABLE_MAIL_DIRECTORY": str(networks_file.parent / "mail"),
    }


def _robot_environment(base: str, networks_file: Path, keys: Keys, shop: Shop) -> dict[str, str]:
    return {
        **os.environ,
        "GSTABLE_API_KEY": shop.api_key,
        "GSTABLE_BASE_URL": f"{base}/api/v1",
        "GSTABLE_PAYER_KEY": keys.robot_key,
        "GSTABLE_MERCHANT_KEY": keys.merchant_key,
        "GSTABLE_NETWORKS_FILE": str(networks_file),
    }


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


async def _ready(base: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            try:
                async with session.get(f"{base}/health/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
    raise StackFailed(f"not ready within {READY_SECONDS:.0f} s; the log ends: {_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as failure:
            raise StackFailed(
                f"port {port} is in use: stop what listens there, or take another with --port"
            ) from failure
        number: int = probe.getsockname()[1]
        return number
