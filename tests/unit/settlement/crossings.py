"""A merchant who is paid in base::usdc from elsewhere, and the facts of chains that nobody runs.

Facts go the whole way: through the outbox and every handler of ``flow``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gstable_server import flow
from gstable_server.chain.facts import (
    ChainLog,
    DeliveryLog,
    EscrowLog,
    EscrowWhat,
    Fact,
    FactWhat,
    PaymentLog,
    RailName,
    to_payload,
)
from gstable_server.chain.orders import RoutedOrder
from gstable_server.chain.rails.escrow_terms import escrow_terms
from gstable_server.chain.rails.testing import ScriptedRail
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import Event, StoredEvent
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.testing import FakeHttp
from gstable_server.sessions import paying
from gstable_server.sessions.model import SessionView
from gstable_server.settlement import operations as settlement
from tests.unit.routing.market import every_network, rails_of
from tests.unit.sessions.world import World, new_world

PAYER = Address(b"\x01" * 20)
SOLVER = Address(b"\x0b" * 20)
PAYING = {
    RailName.CCTP: "polygon::usdc",
    RailName.ESCROW: "polygon::usdt",
    RailName.SWAP: "base::usdt",
}


@dataclass
class Crossings:
    """``rails`` by name answer what a test tells them to; ``world`` is the merchant's side."""

    world: World
    flow: flow.World
    rails: dict[RailName, ScriptedRail]
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def db(self) -> Database:
        return self.world.db

    def _next(self, name: str) -> int:
        self.numbers[name] = self.numbers.get(name, 0) + 1
        return self.numbers[name]

    async def open(self, **body: Any) -> SessionView:
        return await self.world.open(settlementToken="base::usdc", **body)

    async def view(self, view: SessionView) -> SessionView:
        return await self.world.view(SessionId(view.session.session_id))

    async def order(self, view: SessionView, token_id: str) -> RoutedOrder:
        prepared = await self.db.run(
            paying.prepare,
            self.world.desk,
            view.session.session_id,
            client_code=view.session.client_code,
            token_id=token_id,
            payer=PAYER,
            payer_email=None,
        )
        assert isinstance(prepared.signed.order, RoutedOrder)
        return prepared.signed.order

    async def paid(self, view: SessionView, token_id: str, **changes: Any) -> PaymentLog:
        """The router's log of a payment by an order that is asked for now."""
        order = await self.order(view, token_id)
        source = self.world.desk.networks.network(order.token.network)
        number = self._next("tx")
        values: dict[str, Any] = {
            "network": source.name,
            "chain_id": source.chain_id,
            "tx_hash": number.to_bytes(32, "big"),
            "log_position": 0,
            "block_number": 100 + number,
            "block_hash": (100 + number).to_bytes(32, "big"),
            "block_time": view.session.created_at,
            "session_key": order.session_key,
            "payer": PAYER,
            "merchant": order.merchant,
            "token": order.token.address,
            "amount": order.amount,
            "fee_received": order.fee_amount,
            "fee_receiver": order.fee_receiver,
            "rail": self.rail_at(source.name, order.rail),
            "rail_data": order.rail_data,
            "settlement_chain_id": order.settlement.chain_id,
            "settlement_token": order.settlement.address,
            "merchant_amount": order.merchant_amount,
            "merchant_received": 0,
            **changes,
        }
        return PaymentLog(**values)

    def rail_at(self, network: str, address: Address) -> RailName:
        found = self.world.desk.networks.network(network).contracts.rails
        [name] = [name for name, one in found.items() if one.address == address]
        return RailName(name.removesuffix("_rail"))

    def delivery(self, payment: PaymentLog, *, fee: int = 0, **changes: Any) -> DeliveryLog:
        """What brings ``payment`` to its merchant."""
        here = self.world.desk.networks.at_chain(payment.settlement_chain_id)
        assert here is not None
        number = self._next("tx")
        crosses = payment.rail is RailName.CCTP
        values: dict[str, Any] = {
            "network": here.name,
            "chain_id": here.chain_id,
            "tx_hash": number.to_bytes(32, "big"),
            "log_position": 0,
            "block_number": 500 + number,
            "block_hash": (500 + number).to_bytes(32, "big"),
            "block_time": payment.block_time,
            "session_key": payment.session_key,
            "rail": payment.rail,
            "merchant": payment.merchant,
            "token": payment.settlement_token,
            "amount": payment.amount - fee if crosses else payment.merchant_amount,
            "fee": fee,
            "reference": number.to_bytes(32, "big") if crosses else self.order_id(payment),
            "solver": None if crosses else SOLVER,
            "source_chain_id": payment.chain_id,
            **changes,
        }
        return DeliveryLog(**values)

    def order_id(self, payment: PaymentLog) -> bytes:
        escrow = self.world.desk.networks.network(payment.network).contracts.escrow_rail
        assert escrow is not None
        return escrow_terms(payment, escrow.address).order_id

    def escrow(self, payment: PaymentLog, what: EscrowWhat) -> EscrowLog:
        """The money of ``payment`` leaves its escrow."""
        number = self._next("tx")
        released = what is EscrowWhat.RELEASED
        return EscrowLog(
            network=payment.network,
            chain_id=payment.chain_id,
            tx_hash=number.to_bytes(32, "big"),
            log_position=0,
            block_number=900 + number,
            block_hash=(900 + number).to_bytes(32, "big"),
            block_time=payment.block_time,
            session_key=payment.session_key,
            order_id=self.order_id(payment),
            what=what,
            receiver=SOLVER if released else payment.payer,
            token=payment.token,
            amount=payment.amount,
        )

    # --- what is told -----------------------------------------------------------------------------

    async def tell(self, what: str, log: ChainLog) -> None:
        """What the indexer tells, not handled yet."""
        fact = Fact(FactWhat(what), log)
        async with self.db.begin() as tx:
            subject = log.subject
            tx.tell(Event(type=fact.event_type, object_id=subject, payload=to_payload(fact)))

    async def tell_executor(self, what: str, cause: str, problem: str = "") -> None:
        async with self.db.begin() as tx:
            payload = {"cause": cause, "problem": problem}
            tx.tell(Event(type=f"executor.{what}", object_id=cause, payload=payload))

    async def relay(self) -> None:
        """Handle all events, and what they tell, until nothing waits."""

        async def handle(tx: Tx, batch: Sequence[StoredEvent]) -> None:
            await flow.handle(tx, self.flow, batch)

        while await relay_once(self.db, handle):
            pass
        async with self.db.begin() as tx:
            assert await tx.fetchval("SELECT count(*) FROM outbox") == 0, "a handler failed"

    async def hear(self, *told: tuple[str, ChainLog]) -> None:
        """Facts, each handled with all that follows before the next one is told."""
        for what, log in told:
            await self.tell(what, log)
            await self.relay()

    async def watch(self) -> int:
        return await self.db.run(settlement.watch, self.flow.settler)

    async def watch_unpaid(self) -> int:
        return await self.db.run(settlement.watch_unpaid, self.flow.settler)

    async def tend(self) -> int:
        """One look of the worker at what is due; returns how many rails it asked."""
        due = await self.db.run(settlement.take_due)
        for turn in due:
            await settlement.tend(self.db, self.flow.settler, turn)
        return len(due)

    # --- what came of it --------------------------------------------------------------------------

    async def told_of_session(self, view: SessionView) -> list[str]:
        return await self.world.told(view)

    async def told_of_crossings(self) -> list[str]:
        async with self.db.begin() as tx:
            rows = await tx.fetch(
                "SELECT type FROM events WHERE type LIKE 'settlement.%' ORDER BY sequence"
            )
        return [row["type"].removeprefix("settlement.") for row in rows]

    async def causes(self) -> list[str]:
        """What the executor was asked to send."""
        async with self.db.begin() as tx:
            rows = await tx.fetch("SELECT cause FROM executor_intents ORDER BY created_at, cause")
        return [row["cause"] for row in rows]

    async def balances(self) -> dict[tuple[str, str], int]:
        """Non-zero balances by token and account; the merchant's id left out."""
        merchant = f"merchant:{self.world.tenant.merchant_id}"
        async with self.db.begin() as tx:
            rows = await tx.fetch(
                "SELECT token_id, account, sum(amount) AS balance FROM ledger_entries "
                "GROUP BY 1, 2 HAVING sum(amount) <> 0"
            )
        return {
            (row["token_id"], row["account"].replace(merchant, "merchant")): int(row["balance"])
            for row in rows
        }


async def new_crossings(db: Database) -> Crossings:
    world = await new_world(db)
    networks = every_network()
    rails = tuple(ScriptedRail(rail) for rail in rails_of(networks))
    world.desk = replace(world.desk, networks=networks, rails=rails)
    outer = flow.World(db=db, desk=world.desk, http=FakeHttp())
    return Crossings(world, outer, {rail.name: rail for rail in rails})


def later(log: PaymentLog) -> PaymentLog:
    """The same transaction in another block."""
    block = log.block_number + 1000
    return replace(log, block_number=block, block_hash=block.to_bytes(32, "big"))


def after_payment(payment: PaymentLog, paying: str, fees: str) -> dict[tuple[str, str], int]:
    """What the payer gave, and the part of it that is the platform's, in the book."""
    return {
        (paying, "payers"): -(payment.amount + payment.fee_received),
        (paying, fees): payment.fee_received,
    }
