"""A database with sessions that wait, and the changes as the indexer and the worker commit them."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

from bench.processes import start, wait_for_port
from bench.sessions.world import ROOT, UNLIMITED, Merchant, directory_with, free_ports, new_merchant
from gstable_server import migrations
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.chain.orders import OrderSigner
from gstable_server.chain.testing import FEE_RECEIVER, fake_network
from gstable_server.kernel.ids import MerchantId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.child import end
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.embedded_postgres import EmbeddedPostgres
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from gstable_server.routing.model import Schedule
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.wire import CreateCheckoutSession

CONFIRMATIONS = 1024
"""So many that every block changes every page that waits."""
FIRST_BLOCK = 100
ONE_LINE = {
    "itemType": "one_time",
    "quantity": 1,
    "unitPrice": 6_500_000,
    "productData": {"productName": "Gift wrapping", "productDescription": "Recycled paper"},
}


@dataclass(frozen=True, slots=True)
class World:
    """Two servers on one database, and the line on which changes are written."""

    line: asyncpg.Connection[Any]
    sessions: dict[str, list[str]]
    servers: dict[str, tuple[int, int]]
    """Port and process identifier by contender."""

    async def commit(self, *statements: tuple[str, Sequence[Any]]) -> float:
        """Run the statements in one transaction; the moment at which its commit was sent."""
        change = self.line.transaction()
        await change.start()
        for sql, values in statements:
            await self.line.execute(sql, *values)
        at = time.perf_counter()
        await change.commit()
        return at


PAY = """
INSERT INTO payments (payment_id, session_id, network, chain_id, tx_hash, log_position,
    block_number, block_hash, block_time, payer, merchant, token_id, decimals, amount,
    fee_received, settlement_token, settlement_decimals, promised, merchant_received, state,
    flags, pays, seen_at)
SELECT 'pay_' || session_id, session_id, 'fake', 1337001, sha256(session_id::bytea), 0,
    $2, sha256('block'), now(), '\\x55', recipient, 'fake::usdc', 6, amount, 0, 'fake::usdc', 6,
    amount, amount, 'seen', '{}', true, now()
FROM sessions WHERE session_id = ANY($1)
"""
MOVE = "UPDATE sessions SET state = $2 WHERE session_id = ANY($1)"
BLOCK = """
INSERT INTO chain_blocks (network, number, hash, parent_hash, block_time)
SELECT 'fake', $1::bigint, sha256($1::text::bytea), sha256('parent'), now()
"""


@asynccontextmanager
async def open_world(pages: int) -> AsyncIterator[World]:
    """Start it all; everything is ended and removed at the end."""
    networks = Networks((fake_network(confirmations=CONFIRMATIONS),))
    with directory_with(networks) as directory, EmbeddedPostgres.start(directory) as postgres:
        await asyncio.to_thread(migrations.upgrade, postgres.url)
        merchant = await new_merchant(postgres.url, networks)
        made = await _sessions(postgres.url, networks, merchant, 2 * pages)
        line = await asyncpg.connect(postgres.url)
        try:
            with _servers(postgres.url, directory) as servers:
                halves = {"product": made[:pages], "floor": made[pages:]}
                yield World(line, halves, servers)
        finally:
            await line.close()


async def _sessions(
    database_url: str, networks: Networks, merchant: Merchant, count: int
) -> list[str]:
    desk = Desk(
        networks=networks,
        signer=OrderSigner(secrets.token_bytes(32)),
        fee_receiver=FEE_RECEIVER,
        public_url="",
        schedule=Schedule(),
        lifetime=timedelta(hours=1),
        order_grace=timedelta(minutes=10),
    )
    body = {
        "accountId": merchant.account_id,
        "settlementToken": merchant.token_id,
        "lineItems": [ONE_LINE],
    }
    wanted = CreateCheckoutSession.model_validate(body)
    tenant = Tenant(MerchantId(merchant.merchant_id), Mode.TEST)
    db = await Database.connect(database_url, clock=SystemClock(), ids=SystemIdMint(), size=1)
    try:
        async with db.begin() as tx:
            views = [await sessions.create_checkout(tx, desk, tenant, wanted) for _ in range(count)]
        return [view.session.session_id for view in views]
    finally:
        await db.close()


@contextmanager
def _servers(database_url: str, directory: Path) -> Iterator[dict[str, tuple[int, int]]]:
    product, floor = free_ports(2)
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "GSTABLE_PORT": str(product),
        "GSTABLE_PUBLIC_URL": f"http://127.0.0.1:{product}",
        "GSTABLE_NETWORKS_FILE": str(directory / "networks.toml"),
        "GSTABLE_ORDER_SIGNING_KEY": secrets.token_hex(32),
        "GSTABLE_FEE_RECEIVER": to_checksum(FEE_RECEIVER),
        # All pages of this measurement come from one address.
        "GSTABLE_ADDRESS_RATE_PER_SECOND": UNLIMITED,
        "GSTABLE_ADDRESS_BURST": UNLIMITED,
        "GSTABLE_OPEN_PAGES_PER_ADDRESS": UNLIMITED,
    }
    commands = {
        "product": (product, ["-m", "gstable_server.cli", "serve", "--role", "api"]),
        "floor": (floor, ["-m", "bench.pages.floor", str(floor)]),
    }
    with (directory / "server.log").open("ab") as log:
        processes = {
            name: start([sys.executable, *command], environment, ROOT, log)
            for name, (_, command) in commands.items()
        }
        try:
            for name, (port, _) in commands.items():
                wait_for_port(processes[name], port, directory / "server.log")
            yield {name: (port, processes[name].pid) for name, (port, _) in commands.items()}
        finally:
            end(list(processes.values()))
