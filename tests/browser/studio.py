"""A merchant, payers' pages of every kind, and the facts that move them; no chain runs.

Every step is an operation of the product, or a fact as the indexer tells it, through the outbox and
every handler of ``flow``. What only an indexer does (to have read a block) is written for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw

from gstable_server import flow
from gstable_server.accounts import operations as accounts
from gstable_server.accounts.branding import operations as brandings
from gstable_server.accounts.branding.logo import redraw
from gstable_server.catalog import operations as catalog
from gstable_server.catalog.model import Attribute, ProductTerms
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.facts import (
    ChainLog,
    Fact,
    FactWhat,
    PaymentLog,
    RailName,
    TransferLog,
    to_payload,
)
from gstable_server.chain.networks import Network, Networks
from gstable_server.chain.orders import RoutedOrder
from gstable_server.chain.rails.testing import ScriptedRail
from gstable_server.chain.testing import FakeChain
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import Event, StoredEvent
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.testing import FakeAnswer, FakeClock, FakeHttp
from gstable_server.routing.model import Way
from gstable_server.sessions import hearing, paying
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.deposits import operations as deposits
from gstable_server.sessions.model import Session
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds.wire import PrepareRefund
from gstable_server.settlement import operations as settlement
from gstable_server.webhooks.dispatch import Dispatcher
from tests.unit.routing.market import rails_of
from tests.unit.sessions.deposit_desk import networks_with_deposits
from tests.unit.web.shop import WALLET, Merchant, add_block, new_desk

PAYER = Address(bytes.fromhex("3c44cdddb6a900fa2b585dd299e03d12fa4293bc"))
TITLES = {"ethereum": "Ethereum", "arbitrumone": "Arbitrum One"}
DEPTH = 12
LIFETIME = timedelta(minutes=30)
MEMBER = "anna@bluedoor.example"
PICTURE_URL = "https://pictures.example.com/guide.png"
WEBHOOK_URL = "https://bluedoor.example/hooks/gstable"


def networks() -> Networks:
    """Four networks on which everything can be paid, ``DEPTH`` blocks deep."""
    return Networks(
        tuple(
            replace(one, title=TITLES.get(one.name, one.title), confirmations=DEPTH)
            for one in networks_with_deposits().all
        )
    )


def _png(size: tuple[int, int], ground: str, mark: str) -> bytes:
    picture = Image.new("RGB", size, ground)
    width, height = size
    draw = ImageDraw.Draw(picture)
    draw.polygon(
        [(width * 0.15, height * 0.7), (width * 0.5, height * 0.25), (width * 0.85, height * 0.7)],
        fill=mark,
    )
    kept = BytesIO()
    picture.save(kept, "PNG")
    return kept.getvalue()


@dataclass
class Studio:
    """``merchant`` sells; ``hear`` is what the indexer would tell."""

    db: Database
    clock: FakeClock
    merchant: Merchant
    outer: flow.World
    numbers: dict[str, int] = field(default_factory=dict)

    @classmethod
    async def open(cls, db: Database, clock: FakeClock, public_url: str) -> Studio:
        here = networks()
        rails = tuple(ScriptedRail(rail) for rail in rails_of(here))
        desk = replace(new_desk(here, public_url), rails=rails, relays=True)
        pictures = FakeAnswer(
            headers=(("content-type", "image/png"),), body=_png((96, 96), "#1d4e66", "#f4d58d")
        )
        http = FakeHttp({PICTURE_URL: pictures, WEBHOOK_URL: FakeAnswer()})
        chains = {one.name: FakeChain(one) for one in here.all}
        outer = flow.World(db=db, desk=desk, http=http, chains=chains)
        async with db.begin() as tx:
            seller = await accounts.create_merchant(tx, "Blue Door Books")
            tenant = Tenant(seller.merchant_id, Mode.TEST)
            account = await accounts.create_account(tx, tenant, here, "Main", WALLET)
            terms = ProductTerms(
                name="Field guide to harbour birds",
                description="Paperback, 240 pages, with maps.",
                image_source=PICTURE_URL,
                common_prices=(5_000_000, 10_000_000, 25_000_000),
                attributes=(Attribute("Edition", "Second"),),
            )
            product = await catalog.create(tx, tenant, public_url, terms)
        await catalog.rehost_image(db, outer.http, product.product_id)
        studio = cls(db, clock, Merchant(db, desk, tenant, account, product), outer)
        await studio.brand()
        return studio

    async def brand(self, **entries: str) -> None:
        """What payers see of the merchant, beside its logo."""
        shown = {
            "displayName": "Blue Door Books",
            "supportEmail": "help@bluedoor.example",
            "termsUrl": "https://bluedoor.example/terms",
        }
        async with self.db.begin() as tx:
            merchant_id = self.merchant.tenant.merchant_id
            await brandings.save(tx, merchant_id, {**shown, **entries}, actor=MEMBER)

    async def brand_with_logo(self) -> None:
        """The same with a picture in place of the name's first letter."""
        entries = {"displayName": "Blue Door Books", "accent": "#1d4e66"}
        logo = redraw(_png((240, 80), "#1d4e66", "#f4d58d"))
        async with self.db.begin() as tx:
            merchant_id = self.merchant.tenant.merchant_id
            await brandings.save(tx, merchant_id, entries, actor=MEMBER, logo=logo)

    # --- what payers do -------------------------------------------------------------------------

    async def session(self, **body: Any) -> Session:
        """A session of the merchant's shop: two lines, 74.50 USD."""
        ticket = {
            "itemType": "one_time",
            "quantity": 1,
            "unitPrice": 24_500_000,
            "productData": {"productName": "Workshop ticket"},
        }
        guide = {
            "itemType": "product",
            "productId": self.merchant.product.product_id,
            "quantity": 2,
            "unitPrice": 25_000_000,
        }
        return await self.merchant.session(**{"lineItems": [guide, ticket], **body})

    async def found(self, session_id: str) -> Session:
        """A session that somebody opened in a browser."""
        async with self.db.read() as tx:
            return (await sessions.view(tx, sessions.session_id_of(session_id))).session

    async def past_session(self, **body: Any) -> Session:
        """One that was opened so long ago that its time is over, and still stands open."""
        today = self.clock.now()
        self.clock.set(today - LIFETIME - timedelta(minutes=2))
        session = await self.session(**body)
        self.clock.set(today)
        return session

    async def past_link_session(self) -> Session:
        """The same, opened from a link."""
        link = await self.merchant.link()
        today = self.clock.now()
        self.clock.set(today - LIFETIME - timedelta(minutes=2))
        session = await self.merchant.link_session(link)
        self.clock.set(today)
        return session

    async def expire(self) -> None:
        """The worker looks at the clock."""
        await self.db.run(hearing.expire_due, self.merchant.desk)

    async def prepare(
        self, session: Session, token_id: str = "polygon::usdc", way: Way = Way.APPROVE
    ) -> paying.PreparedPayment:
        """The payer asks for the terms of one way to pay."""
        return await self.db.run(
            paying.prepare,
            self.merchant.desk,
            session.session_id,
            client_code=session.client_code,
            token_id=token_id,
            payer=PAYER,
            payer_email=None,
            way=way,
        )

    async def deposit(self, session: Session, token_id: str = "polygon::usdc") -> None:
        """The payer asks for the session's own address."""
        async with self.db.begin() as tx:
            await deposits.open_deposit(
                tx,
                self.merchant.desk,
                session.session_id,
                client_code=session.client_code,
                token_id=token_id,
                refund_to=PAYER,
                payer_email=None,
            )

    async def arrive(self, session: Session, token_id: str, balance: int) -> None:
        """So much of a token is found at the session's address, in its smallest units."""
        network = self.network(token_id)
        async with self.db.begin() as tx:
            view = await deposits.view(tx, self.merchant.desk, session)
            assert view is not None
            balances = {one.address: 0 for one in network.tokens}
            [token] = [one for one in network.tokens if one.token_id == token_id]
            balances[token.address] = balance
            await deposits.found(tx, self.merchant.desk, network, view.deposit, balances)

    # --- what chains tell -----------------------------------------------------------------------

    def network(self, token_id: str) -> Network:
        return self.merchant.desk.networks.network(token_id.partition("::")[0])

    def _next(self) -> int:
        self.numbers["tx"] = self.numbers.get("tx", 0) + 1
        return self.numbers["tx"]

    async def payment(
        self, session: Session, token_id: str = "polygon::usdc", **changes: Any
    ) -> PaymentLog:
        """The router's log of a payment by an order that is asked for now."""
        order = (await self.prepare(session, token_id)).signed.order
        source, number = self.network(token_id), self._next()
        routed = isinstance(order, RoutedOrder)
        amount = order.amount if isinstance(order, RoutedOrder) else order.merchant_amount
        target = order.settlement if isinstance(order, RoutedOrder) else order.token
        values: dict[str, Any] = {
            "network": source.name,
            "chain_id": source.chain_id,
            "tx_hash": bytes([0xA0 + number % 16]) * 30 + number.to_bytes(2, "big"),
            "log_position": 0,
            "block_number": 100 * number,
            "block_hash": (100 * number).to_bytes(32, "big"),
            "block_time": min(self.clock.now(), session.created_at + timedelta(minutes=1)),
            "session_key": order.session_key,
            "payer": PAYER,
            "merchant": order.merchant,
            "token": order.token.address,
            "amount": amount,
            "fee_received": order.fee_amount,
            "fee_receiver": order.fee_receiver,
            "rail": self._rail(source, order.rail) if isinstance(order, RoutedOrder) else None,
            "rail_data": order.rail_data if isinstance(order, RoutedOrder) else b"",
            "settlement_chain_id": target.chain_id,
            "settlement_token": target.address,
            "merchant_amount": order.merchant_amount,
            "merchant_received": 0 if routed else amount,
        }
        return PaymentLog(**{**values, **changes})

    @staticmethod
    def _rail(network: Network, rail: Address) -> RailName:
        [name] = [name for name, one in network.contracts.rails.items() if one.address == rail]
        return RailName(name.removesuffix("_rail"))

    async def blocks(self, log: PaymentLog, depth: int) -> None:
        """The chain is so many blocks deep over a payment, its own one counted."""
        await add_block(self.db, log.block_number + depth - 1, log.network)

    async def hear(self, *told: tuple[str, ChainLog]) -> None:
        """Facts, each handled with all that follows before the next one is told."""
        for what, log in told:
            fact = Fact(FactWhat(what), log)
            async with self.db.begin() as tx:
                event = Event(fact.event_type, log.subject, to_payload(fact))
                tx.tell(event)
            await self.relay()

    async def relay(self) -> None:
        """Handle all events, and what they tell, until nothing waits."""

        async def handle(tx: Tx, batch: Sequence[StoredEvent]) -> None:
            await flow.handle(tx, self.outer, batch)

        while await relay_once(self.db, handle):
            pass

    async def deliver(self) -> None:
        """Send the webhooks that are due."""
        while await Dispatcher(self.db, self.outer.http, self.outer.deliveries).deliver_due():
            pass

    async def paid(self, session: Session, *facts: str, **changes: Any) -> PaymentLog:
        """A direct payment as far as the facts of it, by default to its end."""
        log = await self.payment(session, **changes)
        await self.hear(*((fact, log) for fact in facts or ("seen", "final")))
        return log

    @staticmethod
    def at(log: PaymentLog, moment: datetime) -> PaymentLog:
        """The same payment, mined then."""
        return replace(log, block_time=moment)

    async def hanging(self, session: Session, token_id: str) -> PaymentLog:
        """A payment by a rail that had its time, and more."""
        today = self.clock.now()
        self.clock.set(today - self.outer.stall_after - timedelta(seconds=1))
        log = await self.paid(session, token_id=token_id)
        self.clock.set(today)
        await self.db.run(settlement.watch, self.outer.settler)
        await self.relay()
        return log

    async def refund(self, session: Session, amount: int | None = None) -> None:
        """The merchant gives money back (Micro-USD; all of it by default), for good."""
        body: dict[str, Any] = {"sessionId": session.session_id, "to": to_checksum(PAYER)}
        request = PrepareRefund.model_validate(body | ({"amount": amount} if amount else {}))
        made = await self.db.run(refunds.prepare, self.merchant.desk, self.merchant.tenant, request)
        number = self._next()
        log = TransferLog(
            network=made.terms.network,
            chain_id=made.terms.chain_id,
            tx_hash=bytes([0xB0 + number % 16]) * 30 + number.to_bytes(2, "big"),
            log_position=0,
            block_number=100 * number,
            block_hash=(100 * number).to_bytes(32, "big"),
            block_time=self.clock.now(),
            token=made.terms.token,
            sender=made.terms.sender,
            receiver=made.terms.receiver,
            amount=made.terms.amount,
        )
        await self.hear(("seen", log), ("final", log))
