"""A merchant with a receiving account and products, ready to make links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gstable_server.accounts import operations as accounts
from gstable_server.chain.networks_toml import parse_networks
from gstable_server.kernel.tenant import Mode
from tests.unit.catalog.support import Caller, Server

NETWORKS = parse_networks("""
[[network]]
name = "polygon"
title = "Polygon stand-in"
mode = "test"
chain_id = 1337137
route_group = "POL"
rpc_urls = ["http://127.0.0.1:8545"]
router = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
confirmations = 3
start_block = 0
native_symbol = "POL"

[[network.token]]
name = "USD Coin"
symbol = "USDC"
address = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
decimals = 6

[[network]]
name = "ethereum"
title = "Ethereum stand-in"
mode = "live"
chain_id = 1337001
route_group = "ETH"
rpc_urls = ["http://127.0.0.1:8546"]
router = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
router_code_hash = "0xabababababababababababababababababababababababababababababababab"
confirmations = 12
start_block = 0
native_symbol = "ETH"

[[network.token]]
name = "USD Coin"
symbol = "USDC"
address = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
decimals = 6
code_hash = "0xabababababababababababababababababababababababababababababababab"
""")
WALLET = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"


@dataclass(frozen=True)
class Shop:
    """``caller`` speaks HTTP for the merchant; ``body`` is a fixed link over two products."""

    caller: Caller
    account_id: str
    tea: str
    cup: str

    def body(self, **changes: Any) -> dict[str, Any]:
        return {
            "linkType": "fixed",
            "linkName": "Tea set",
            "accountId": self.account_id,
            "settlementToken": "polygon::usdc",
            "feeModel": 1,
            "lineItems": [self.item(self.tea, 2, 4_500_000), self.item(self.cup, 1, 1)],
            **changes,
        }

    def custom(self, **changes: Any) -> dict[str, Any]:
        line = {"itemType": "user_priced", "productId": self.tea, "quantity": 1}
        return self.body(**{"linkType": "custom", "lineItems": [line], **changes})

    def item(self, product_id: str, quantity: Any, unit_price: Any) -> dict[str, Any]:
        return {
            "itemType": "product",
            "productId": product_id,
            "quantity": quantity,
            "unitPrice": unit_price,
        }

    async def link(self, **changes: Any) -> str:
        made = await self.caller.data("/payment/link/create", self.body(**changes))
        link_id: str = made["linkId"]
        return link_id

    async def detail(self, link_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.caller.data(f"/payment/link/{link_id}")
        return found

    async def links(self) -> int:
        page = await self.caller.data("/payment/link/list/1/1")
        total: int = page["total"]
        return total


async def open_shop(server: Server, mode: Mode = Mode.TEST) -> Shop:
    caller = await server.merchant(mode)
    account = await caller.db.run(
        accounts.create_account, caller.tenant, NETWORKS, "Main wallet", WALLET
    )
    products = [
        (await caller.data("/product/create", {"name": name, "commonPrices": [1]}))["productId"]
        for name in ("Green tea", "Cup")
    ]
    return Shop(caller, account.account_id, *products)
