"""A merchant who captures payments later, and what the chain and the executor tell of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from gstable_server.chain.executor.model import Intent
from gstable_server.chain.executor.operations import find, list_open
from gstable_server.chain.facts import Fact, FactWhat, HoldLog, HoldWhat, RailName, to_payload
from gstable_server.chain.networks import Contract, Contracts, Networks
from gstable_server.chain.rails.hold import HoldRail, HoldTerms
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds, unix_seconds
from gstable_server.kernel.ids import EventId, SessionId
from gstable_server.kernel.money import share_rounded_up
from gstable_server.plumbing.events import Event, StoredEvent
from gstable_server.sessions import hearing as session_hearing
from gstable_server.sessions.holds import hearing
from gstable_server.sessions.model import SessionView
from tests.unit.catalog.support import Caller
from tests.unit.sessions.world import POLYGON, USDC, World

CAPTURE = "/session/checkout/capture"
VOID = "/session/checkout/void"
HOLD_RAIL = Address(b"\x1a" * 20)
FEE_PPM = 2000
CAPTURE_SECONDS = 7 * 24 * 3600
PRICE = 10_000_000


def with_holds(world: World) -> World:
    """The same world, where payments can be held and a relayer captures."""
    network = replace(POLYGON, contracts=Contracts(hold_rail=Contract(HOLD_RAIL, None)))
    rail = HoldRail(
        fee_ppm=FEE_PPM, fee_receiver=world.desk.fee_receiver, capture_seconds=CAPTURE_SECONDS
    )
    world.desk = replace(world.desk, networks=Networks((network,)), rails=(rail,), relays=True)
    return world


@dataclass
class Holder:
    """``caller`` is the merchant of ``world``; ``number`` counts transactions."""

    caller: Caller
    world: World
    number: int = 100

    async def open(self, **body: Any) -> SessionView:
        return await self.world.open(captureMethod="manual", **body)

    async def authorized(self, *facts: str, late: bool = False) -> SessionView:
        """A session of 10 USD whose payment is held, as far as the ``facts`` of it."""
        view = await self.open()
        await self.world.prepare(view)
        at = view.session.expires_at if late else view.session.created_at
        for fact in facts or ("seen", "final"):
            await self.authorize(view, fact, at=at + timedelta(seconds=int(late)))
        return await self.world.view(view.session.session_id)

    async def authorize(
        self, view: SessionView, fact: str, *, at: datetime, tx: int = 1
    ) -> StoredEvent:
        """What the indexer would tell of the payment into the hold, as transaction ``tx``."""
        paid = self.world.log(view, tx=tx, merchant_received=PRICE, fee_received=0, at=at)
        terms = HoldTerms(
            UnixSeconds(unix_seconds(view.session.created_at) + CAPTURE_SECONDS),
            FEE_PPM,
            self.world.desk.fee_receiver,
            Address(b"\x0b" * 20),
        )
        held = replace(
            paid,
            # Each session has a transaction of its own, as on a chain.
            tx_hash=view.session.session_key[:31] + bytes([tx]),
            rail=RailName.HOLD,
            rail_data=terms.encoded,
            merchant_amount=9_980_000,
            merchant_received=0,
        )
        chain_fact = Fact(FactWhat(fact), held)
        stored = self._stored(chain_fact)
        await self.world.db.run(session_hearing.hear_all, self.world.desk, [stored])
        return stored

    async def hear_of_payment(self, view: SessionView, fact: str) -> None:
        """What the indexer would tell of the first payment into the hold, to all who hear it."""
        stored = await self.authorize(view, fact, at=view.session.created_at)
        if fact == "lost":
            await self.world.db.run(hearing.hear, self.world.desk, stored)

    def log(self, view: SessionView, what: str, amount: int, **changes: Any) -> HoldLog:
        """The log of the next transaction at the hold's contract."""
        self.number += 1
        captured = what == "captured"
        fee = share_rounded_up(amount, FEE_PPM) if captured else 0
        made = HoldLog(
            network="polygon",
            chain_id=1337137,
            tx_hash=self.number.to_bytes(32, "big"),
            log_position=0,
            block_number=self.number,
            block_hash=self.number.to_bytes(32, "big"),
            block_time=self.world.db.clock.now(),
            session_key=view.session.session_key,
            what=HoldWhat(what),
            receiver=view.session.recipient if captured else Address(b"\x01" * 20),
            token=USDC.address,
            amount=amount,
            merchant_received=amount - fee if captured else 0,
            fee_received=fee,
            remaining=0,
        )
        return replace(made, **changes)

    async def hear(self, *facts: str, log: HoldLog) -> None:
        """What the indexer would tell of ``log``."""
        for what in facts:
            stored = self._stored(Fact(FactWhat(what), log))
            await self.world.db.run(hearing.hear, self.world.desk, stored)

    def _stored(self, fact: Fact) -> StoredEvent:
        event = Event(fact.event_type, fact.log.subject, to_payload(fact))
        return StoredEvent(EventId("evt_fact"), 1, self.world.db.clock.now(), event)

    async def executed(self, what: str, cause: str, log: HoldLog | None = None) -> None:
        """What the executor would tell of the intent ``cause``."""
        payload = {
            "cause": cause,
            "network": "polygon",
            "purpose": "capture",
            "txHash": f"0x{log.tx_hash.hex()}" if log else None,
            "problem": None if log else "reverts",
        }
        event = Event(f"executor.{what}", "sess", payload)
        stored = StoredEvent(EventId("evt_fact"), 1, self.world.db.clock.now(), event)
        await self.world.db.run(hearing.hear_executor, self.world.desk, stored)

    async def intents(self) -> list[Intent]:
        """What the executor was asked for and is not done with, oldest first."""
        async with self.world.db.read() as tx:
            return [view.intent for view in await list_open(tx)]

    async def signed(self, cause: str, log: HoldLog) -> None:
        """The executor has signed the transaction of ``log`` for that intent."""
        async with self.world.db.begin() as tx:
            await tx.execute(
                "UPDATE executor_intents SET state = 'sent', account = $2, nonce = 0, tx_hash = $3 "
                "WHERE cause = $1",
                cause,
                b"\x0b" * 20,
                log.tx_hash,
            )

    async def intent_state(self, cause: str) -> str:
        async with self.world.db.read() as tx:
            found = await find(tx, cause)
        assert found is not None
        return found.state.value

    async def instruction_states(self) -> list[str]:
        async with self.world.db.read() as tx:
            rows = await tx.fetch("SELECT state FROM hold_instructions ORDER BY sequence")
        return [row["state"] for row in rows]

    async def capture(self, view: SessionView, amount: int | None = None) -> dict[str, Any]:
        body = {"sessionId": view.session.session_id}
        asked = body if amount is None else {**body, "amount": amount}
        answered: dict[str, Any] = await self.caller.data(CAPTURE, asked)
        return answered

    async def void(self, view: SessionView) -> dict[str, Any]:
        body = {"sessionId": view.session.session_id}
        answered: dict[str, Any] = await self.caller.data(VOID, body)
        return answered

    async def refused(self, path: str, view: SessionView, **body: Any) -> tuple[int, str]:
        """A refusal that must have changed nothing."""
        before = await self.rows()
        asked = {"sessionId": view.session.session_id, **body}
        answer = await self.caller.refusal(path, asked)
        assert await self.rows() == before
        return answer

    async def rows(self) -> list[Any]:
        """All that is stored of sessions, their payments, holds and intents."""
        async with self.world.db.read() as tx:
            return [
                [dict(row) for row in await tx.fetch(f"SELECT * FROM {table}")]
                for table in (
                    "sessions",
                    "payments",
                    "hold_instructions",
                    "hold_moves",
                    "executor_intents",
                    "ledger_transfers",
                )
            ]

    async def hold(self, view: SessionView) -> tuple[int, int, int, int]:
        """Authorised, captured, returned and remaining, as the wire says."""
        shown = await self.caller.data(f"/session/{view.session.session_id}")
        hold = shown["session"]["hold"]
        return hold["authorized"], hold["captured"], hold["returned"], hold["remaining"]

    async def status(self, view: SessionView) -> str:
        found = await self.world.view(SessionId(view.session.session_id))
        return found.session.state.value

    async def at_once(self, path: str, bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The envelopes of requests that are made at the same time."""
        return list(await asyncio.gather(*(self.caller.answer(path, body) for body in bodies)))
