from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from eth_account import Account
from starlette.applications import Starlette

from gstable_server.agents.x402 import routes
from gstable_server.catalog import routes as catalog_routes
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.executor.model import Sender
from gstable_server.chain.executor.node import open_node
from gstable_server.chain.executor.runner import Limits, Runner
from gstable_server.chain.orders import OrderSigner
from gstable_server.chain.signer import TxSigner
from gstable_server.chain.wallet import Wallet
from gstable_server.links import routes as link_routes
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from tests.conftest import RELAYER_KEY
from tests.unit.agents.x402.till import NETWORK, Till, till_operations
from tests.unit.catalog.support import PUBLIC_URL, serving
from tests.unit.sessions.world import new_world


@pytest.fixture
async def till(devnet: Devnet, order_signer: OrderSigner, database_url: str) -> AsyncIterator[Till]:
    db = await Database.connect(database_url, clock=SystemClock(), ids=SystemIdMint(), size=8)
    world = await new_world(db)
    world.desk = replace(world.desk, networks=devnet.networks, signer=order_signer, relays=True)
    network, key = devnet.networks.network(NETWORK), os.urandom(32)
    merchant_routes = [
        catalog_routes.routes(PUBLIC_URL),
        link_routes.routes(world.desk.networks, PUBLIC_URL),
    ]
    async with (
        devnet.rpc(NETWORK) as rpc,
        open_node(network) as node,
        serving(db, *merchant_routes) as server,
    ):
        door = Starlette(routes=routes.routes(till_operations(world, rpc)))
        transport = httpx.ASGITransport(door)
        wallet = Wallet(key, rpc, network.chain_id)
        await devnet.set_balance(NETWORK, wallet.address, 10**18)
        await devnet.fund_all(NETWORK, [wallet.address], {"USDC": 10**8, "USDT": 10**8})
        runner = Runner(db, network, Sender.RELAYER, TxSigner(RELAYER_KEY), node, Limits())
        async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as http:
            merchant = await server.caller(world.tenant)
            account = Account.from_key(key)
            yield Till(world, devnet, rpc, runner, merchant, http, account, wallet)
    await db.close()
