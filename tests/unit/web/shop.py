"""A merchant with something to sell, made through the operations, and its pages as a payer asks
for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from starlette.applications import Starlette

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.model import ReceivingAccount
from gstable_server.catalog import operations as catalog
from gstable_server.catalog.model import Product, ProductTerms
from gstable_server.chain.networks import Networks
from gstable_server.chain.networks_toml import parse_networks
from gstable_server.chain.orders import OrderSigner
from gstable_server.kernel.address import Address
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.links import operations as links
from gstable_server.links.model import PaymentLink
from gstable_server.links.operations import Shop
from gstable_server.links.wire import LinkCreateInput
from gstable_server.plumbing.db import Database
from gstable_server.routing.model import Schedule
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.model import Session, SessionState
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.wire import CreateCheckoutSession
from gstable_server.web import pictures
from gstable_server.web.base import Pages
from gstable_server.web.checkout import routes as checkout

PUBLIC_URL = "http://shop.test"
WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
PRICE = 25_000_000

NETWORKS = """
[[network]]
name = "polygon"
title = "Polygon (local)"
mode = "test"
chain_id = 1337137
route_group = "POL"
rpc_urls = ["https://rpc.example.com/secret-key", "http://127.0.0.1:8545"]
router = "0x1111111111111111111111111111111111111111"
confirmations = 3
start_block = 0
native_symbol = "POL"

[[network.token]]
name = "USD Coin"
symbol = "USDC"
address = "0x2222222222222222222222222222222222222222"
decimals = 6

[[network.token]]
name = "Tether USD"
symbol = "USDT"
address = "0x3333333333333333333333333333333333333333"
decimals = 6
"""


def new_desk(networks: Networks | None = None, public_url: str = PUBLIC_URL) -> Desk:
    return Desk(
        networks=networks or parse_networks(NETWORKS),
        signer=OrderSigner(bytes(31) + b"\x01"),
        fee_receiver=Address(b"\x44" * 20),
        public_url=public_url,
        schedule=Schedule(),
        lifetime=timedelta(seconds=1800),
        order_grace=timedelta(seconds=600),
    )


def new_app(db: Database, desk: Desk) -> Starlette:
    pages = Pages.load()
    return Starlette(
        routes=[*checkout.routes(db, desk, pages), *pages.routes(), *pictures.routes(db)]
    )


@dataclass
class Merchant:
    """One merchant in test mode with a receiving account and a product."""

    db: Database
    desk: Desk
    tenant: Tenant
    account: ReceivingAccount
    product: Product

    @classmethod
    async def open(cls, db: Database, desk: Desk, name: str = "Blue Door Books") -> Merchant:
        async with db.begin() as tx:
            merchant = await accounts.create_merchant(tx, name)
            tenant = Tenant(merchant.merchant_id, Mode.TEST)
            account = await accounts.create_account(tx, tenant, desk.networks, "Main", WALLET)
            terms = ProductTerms(
                name="Field guide to harbour birds",
                description="Paperback, 240 pages, with maps.",
                image_source=None,
                common_prices=(5_000_000, 10_000_000, 25_000_000),
                attributes=(),
            )
            product = await catalog.create(tx, tenant, desk.public_url, terms)
        return cls(db, desk, tenant, account, product)

    async def link(self, **fields: Any) -> PaymentLink:
        """A fixed link for two of the product, changed by ``fields`` of the wire's names."""
        custom = fields.get("linkType") == "custom"
        item: dict[str, Any] = {"productId": self.product.product_id}
        item |= (
            {"itemType": "user_priced", "quantity": 1}
            if custom
            else {"itemType": "product", "quantity": 2, "unitPrice": PRICE}
        )
        body = {
            "linkType": "fixed",
            "linkName": "Spring catalogue",
            "accountId": self.account.account_id,
            "settlementToken": "polygon::usdc",
            "feeModel": 1,
            "lineItems": [item],
            **fields,
        }
        terms = LinkCreateInput.model_validate(body).terms()
        shop = Shop(self.desk.networks, self.desk.public_url)
        return (await self.db.run(links.create, shop, self.tenant, terms)).link

    def counted(self, quantity: int = 2, **bounds: int) -> dict[str, Any]:
        """A line of the product whose payer chooses how many, 1 to 5 unless ``bounds`` differ."""
        return {
            "itemType": "product",
            "productId": self.product.product_id,
            "quantity": quantity,
            "unitPrice": PRICE,
            "adjustableQuantity": {"minimum": 1, "maximum": 5, **bounds},
        }

    async def session(self, **fields: Any) -> Session:
        """A checkout session for one item that is in no catalogue."""
        request = self.wanted(**fields)
        return (
            await self.db.run(sessions.create_checkout, self.desk, self.tenant, request)
        ).session

    def wanted(self, **fields: Any) -> CreateCheckoutSession:
        """What ``session`` asks for."""
        body = {
            "accountId": self.account.account_id,
            "settlementToken": "polygon::usdc",
            "lineItems": [
                {
                    "itemType": "one_time",
                    "quantity": 1,
                    "unitPrice": 100_000_000,
                    "productData": {"productName": "Workshop ticket"},
                }
            ],
            **fields,
        }
        return CreateCheckoutSession.model_validate(body)

    async def link_session(self, link: PaymentLink, amount: int | None = None) -> Session:
        return await self.db.run(
            sessions.open_from_link,
            self.desk,
            link,
            amount=None if amount is None else MicroUsd(amount),
            payer_email=None,
        )


async def set_state(db: Database, session: Session, state: SessionState) -> Session:
    """Put a session where it is looked at; how it gets there is tested elsewhere."""
    async with db.begin() as tx:
        await tx.execute(
            "UPDATE sessions SET state = $2 WHERE session_id = $1", session.session_id, state.value
        )
    return replace(session, state=state)


async def set_link_status(db: Database, link: PaymentLink, status: str) -> None:
    async with db.begin() as tx:
        await tx.execute(
            "UPDATE payment_links SET status = $2 WHERE link_id = $1", link.link_id, status
        )


async def add_payment(
    db: Database,
    session: Session,
    *,
    flags: tuple[str, ...] = (),
    pays: bool = True,
    block: int = 100,
    given: tuple[int, int] = (99_800_000, 200_000),
    tx_hash: bytes = b"\xab" * 32,
    network: str = "polygon",
) -> None:
    """A payment as the indexer would have recorded it; ``given`` in atomic units."""
    columns = {
        "payment_id": f"pay_{tx_hash.hex()[:20]}",
        "session_id": session.session_id,
        "network": network,
        "chain_id": 1337137,
        "tx_hash": tx_hash,
        "log_position": 0,
        "block_number": block,
        "block_hash": b"\x01" * 32,
        "block_time": session.created_at,
        "payer": b"\x55" * 20,
        "merchant": session.recipient,
        "token_id": f"{network}::usdc",
        "decimals": 6,
        "amount": given[0],
        "fee_received": given[1],
        "settlement_token": f"{network}::usdc",
        "settlement_decimals": 6,
        "promised": given[0],
        "merchant_received": given[0],
        "state": "seen",
        "flags": list(flags),
        "pays": pays,
        "seen_at": session.created_at,
    }
    names = ", ".join(columns)
    marks = ", ".join(f"${at}" for at in range(1, len(columns) + 1))
    async with db.begin() as tx:
        await tx.execute(f"INSERT INTO payments ({names}) VALUES ({marks})", *columns.values())


async def add_block(db: Database, number: int, network: str = "polygon") -> None:
    """The newest block that the indexer has read."""
    async with db.begin() as tx:
        await tx.execute(
            "INSERT INTO chain_blocks (network, number, hash, parent_hash, block_time)"
            " VALUES ($1, $2, $3, $4, $5)",
            network,
            number,
            number.to_bytes(32, "big"),
            (number - 1).to_bytes(32, "big"),
            tx.now,
        )
