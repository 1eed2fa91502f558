"""What the comparison runs on: a database, a merchant with an account and a product, two servers.

Nothing here is a fake but the network, which nobody asks: opening a session needs its
configuration only.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import start, wait_for_port
from bench.sessions import floor
from bench.sessions.load import request
from gstable_server import migrations
from gstable_server.accounts import operations as accounts
from gstable_server.catalog import operations as catalog
from gstable_server.catalog.model import Attribute, ProductTerms
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.chain.networks_toml import networks_toml
from gstable_server.chain.testing import FEE_RECEIVER, MERCHANT, fake_network
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.child import end
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.embedded_postgres import EmbeddedPostgres
from gstable_server.plumbing.json_text import encode_json
from gstable_server.plumbing.system import SystemClock, SystemIdMint

UNLIMITED = "1000000000"
POOL_SIZE = 10
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Merchant:
    """Who sells: the ids and the key that the requests need."""

    merchant_id: str
    account_id: str
    product_id: str
    api_key: str
    token_id: str

    def body(self) -> bytes:
        """A checkout session as a shop asks for it: a catalogue line and one of its own."""
        product = {
            "itemType": "product",
            "productId": self.product_id,
            "quantity": 1,
            "unitPrice": 24_000_000,
        }
        return encode_json(
            {
                "accountId": self.account_id,
                "settlementToken": self.token_id,
                "lineItems": [product, ONE_TIME_LINE],
                "successUrl": "https://shop.example/thanks?order=ORD-2201",
                "metadata": {"orderId": "ORD-2201", "customer": "c_8123", "channel": "web"},
            }
        )


ONE_TIME_LINE = {
    "itemType": "one_time",
    "quantity": 2,
    "unitPrice": 6_500_000,
    "productData": {
        "productName": "Gift wrapping",
        "productDescription": "Recycled paper and a card",
        "attributes": [{"name": "Colour", "value": "green"}, {"name": "Card", "value": "yes"}],
    },
}


@dataclass(frozen=True, slots=True)
class Server:
    """One of the two servers under load."""

    process: subprocess.Popen[bytes]
    port: int
    create: bytes
    get_path: str
    key: str

    def get(self, session_id: str) -> bytes:
        """The request that reads a session back."""
        return request("GET", self.get_path + session_id, self.key)

    def cpu_seconds(self) -> float:
        """Processor time that the process used so far, in the kernel's and its own code."""
        after_name = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a round needs."""

    database_url: str
    directory: Path
    merchant: Merchant
    product: Server
    floor: Server


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """Start it all; everything is ended and removed at the end."""
    networks = Networks((fake_network(name="polygon"),))
    with directory_with(networks) as directory, EmbeddedPostgres.start(directory) as postgres:
        await asyncio.to_thread(migrations.upgrade, postgres.url)
        merchant = await new_merchant(postgres.url, networks)
        with _servers(postgres.url, directory, merchant) as (product, bare):
            yield World(postgres.url, directory, merchant, product, bare)


@contextmanager
def directory_with(networks: Networks) -> Iterator[Path]:
    """A directory of its own, with the networks' configuration in it."""
    with tempfile.TemporaryDirectory(prefix="gstable-bench-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # under root the database runs as a user of its own
        (directory / "networks.toml").write_text(networks_toml(networks))
        yield directory


async def new_merchant(database_url: str, networks: Networks) -> Merchant:
    """A merchant with an account, a product and a key, in that database."""
    db = await Database.connect(database_url, clock=SystemClock(), ids=SystemIdMint(), size=1)
    try:
        async with db.begin() as tx:
            owner = await accounts.create_merchant(tx, "Measured shop")
            tenant = Tenant(owner.merchant_id, Mode.TEST)
            wallet = to_checksum(MERCHANT)
            account = await accounts.create_account(tx, tenant, networks, "Wallet", wallet)
            _, key = await accounts.issue_key(tx, tenant, Access.WRITE, "Load")
            attributes = (Attribute("Size", "M"), Attribute("Colour", "natural"))
            terms = ProductTerms("Canvas tote bag", "Heavy cotton", None, (24_000_000,), attributes)
            product = await catalog.create(tx, tenant, "", terms)
    finally:
        await db.close()
    return Merchant(
        merchant_id=owner.merchant_id,
        account_id=account.account_id,
        product_id=product.product_id,
        api_key=key,
        token_id=networks.all[0].tokens[0].token_id,
    )


@contextmanager
def _servers(
    database_url: str, directory: Path, merchant: Merchant
) -> Iterator[tuple[Server, Server]]:
    ports = free_ports(2)
    pool = str(POOL_SIZE)
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "GSTABLE_PORT": str(ports[0]),
        "GSTABLE_PUBLIC_URL": f"http://127.0.0.1:{ports[0]}",
        "GSTABLE_NETWORKS_FILE": str(directory / "networks.toml"),
        "GSTABLE_ORDER_SIGNING_KEY": secrets.token_hex(32),
        "GSTABLE_FEE_RECEIVER": to_checksum(FEE_RECEIVER),
        "GSTABLE_DATABASE_POOL": pool,
        "GSTABLE_KEY_RATE_PER_SECOND": UNLIMITED,
        "GSTABLE_KEY_BURST": UNLIMITED,
    }
    api = ["-m", "gstable_server.cli", "serve", "--role", "api"]
    bare = ["-m", "bench.sessions.floor", str(ports[1]), merchant.merchant_id, pool]
    with (directory / "server.log").open("ab") as log:
        processes = [
            start([sys.executable, *arguments], environment, ROOT, log) for arguments in (api, bare)
        ]
        try:
            for process, port in zip(processes, ports, strict=True):
                wait_for_port(process, port, directory / "server.log")
            yield _described(processes, ports, merchant)
        finally:
            end(processes)


def _described(
    processes: list[subprocess.Popen[bytes]], ports: list[int], merchant: Merchant
) -> tuple[Server, Server]:
    create_path = "/api/v1/session/checkout/create"
    body, key = merchant.body(), merchant.api_key
    return (
        Server(
            process=processes[0],
            port=ports[0],
            create=request("POST", create_path, key, body),
            get_path="/api/v1/session/",
            key=key,
        ),
        Server(
            process=processes[1],
            port=ports[1],
            create=request("POST", floor.CREATE_PATH, key, body),
            get_path=floor.GET_PATH,
            key=key,
        ),
    )


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
