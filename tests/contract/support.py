"""Merchants at a running installation, and HTTP without the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2

from gstable_server.accounts import operations as accounts
from gstable_server.chain.checksum import to_checksum
from gstable_server.cli.payer import Payer, open_http
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from tests.running import Running

T = TypeVar("T")

WALLET = Address(b"\x5a" * 20)
USDC = "polygon::usdc"


@dataclass(frozen=True)
class Merchant:
    """``secret`` may do everything, ``restricted`` only read."""

    tenant: Tenant
    account_id: str
    removed_account_id: str
    secret: str
    restricted: str


def in_database(running: Running, operation: Callable[[Tx], Awaitable[T]]) -> T:
    """What the console or an operator would do, in one transaction of the installation."""

    async def run() -> T:
        url = str(running.about["databaseUrl"])
        db = await Database.connect(url, clock=SystemClock(), ids=SystemIdMint(), size=1)
        try:
            return await db.run(operation)
        finally:
            await db.close()

    return asyncio.run(run())


def new_merchant(running: Running, mode: Mode = Mode.TEST) -> Merchant:
    """A merchant with one receiving account in use and one that was removed."""

    async def open_business(tx: Tx) -> Merchant:
        made = await accounts.create_merchant(tx, "Contract Ltd")
        tenant = Tenant(made.merchant_id, mode)
        networks, wallet = running.networks, to_checksum(WALLET)
        account = await accounts.create_account(tx, tenant, networks, "Main", wallet)
        former = await accounts.create_account(tx, tenant, networks, "Former", wallet)
        await accounts.remove_account(tx, tenant, networks, former.account_id)
        _, secret = await accounts.issue_key(tx, tenant, Access.WRITE, "Shop")
        _, restricted = await accounts.issue_key(tx, tenant, Access.READ, "Reports")
        return Merchant(tenant, account.account_id, former.account_id, secret, restricted)

    return in_database(running, open_business)


class Wire:
    """One HTTP connection that authenticates with a key, or with none."""

    def __init__(self, http: httpx2.Client) -> None:
        self.http = http

    def send(self, path: str, body: Any = None, prefix: str = "/api/v1") -> httpx2.Response:
        """GET without ``body``, else POST of it as JSON."""
        if body is None:
            return self.http.get(prefix + path)
        return self.http.post(prefix + path, json=body)

    def data(self, path: str, body: Any = None, prefix: str = "/api/v1") -> Any:
        """The data of a success."""
        response = self.send(path, body, prefix)
        envelope = response.json()
        assert (response.status_code, envelope["code"]) == (200, 0), envelope
        return envelope["data"]

    def code(self, path: str, body: Any = None) -> int:
        """The code of the answer."""
        return int(self.send(path, body).json()["code"])


@contextmanager
def open_wire(base_url: str, secret: str | None) -> Iterator[Wire]:
    headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
    with httpx2.Client(base_url=base_url, headers=headers, timeout=180) as http:
        yield Wire(http)


def product_line(product_id: str, quantity: int = 2, unit_price: int = 4_500_000) -> dict[str, Any]:
    """A line of a catalogue product, as the wire has it."""
    return {
        "itemType": "product",
        "productId": product_id,
        "quantity": quantity,
        "unitPrice": unit_price,
    }


def one_time_line(unit_price: int = 10_000_000, name: str = "Tea") -> dict[str, Any]:
    """A line that describes itself, as the wire has it."""
    return {
        "itemType": "one_time",
        "quantity": 1,
        "unitPrice": unit_price,
        "productData": {"productName": name},
    }


async def pay(running: Running, payment_url: str) -> None:
    """Pay on the hosted page, from a wallet of the installation."""
    async with open_http() as http:
        payer = Payer(http, running.base_url, running.networks, running.payer_keys[0])
        await payer.pay(payment_url, USDC)
