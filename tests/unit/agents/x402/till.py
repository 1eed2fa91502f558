"""A merchant, the x402 door, the executor, and a buyer with the unchanged package, at a chain."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from eth_account import Account
from eth_account.signers.local import LocalAccount
from x402 import x402Client
from x402.extensions.payment_identifier import append_payment_identifier_to_extensions
from x402.http.utils import decode_payment_required_header, encode_payment_signature_header
from x402.mechanisms.evm.exact import ExactEvmScheme

from gstable_server.agents.x402 import operations
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.executor.runner import Runner
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.orders import transfer_call
from gstable_server.chain.transactions import signed_transaction
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Database
from gstable_server.sessions.deposits import watching
from gstable_server.sessions.model import SessionView
from tests.unit.catalog.support import Caller
from tests.unit.sessions.world import World

NETWORK = "polygon"
Header = dict[str, Any]


def written(payload: Header) -> str:
    return base64.b64encode(json.dumps(payload).encode()).decode()


def read(answer: httpx.Response, name: str) -> Any:
    return json.loads(base64.b64decode(answer.headers[name]))


@dataclass
class Till:
    """``account`` is the buyer's; ``wallet`` is the same account, for what it sends itself."""

    world: World
    devnet: Devnet
    rpc: HttpRpc
    runner: Runner
    merchant: Caller
    http: httpx.AsyncClient
    account: LocalAccount
    wallet: Wallet

    @property
    def db(self) -> Database:
        return self.world.db

    @property
    def network(self) -> Network:
        return self.devnet.networks.network(NETWORK)

    def token(self, symbol: str) -> Token:
        [token] = [one for one in self.network.tokens if one.symbol == symbol]
        return token

    # What is sold.

    async def session(self, **body: object) -> str:
        """The path of a session for 10 USD."""
        view = await self.world.open(**body)  # type: ignore[arg-type]
        return f"/x402/session/{view.session.session_id}"

    async def link(self, **changes: Any) -> str:
        """The path of a link for two mugs at 4.50 USD."""
        product = await self.merchant.data(
            "/product/create", {"name": "Mug", "commonPrices": [1_000_000, 4_500_000]}
        )
        line = {"itemType": "product", "quantity": 2, "unitPrice": 4_500_000}
        body = {
            "linkType": "fixed",
            "linkName": "Two mugs",
            "accountId": self.world.account.account_id,
            "settlementToken": "polygon::usdc",
            "feeModel": 2,
            "lineItems": [{**line, "productId": product["productId"]}],
            **changes,
        }
        made = await self.merchant.data("/payment/link/create", body)
        return f"/x402/link/{made['linkId']}"

    # What the buyer does.

    async def ask(self, path: str) -> httpx.Response:
        return await self.http.get(path)

    async def sign(
        self,
        path: str,
        symbol: str = "USDC",
        *,
        account: LocalAccount | None = None,
        identifier: str | None = None,
    ) -> Header:
        """What the package makes of the offer, in that token of the network."""
        required = decode_payment_required_header(
            (await self.ask(path)).headers["PAYMENT-REQUIRED"]
        )
        name, asset = f"eip155:{self.network.chain_id}", to_checksum(self.token(symbol).address)
        required.accepts = [
            one for one in required.accepts if (one.network, one.asset) == (name, asset)
        ]
        if identifier is not None:
            append_payment_identifier_to_extensions(required.extensions, identifier)
        client = x402Client()
        client.register(name, ExactEvmScheme(account or self.account))
        client.set_spend_controls({"allowed_assets": [{"network": name, "asset": asset}]})
        payload = await client.create_payment_payload(required)
        return dict(json.loads(base64.b64decode(encode_payment_signature_header(payload))))

    async def pay(self, path: str, payload: Header) -> httpx.Response:
        return await self.http.get(path, headers={"PAYMENT-SIGNATURE": written(payload)})

    async def refused(self, path: str, payload: Header) -> str:
        """The reason of a refusal, which has changed nothing."""
        before = await self.stored()
        answer = await self.pay(path, payload)
        assert answer.status_code == 402, answer.text
        assert "PAYMENT-RESPONSE" not in answer.headers
        assert await self.stored() == before
        return str(read(answer, "PAYMENT-REQUIRED")["error"])

    async def spend_first(self) -> None:
        """The buyer sends all its money elsewhere, and pays for being the first in the block."""
        balance = await self.devnet.balance(NETWORK, self.wallet.address, "USDC")
        call = transfer_call(self.token("USDC").address, Address(os.urandom(20)), balance)
        raw = signed_transaction(
            bytes(self.account.key),
            call,
            self.network.chain_id,
            nonce=await self.rpc.transaction_count(self.wallet.address),
            gas=100_000,
            fee=10**12,
            tip=10**11,
        )
        await self.rpc.send_raw(raw)

    # What follows.

    async def stored(self) -> tuple[int, ...]:
        """How many rows there are of everything that a payment leaves behind."""
        tables = ("x402_payments", "sessions", "deposits", "executor_intents", "events")
        async with self.db.read() as tx:
            return tuple([await tx.fetchval(f"SELECT count(*) FROM {one}") for one in tables])

    async def turn(self) -> None:
        """The watch looks, the executor works, a block comes."""
        await watching.look(self.db, self.world.desk, self.network, self.rpc)
        await self.runner.turn()
        await self.devnet.mine(NETWORK)
        await asyncio.sleep(0.05)

    async def until(self, holds: Callable[[httpx.Response], bool], ask: Any) -> httpx.Response:
        """Turn after turn, until the answer is so."""
        for _ in range(100):
            answer: httpx.Response = await ask()
            if holds(answer):
                return answer
            await self.turn()
        raise AssertionError(f"never so: {answer.status_code} {answer.text}")

    async def settled(self, path: str, payload: Header) -> httpx.Response:
        return await self.until(
            lambda answer: answer.status_code != 202, lambda: self.pay(path, payload)
        )

    async def merchant_has(self) -> int:
        """What the merchant's wallet has in USDC."""
        return await self.devnet.balance(NETWORK, self.world.account.address, "USDC")

    async def view(self, path: str) -> SessionView:
        return await self.world.view(SessionId(path.rsplit("/", 1)[1]))


def stranger() -> LocalAccount:
    """An account that has nothing."""
    account: LocalAccount = Account.from_key(os.urandom(32))
    return account


def till_operations(world: World, rpc: HttpRpc) -> operations.Till:
    """A door that never waits: the tests make the blocks."""
    return operations.Till(world.db, world.desk, {NETWORK: rpc}, wait_seconds=0)
