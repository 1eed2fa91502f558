"""The demo merchant of a local installation, and payers with money."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.members import operations as members
from gstable_server.catalog import operations as catalog
from gstable_server.catalog.model import ProductTerms
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.networks import Network, Networks
from gstable_server.cli.inbox import Inbox
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import WebhookId
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.db import Database, Tx
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.model import EVENT_TYPES, Target

EMAIL = "owner@example.com"
PAYER_TOKENS = 1_000_000
"""Whole tokens of each kind that a payer starts with."""
PAYER_NATIVE = 100 * 10**18
PRODUCTS = (
    ("Canvas tote bag", "Heavy cotton, made to last.", 24_000_000),
    ("Ceramic mug", "Holds 350 ml, glazed by hand.", 18_500_000),
    ("Monthly supporter", "Thank you for keeping this project alive.", 5_000_000),
)


@dataclass(frozen=True, slots=True)
class Shop:
    """How to sign in, call the API and be paid as the demo merchant."""

    email: str
    password: str
    api_key: str
    account_id: str
    webhook_id: str


async def open_shop(
    db: Database, networks: Networks, wallet: Address, inbox: Inbox, file: Path
) -> Shop:
    """The merchant that ``file`` remembers, or a new one; its webhooks go to ``inbox``."""
    async with db.begin() as tx:
        shop = _remembered(file) or await _new_shop(tx, networks, wallet)
        inbox.secret = await _point_webhook(tx, shop, inbox.url)
    _remember(file, shop)
    return shop


def _remembered(file: Path) -> Shop | None:
    return Shop(**json.loads(file.read_text())) if file.is_file() else None


def _remember(file: Path, shop: Shop) -> None:
    file.touch(mode=0o600)
    file.write_text(json.dumps(asdict(shop)))


async def _new_shop(tx: Tx, networks: Networks, wallet: Address) -> Shop:
    password = secrets.token_urlsafe(12)
    owner = await members.register_owner(tx, "Demo shop", EMAIL, password)
    tenant = Tenant(owner.merchant_id, Mode.TEST)
    account = await accounts.create_account(
        tx, tenant, networks, "Demo wallet", to_checksum(wallet)
    )
    _, api_key = await accounts.issue_key(tx, tenant, Access.WRITE, "Demo key")
    for name, description, price in PRODUCTS:
        await catalog.create(tx, tenant, "", ProductTerms(name, description, None, (price,), ()))
    # The address is written at every start, because the inbox takes a free port.
    target = Target("Development inbox", "http://127.0.0.1:8443/", None, EVENT_TYPES)
    endpoint = await webhooks.create(tx, tenant, target)
    return Shop(EMAIL, password, api_key, account.account_id, endpoint.webhook_id)


async def _point_webhook(tx: Tx, shop: Shop, url: str) -> str:
    caller = await accounts.authenticate(tx, shop.api_key)
    target = Target("Development inbox", url, None, EVENT_TYPES)
    endpoint = await webhooks.update(tx, caller.tenant, WebhookId(shop.webhook_id), target)
    return endpoint.keys.current


async def fund(devnet: Devnet, payers: tuple[Address, ...], merchant: Address) -> None:
    """Give every payer a million of each token and native coins for gas, on every network; the
    merchant only these coins, to give money back with."""
    await asyncio.gather(
        *(_fund_on(devnet, network, payers, merchant) for network in devnet.networks.all)
    )


async def _fund_on(
    devnet: Devnet, network: Network, payers: tuple[Address, ...], merchant: Address
) -> None:
    for account in (*payers, merchant):
        await devnet.set_balance(network.name, account, PAYER_NATIVE)
    amounts = {token.symbol: PAYER_TOKENS * 10**token.decimals for token in network.tokens}
    await devnet.fund_all(network.name, payers, amounts)
