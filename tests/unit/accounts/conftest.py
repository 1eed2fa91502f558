from __future__ import annotations

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.chain.networks import Networks
from gstable_server.chain.networks_toml import parse_networks
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database

NETWORKS = """
[[network]]
name = "polygon"
title = "Polygon"
mode = "test"
chain_id = 1337137
route_group = "POL"
rpc_urls = ["http://127.0.0.1:8545"]
router = "0x00000000000000000000000000000000000000a1"
confirmations = 3
start_block = 0
native_symbol = "POL"
[[network.token]]
name = "Tether USD"
symbol = "USDT"
address = "0x00000000000000000000000000000000000000b2"
decimals = 6
[[network.token]]
name = "USD Coin"
symbol = "USDC"
address = "0x00000000000000000000000000000000000000b1"
decimals = 6

[[network]]
name = "base"
title = "Base"
mode = "test"
chain_id = 1337453
route_group = "BASE"
rpc_urls = ["http://127.0.0.1:8546"]
router = "0x00000000000000000000000000000000000000a2"
confirmations = 3
start_block = 0
native_symbol = "ETH"
[[network.token]]
name = "USD Coin"
symbol = "USDC"
address = "0x00000000000000000000000000000000000000b3"
decimals = 6
"""


@pytest.fixture(scope="session")
def networks() -> Networks:
    return parse_networks(NETWORKS)


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    """A merchant in test mode."""
    async with database.begin() as tx:
        merchant = await accounts.create_merchant(tx, "Example Ltd")
    return Tenant(merchant.merchant_id, Mode.TEST)
