"""A desk, a merchant and facts of a chain that nobody has to run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.model import ReceivingAccount
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.facts import Fact, FactWhat, PaymentLog, to_payload
from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.chain.orders import OrderSigner
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import EventId, SessionId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.ledger import operations as ledger
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.events import Event, StoredEvent
from gstable_server.routing.model import Schedule
from gstable_server.sessions import hearing, operations, paying
from gstable_server.sessions.model import SessionView
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.wire import CreateCheckoutSession

USDC = Token(
    "polygon::usdc", "USD Coin", "USDC", "polygon", 1337137, Address(b"\x0c" * 20), 6, None
)
USDT = Token(
    "polygon::usdt", "Tether USD", "USDT", "polygon", 1337137, Address(b"\x0d" * 20), 6, None
)
POLYGON = Network(
    name="polygon",
    title="Polygon",
    mode=Mode.TEST,
    chain_id=1337137,
    route_group="POL",
    rpc_urls=("http://127.0.0.1:1",),
    router=Address(b"\x0a" * 20),
    router_code_hash=None,
    confirmations=3,
    start_block=0,
    explorer_url="",
    native_symbol="POL",
    tokens=(USDC, USDT),
)


def desk() -> Desk:
    return Desk(
        networks=Networks((POLYGON,)),
        signer=OrderSigner(b"\x11" * 32),
        fee_receiver=Address(b"\x0f" * 20),
        public_url="https://pay.example.com",
        schedule=Schedule(),
        lifetime=timedelta(minutes=30),
        order_grace=timedelta(minutes=10),
    )


@dataclass
class World:
    """One merchant at one desk; ``hear`` is what the indexer would tell."""

    db: Database
    desk: Desk
    tenant: Tenant
    account: ReceivingAccount

    async def open(self, price: int = 10_000_000, **body: object) -> SessionView:
        request = CreateCheckoutSession.model_validate(
            {
                "accountId": self.account.account_id,
                "settlementToken": "polygon::usdc",
                "lineItems": [
                    {
                        "itemType": "one_time",
                        "quantity": 1,
                        "unitPrice": price,
                        "productData": {"productName": "Tea"},
                    }
                ],
                **body,
            }
        )
        return await self.db.run(operations.create_checkout, self.desk, self.tenant, request)

    async def view(self, session_id: SessionId) -> SessionView:
        return await self.db.run(operations.view, session_id)

    async def prepare(self, view: SessionView) -> paying.PreparedPayment:
        return await self.db.run(
            paying.prepare,
            self.desk,
            view.session.session_id,
            client_code=view.session.client_code,
            token_id="polygon::usdc",
            payer=Address(b"\x01" * 20),
            payer_email=None,
        )

    def log(
        self,
        view: SessionView,
        *,
        tx: int = 1,
        block: int = 100,
        merchant_received: int = 9_980_000,
        fee_received: int = 20_000,
        at: datetime | None = None,
        token: Token = USDC,
        merchant: Address | None = None,
        session_key: bytes | None = None,
    ) -> PaymentLog:
        return PaymentLog(
            network="polygon",
            chain_id=1337137,
            tx_hash=tx.to_bytes(32, "big"),
            log_position=0,
            block_number=block,
            block_hash=block.to_bytes(32, "big"),
            block_time=at or view.session.created_at,
            session_key=session_key or view.session.session_key,
            payer=Address(b"\x01" * 20),
            merchant=merchant or view.session.recipient,
            token=token.address,
            amount=merchant_received,
            fee_received=fee_received,
            fee_receiver=self.desk.fee_receiver,
            rail=None,
            rail_data=b"",
            settlement_chain_id=1337137,
            settlement_token=token.address,
            merchant_amount=merchant_received,
            merchant_received=merchant_received,
        )

    async def hear(self, kind: str, log: PaymentLog) -> None:
        fact = Fact(FactWhat(kind), log)
        event = Event(fact.event_type, log.tx_hash.hex(), to_payload(fact))
        async with self.db.begin() as tx:
            stored = StoredEvent(EventId("evt_fact"), 1, tx.now, event)
            await hearing.hear_all(tx, self.desk, [stored])

    async def told(self, view: SessionView) -> list[str]:
        """The event types of a session, in order."""
        async with self.db.begin() as tx:
            rows = await tx.fetch(
                "SELECT type FROM events WHERE object_id = $1 ORDER BY sequence",
                view.session.session_id,
            )
        return [row["type"].removeprefix("session.") for row in rows]

    async def balances(self) -> dict[str, int]:
        """Non-zero balances by the account's last words."""
        async with self.db.begin() as tx:
            found = await ledger.balances(tx)
        merchant = f"merchant:{self.tenant.merchant_id}"
        return {
            account.replace(merchant, "merchant"): amount
            for (_, account), amount in found.items()
            if amount
        }


async def new_world(db: Database) -> World:
    here = desk()
    async with db.begin() as tx:
        merchant = await accounts.create_merchant(tx, "Tea house")
        tenant = Tenant(merchant.merchant_id, Mode.TEST)
        account = await accounts.create_account(
            tx, tenant, here.networks, "Main", to_checksum(Address(b"\x77" * 20))
        )
    return World(db, here, tenant, account)
