"""What the backfill runs on: a chain full of payments, and a database server.

The sessions that were paid stand in a database that each of the product's turns gets a copy of; a
turn of Ponder gets an empty one.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench.batching import deploy_batcher
from gstable_server import migrations
from gstable_server.accounts import operations as accounts
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.http_rpc import HttpRpc, open_rpc
from gstable_server.chain.keys import private_key_from_hex
from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.chain.networks_toml import networks_toml
from gstable_server.chain.orders import OrderSigner, PaymentOrder, pay_call, session_key
from gstable_server.cli.stack import Keys
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import SessionId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.embedded_postgres import EmbeddedPostgres
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from gstable_server.routing.model import Schedule, Way
from gstable_server.sessions import operations as sessions
from gstable_server.sessions import paying
from gstable_server.sessions.model import SessionView
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.wire import CreateCheckoutSession

NETWORK, TOKEN = "base", "base::usdc"
SEEDED = "seeded"
PRICE = 10_000_000
AHEAD = timedelta(days=7)
BLOCKS_ABOVE = 40
"""Mined on top of the last payment, so that all of them are final."""


@dataclass(frozen=True, slots=True)
class World:
    """A chain with ``payments`` payments in it, and where it is."""

    network: Network
    keys: Keys
    postgres: EmbeddedPostgres
    devnet: Devnet
    directory: Path
    networks_file: Path
    payments: int

    async def database(self, name: str, *, seeded: bool) -> str:
        """A new database, and nothing of it in memory yet that the others have not."""
        async with connected(self.postgres.url) as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            template = f" TEMPLATE {SEEDED}" if seeded else ""
            await connection.execute(f"CREATE DATABASE {name}{template}")
            await connection.execute("CHECKPOINT")
        return _named(self.postgres.url, name)

    async def drop(self, name: str) -> None:
        async with connected(self.postgres.url) as connection:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection of our own."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def _named(server_url: str, name: str) -> str:
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


@asynccontextmanager
async def open_world(payments: int, per_block: int) -> AsyncIterator[World]:
    """Start it all and make the payments; everything is ended and removed at the end."""
    os.environ.pop("DATABASE_URL", None)
    with _directory() as directory, EmbeddedPostgres.start(directory) as postgres:
        keys = Keys.new()
        devnet = await Devnet.start(directory / "chains", keys.actors)
        try:
            network = devnet.networks.network(NETWORK)
            for other in devnet.networks.all:
                devnet.pause(other.name, paused=other.name != NETWORK)
            networks = Networks((network,))
            networks_file = directory / "networks.toml"
            networks_file.write_text(networks_toml(networks), encoding="utf-8")
            world = World(network, keys, postgres, devnet, directory, networks_file, payments)
            url = await world.database(SEEDED, seeded=False)
            await asyncio.to_thread(migrations.upgrade, url)
            sold = await _seed(url, networks, keys, payments)
            async with devnet.standing_still(NETWORK), open_rpc(network) as rpc:
                await _pay_all(devnet, network, rpc, keys, sold, per_block)
                yield world
        finally:
            devnet.stop()


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gstable-bench-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # under root the database runs as a user of its own
        yield directory


# --- sessions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sold:
    """The sessions, and the one order that each of them is paid by."""

    ids: list[SessionId]
    order: PaymentOrder


async def _seed(url: str, networks: Networks, keys: Keys, count: int) -> Sold:
    """Open one session as a merchant does and prepare its payment, then copy both."""
    db = await Database.connect(url, clock=SystemClock(), ids=SystemIdMint(), size=2)
    try:
        desk = _desk(networks, keys)
        view = await _open_one(db, desk, to_checksum(keys.address("merchant_key")))
        session = view.session
        prepared = await db.run(
            paying.prepare,
            desk,
            session.session_id,
            client_code=session.client_code,
            token_id=TOKEN,
            way=Way.APPROVE,
            payer=keys.payers[0],
            payer_email=None,
        )
        assert isinstance(prepared.signed.order, PaymentOrder)
        ids = [db.ids.mint(SessionId) for _ in range(count)]
        async with db.begin() as tx:
            await _copy(tx.connection, session.session_id, ids)
        return Sold(ids, prepared.signed.order)
    finally:
        await db.close()


def _desk(networks: Networks, keys: Keys) -> Desk:
    return Desk(
        networks=networks,
        signer=OrderSigner(private_key_from_hex(keys.order_signing_key)),
        fee_receiver=keys.address("fee_receiver_key"),
        public_url="http://127.0.0.1:1",
        schedule=Schedule(),
        lifetime=AHEAD,
        order_grace=timedelta(minutes=10),
    )


async def _open_one(db: Database, desk: Desk, wallet: str) -> SessionView:
    async with db.begin() as tx:
        owner = await accounts.create_merchant(tx, "Measured shop")
        tenant = Tenant(owner.merchant_id, Mode.TEST)
        account = await accounts.create_account(tx, tenant, desk.networks, "Wallet", wallet)
        body = {
            "accountId": account.account_id,
            "settlementToken": TOKEN,
            "lineItems": [
                {
                    "itemType": "one_time",
                    "quantity": 1,
                    "unitPrice": PRICE,
                    "productData": {"productName": "Tea"},
                }
            ],
        }
        request = CreateCheckoutSession.model_validate(body)
        return await sessions.create_checkout(tx, desk, tenant, request)


async def _copy(
    connection: asyncpg.Connection[Any], session_id: SessionId, ids: list[SessionId]
) -> None:
    """As many sessions and orders as there are ``ids``, each like the first but for its names."""
    for table, changed in (
        ("sessions", {"session_id": "name", "session_key": "key"}),
        ("session_orders", {"session_id": "name"}),
    ):
        columns = [
            row["column_name"]
            for row in await connection.fetch(
                "SELECT column_name FROM information_schema.columns WHERE table_name = $1"
                " AND table_schema = 'public' AND is_identity = 'NO'",
                table,
            )
        ]
        values = ", ".join(changed.get(column, f"first.{column}") for column in columns)
        await connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} AS first,"
            " unnest($2::text[], $3::bytea[]) AS another (name, key)"
            " WHERE first.session_id = $1",
            session_id,
            ids,
            [session_key(one) for one in ids],
        )


# --- payments ------------------------------------------------------------------------------


async def _pay_all(
    devnet: Devnet, network: Network, rpc: HttpRpc, keys: Keys, sold: Sold, per_block: int
) -> None:
    """Each session paid by a transaction of its own, so many to a block."""
    token = _token(network)
    payer = await deploy_batcher(devnet, network, token, rpc)
    signer = OrderSigner(private_key_from_hex(keys.order_signing_key))
    nonce = await payer.next_nonce()
    for first in range(0, len(sold.ids), per_block):
        calls = [
            _payment(signer, network, sold.order, session_id)
            for session_id in sold.ids[first : first + per_block]
        ]
        await rpc.ask(
            [payer.request([call], nonce + first + place) for place, call in enumerate(calls)]
        )
        await rpc.ask([("evm_mine", [])])
    await devnet.mine(network.name, BLOCKS_ABOVE)


def _token(network: Network) -> Token:
    [token] = [one for one in network.tokens if one.token_id == TOKEN]
    return token


def _payment(
    signer: OrderSigner, network: Network, like: PaymentOrder, session_id: SessionId
) -> tuple[Address, bytes]:
    order = replace(like, session_key=session_key(session_id))
    call = pay_call(signer.sign(order, network))
    return call.to, call.data


def environment(world: World, database_url: str) -> dict[str, str]:
    """What the product's processes are told."""
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "GSTABLE_NETWORKS_FILE": str(world.networks_file),
        "GSTABLE_ORDER_SIGNING_KEY": world.keys.order_signing_key,
        "GSTABLE_FEE_RECEIVER": to_checksum(world.keys.address("fee_receiver_key")),
        "GSTABLE_LOG_LEVEL": "warning",
    }
