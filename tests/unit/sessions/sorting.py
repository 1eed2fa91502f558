"""An operator who sorts out money that pays nothing as asked, and the chain that tells of it.

Whatever happens goes through the handlers of ``flow``, as it does in the worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gstable_server import flow
from gstable_server.chain.facts import (
    ChainLog,
    Fact,
    FactWhat,
    InboundLog,
    PaymentLog,
    RecoveryLog,
    to_payload,
)
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import EventId
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import Event, StoredEvent
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.testing import FakeHttp
from gstable_server.sessions import hearing
from gstable_server.sessions.deposits.model import Deposit
from gstable_server.sessions.model import SessionView
from gstable_server.sessions.unmatched import operations
from gstable_server.sessions.unmatched.model import Act, Inflow, InflowView, State, Why
from tests.unit.sessions.deposit_desk import Counter
from tests.unit.sessions.world import World

SENDER, UNKNOWN = Address(b"\x31" * 20), Address(b"\x99" * 20)
DUE = 10_000_000
RECEIVED = 9_980_000
WHO = {"actor": "Olga", "reason": "the payer wrote to us", "tenant": None}


@dataclass
class Sorter:
    """The desk of ``counter``, and what waits there."""

    counter: Counter
    number: int = 0
    http: FakeHttp = field(default_factory=FakeHttp)

    @property
    def world(self) -> World:
        return self.counter.world

    # --- what the chain says ----------------------------------------------------------------------

    async def hear(self, log: ChainLog, *facts: str) -> None:
        for what in facts or ("seen",):
            fact = Fact(FactWhat(what), log)
            await self.handle(Event(fact.event_type, log.subject, to_payload(fact)))

    async def handle(self, event: Event) -> None:
        here = flow.World(self.world.db, self.world.desk, self.http)
        async with self.world.db.begin() as tx:
            stored = StoredEvent(EventId("evt_fact"), 1, tx.now, event)
            await flow.handle(tx, here, [stored])

    async def relay(self) -> None:
        """Handle what was told meanwhile."""
        here = flow.World(self.world.db, self.world.desk, self.http)

        async def handle(tx: Tx, batch: Sequence[StoredEvent]) -> None:
            await flow.handle(tx, here, batch)

        while await relay_once(self.world.db, handle):
            pass

    def log(self, view: SessionView, **changes: Any) -> PaymentLog:
        """A payment of ``RECEIVED``, and the fee, in the token that was asked for."""
        network = self.counter.network("polygon")
        [token] = [one for one in network.tokens if one.token_id == "polygon::usdc"]
        log = self.world.log(view, token=token, **changes)
        return replace(log, chain_id=network.chain_id, settlement_chain_id=network.chain_id)

    def place(self) -> dict[str, Any]:
        self.number += 1
        return {
            "network": "polygon",
            "chain_id": 1337137,
            "tx_hash": (0xABC000 + self.number).to_bytes(32, "big"),
            "log_position": 0,
            "block_number": 300 + self.number,
            "block_hash": self.number.to_bytes(32, "big"),
            "block_time": self.now,
        }

    @property
    def now(self) -> datetime:
        return self.world.db.clock.now()

    def inbound(
        self,
        receiver: Address,
        amount: int,
        token_id: str = "polygon::usdc",
        *,
        token: Address | None = None,
        **changes: Any,
    ) -> InboundLog:
        network, known = self.counter.place(token_id)
        place = self.place() | {"network": network.name, "chain_id": network.chain_id} | changes
        return InboundLog(
            **place, token=token or known, sender=SENDER, receiver=receiver, amount=amount
        )

    def recovery(
        self, deposit: Deposit, amount: int, token_id: str = "polygon::usdc", **changes: Any
    ) -> RecoveryLog:
        network, token = self.counter.place(token_id)
        place = self.place() | {"network": network.name, "chain_id": network.chain_id} | changes
        return RecoveryLog(
            **place,
            session_key=deposit.terms.session_key,
            receiver=deposit.terms.refund_to,
            token=token,
            amount=amount,
        )

    def collection(self, view: SessionView, deposit: Deposit, **changes: Any) -> PaymentLog:
        """The payment by which the router took ``DUE`` from the deposit address."""
        self.number += 1
        return replace(
            self.log(view, tx=0xC011EC7 + self.number, at=self.now),
            payer=deposit.address,
            **changes,
        )

    async def late(self, *facts: str, pay_again: bool = False) -> SessionView:
        """A session that was paid after its expiry; with ``pay_again``, twice in time."""
        view = await self.world.open()
        await self.world.prepare(view)
        if pay_again:
            await self.hear(self.log(view, tx=1), "seen", "final")
            await self.hear(self.log(view, tx=2), *facts or ("seen", "final"))
        else:
            await self.expire()
            late = self.log(view, tx=1, at=self.now)
            await self.hear(late, *facts or ("seen", "final"))
        return await self.world.view(view.session.session_id)

    async def expire(self) -> None:
        self.world.db.clock.advance(1801)  # type: ignore[attr-defined]
        await self.world.db.run(hearing.expire_due, self.world.desk)
        await self.relay()

    async def coins(self, deposit: Deposit, balance: int) -> None:
        await self.counter.see(deposit, "polygon::native", balance)
        await self.relay()

    # --- what is known ----------------------------------------------------------------------------

    async def all(self) -> list[Inflow]:
        """Everything, oldest first."""
        async with self.world.db.read() as tx:
            found = await operations.list_inflows(tx, states=None)
        return found[::-1]

    async def only(self) -> Inflow:
        [found] = await self.all()
        return found

    async def states(self) -> list[tuple[State, frozenset[Why]]]:
        return [(one.state, one.flags) for one in await self.all()]

    async def waiting(self) -> list[Inflow]:
        async with self.world.db.read() as tx:
            return await operations.list_inflows(tx)

    async def detail(self, inflow: Inflow) -> InflowView:
        async with self.world.db.read() as tx:
            return await operations.detail(tx, self.world.desk, inflow.inflow_id)

    async def possible(self, inflow: Inflow) -> Mapping[Act, str | None]:
        return (await self.detail(inflow)).resolutions

    async def trail(self, inflow: Inflow) -> list[tuple[str | None, str, str, str]]:
        """Act, who, before and after of everything that was done."""
        decisions = (await self.detail(inflow)).decisions
        return [(one.act, one.actor, one.before, one.after) for one in decisions]

    # --- what people do ---------------------------------------------------------------------------

    async def do(self, act: Act, inflow: Inflow, **changes: Any) -> Inflow:
        verb = {
            Act.ACCEPT: operations.accept,
            Act.REFUND: operations.refund,
            Act.SWEEP: operations.sweep,
            Act.DISMISS: operations.dismiss,
        }[act]
        asked: dict[str, Any] = WHO | changes
        done: Inflow = await self.world.db.run(
            verb,
            self.world.desk,
            inflow.inflow_id,
            **asked,
        )
        return done

    async def follow_up(self) -> int:
        return await self.world.db.run(operations.follow_up, self.world.desk)
