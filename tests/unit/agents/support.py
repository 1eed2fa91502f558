"""A paying agent at the door, with a wallet's key, over the real API and a real database."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from gstable_server.agents import routes as agent_routes
from gstable_server.agents.model import CREATE_SESSION, OFFICIAL_DOMAIN, PREPARE
from gstable_server.agents.operations import Agency
from gstable_server.agents.verification import Verifier
from gstable_server.api.app import ApiLimits, create_app
from gstable_server.catalog import routes as catalog_routes
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.keys import address_of_key, sign_digest
from gstable_server.chain.networks import Token
from gstable_server.chain.testing import FakeChain
from gstable_server.chain.typed_data import Domain, Struct, Value, digest
from gstable_server.kernel.address import Address, address_from_hex
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.tenant import Mode
from gstable_server.links import routes as link_routes
from gstable_server.plumbing.db import Database
from gstable_server.sessions import routes as session_routes
from tests.unit.catalog.support import PUBLIC_URL, Caller, Server
from tests.unit.routing.market import every_network, rails_of
from tests.unit.sessions.world import World

PREFIX = "/aipay/api/v1"
KEY = b"\x21" * 32
AI_HOST = "agents.shop.example"
_WIDE = ApiLimits(key_rate=10_000, key_burst=10_000, address_rate=10_000, address_burst=10_000)
_nonces = itertools.count(1)


@dataclass
class Agent:
    """``key`` signs as the payer of the messages that it makes; the clock is the database's."""

    client: httpx2.AsyncClient
    db: Database
    world: World
    merchant: Caller
    chains: Mapping[str, FakeChain]
    key: bytes = KEY
    domain_name: str = OFFICIAL_DOMAIN

    @property
    def payer(self) -> Address:
        return address_of_key(self.key)

    def token(self, token_id: str) -> Token:
        return self.world.desk.networks.require_token(token_id, Mode.TEST)

    async def answer(self, path: str, body: Any = None) -> httpx2.Response:
        if body is None:
            return await self.client.get(PREFIX + path)
        return await self.client.post(PREFIX + path, json=body)

    async def data(self, path: str, body: Any = None) -> Any:
        response = await self.answer(path, body)
        envelope = response.json()
        assert (response.status_code, envelope["code"]) == (200, 0), envelope
        return envelope["data"]

    async def refusal(self, path: str, body: Any = None) -> tuple[int, str]:
        """Code and message of an answer that must be none, and must have stored nothing."""
        before = await self.stored()
        envelope = (await self.answer(path, body)).json()
        assert envelope["data"] is None
        assert await self.stored() == before
        return envelope["code"], envelope["message"]

    async def stored(self) -> tuple[int, ...]:
        """How many rows there are of everything that a message can leave behind."""
        tables = ("agent_authorizations", "sessions", "session_orders", "events")
        async with self.db.read() as tx:
            return tuple([await tx.fetchval(f"SELECT count(*) FROM {one}") for one in tables])

    # What the merchant has.

    async def link(self, *, custom: bool = False, **changes: Any) -> str:
        """A link of the merchant's for two mugs at 4.50 USD, or for any amount; its id."""
        product = await self.merchant.data(
            "/product/create", {"name": "Mug", "commonPrices": [1_000_000, 4_500_000]}
        )
        line: dict[str, Any] = {"productId": product["productId"]}
        if custom:
            line |= {"itemType": "user_priced", "quantity": 1}
        else:
            line |= {"itemType": "product", "quantity": 2, "unitPrice": 4_500_000}
        body = {
            "linkType": "custom" if custom else "fixed",
            "linkName": "Two mugs",
            "accountId": self.world.account.account_id,
            "settlementToken": "polygon::usdc",
            "feeModel": 2,
            "lineItems": [line],
            **changes,
        }
        made = await self.merchant.data("/payment/link/create", body)
        return str(made["linkId"])

    # What the payer signs.

    def signed(self, struct: Struct, message: Mapping[str, Any]) -> dict[str, Any]:
        """The body with ``message`` and the payer's signature over it."""
        return {"message": dict(message), "signature": "0x" + self.sign(struct, message).hex()}

    def sign(self, struct: Struct, message: Mapping[str, Any]) -> bytes:
        return sign_digest(self.key, self.digest(struct, message))

    def digest(self, struct: Struct, message: Mapping[str, Any]) -> bytes:
        values = {name: _value(kind, message[name]) for kind, name in struct.members}
        domain = Domain(self.domain_name, "1", int(message["paymentChainId"]))
        return digest(domain, struct, values)

    async def creation(
        self, link_id: str, token_id: str = "polygon::usdc", **changes: Any
    ) -> dict[str, Any]:
        """The message that creates a session of a link."""
        token = self.token(token_id)
        view = await self.data(f"/payment/link/{link_id}")
        [offer] = [
            one
            for one in view["aiView"]["supportedPaymentTokens"]
            if one["tokenAddress"] == to_checksum(token.address)
            and one["chainId"] == str(token.chain_id)
        ]
        return {
            "purpose": "create_payment_session",
            "linkId": link_id,
            "linkVersion": view["linkVersion"],
            "merchantId": view["merchantId"],
            "payer": to_checksum(self.payer),
            "paymentChainId": offer["chainId"],
            "paymentToken": offer["tokenAddress"],
            "amount": offer["amountInToken"],
            "authorizationNonce": nonce(),
            "authorizationExpiresAt": self.in_seconds(3600),
            **changes,
        }

    async def session(
        self, link_id: str, token_id: str = "polygon::usdc", **changes: Any
    ) -> dict[str, Any]:
        """A session of a link, created."""
        message = await self.creation(link_id, token_id, **changes)
        made = await self.data("/payment/session/create", self.signed(CREATE_SESSION, message))
        return dict(made)

    def preparation(
        self, session: Mapping[str, Any], token_id: str = "polygon::usdc", **changes: Any
    ) -> dict[str, Any]:
        """The message that prepares the payment of a session."""
        token = self.token(token_id)
        return {
            "purpose": "prepare_payment",
            "sessionId": session["sessionId"],
            "merchantId": self.world.tenant.merchant_id,
            "paymentChainId": str(token.chain_id),
            "paymentToken": to_checksum(token.address),
            "payer": to_checksum(self.payer),
            "payerEmail": "agent@example.com",
            "authorizationNonce": nonce(),
            "authorizationExpiresAt": self.in_seconds(3600),
            **changes,
        }

    async def prepared(
        self, session: Mapping[str, Any], token_id: str = "polygon::usdc", **changes: Any
    ) -> dict[str, Any]:
        message = self.preparation(session, token_id, **changes)
        return dict(await self.data("/payment/prepare", self.signed(PREPARE, message)))

    def in_seconds(self, seconds: int) -> str:
        return str(unix_seconds(self.db.clock.now()) + seconds)


def nonce() -> str:
    """One that was never used."""
    return f"0x{next(_nonces):064x}"


def _value(kind: str, text: str) -> Value:
    match kind:
        case "uint256":
            return int(text)
        case "address":
            return address_from_hex(text)
        case "bytes32":
            return bytes.fromhex(text[2:])
    return text


@dataclass
class Doors:
    """How the application under test is made; ``domain_names`` as the server accepts them."""

    payer_per_minute: int = 1000
    limits: ApiLimits = field(default_factory=lambda: _WIDE)
    agent_host: str | None = AI_HOST

    async def opened(self, db: Database, world: World) -> Agent:
        networks = every_network()
        world.desk = replace(world.desk, networks=networks, rails=rails_of(networks))
        chains = {network.name: FakeChain(network) for network in networks.all}
        names = (OFFICIAL_DOMAIN, self.agent_host) if self.agent_host else (OFFICIAL_DOMAIN,)
        agency = Agency(world.desk, Verifier(chains, names), self.payer_per_minute)
        app = create_app(
            db,
            [
                catalog_routes.routes(PUBLIC_URL),
                link_routes.routes(networks, PUBLIC_URL),
                session_routes.routes(world.desk),
            ],
            capabilities=dict,
            limits=self.limits,
            public_url=PUBLIC_URL,
            agent_routes=agent_routes.routes(agency),
            agent_host=self.agent_host,
        )
        transport = httpx2.ASGITransport(app, client=("192.0.2.1", 40000))
        client = httpx2.AsyncClient(transport=transport, base_url=PUBLIC_URL)
        merchant = await Server(client, db).caller(world.tenant)
        return Agent(client, db, world, merchant, chains)
