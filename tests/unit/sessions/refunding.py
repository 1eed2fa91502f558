"""A merchant who gives money back, and what the chain says of the wallet that it is sent from."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from gstable_server.chain.checksum import address_from_text, to_checksum
from gstable_server.chain.facts import Fact, FactWhat, TransferLog, to_payload
from gstable_server.chain.operations import fact_of
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import EventId
from gstable_server.plumbing.events import Event, StoredEvent
from gstable_server.sessions.model import SessionView
from gstable_server.sessions.refunds import operations
from tests.unit.catalog.support import Caller
from tests.unit.sessions.till import Till
from tests.unit.sessions.world import USDC, World

PREPARE = "/session/refund/prepare"
CANCEL = "/session/refund/cancel"
PAYER = Address(b"\x01" * 20)
OTHER = Address(b"\x02" * 20)
RECEIVED = 9_980_000
"""What is left of the 10 USD of a session of ``World``."""


@dataclass
class Refunder:
    """``caller`` is the merchant of ``world``."""

    caller: Caller
    world: World
    block: int = 200

    @classmethod
    def at(cls, till: Till) -> Refunder:
        return cls(till.caller, till.world)

    async def paid(self, *facts: str, tx: int = 1, **changes: Any) -> SessionView:
        """A session of 10 USD that a payer paid, as far as the ``facts`` of its payment."""
        view = await self.world.open()
        await self.world.prepare(view)
        for fact in facts or ("seen", "final"):
            await self.world.hear(fact, self.world.log(view, tx=tx, **changes))
        return await self.world.view(view.session.session_id)

    async def prepare(self, view: SessionView, **body: Any) -> dict[str, Any]:
        asked = {"sessionId": view.session.session_id, **body}
        made: dict[str, Any] = await self.caller.data(PREPARE, asked)
        return made

    async def refused(self, view: SessionView, **body: Any) -> tuple[int, str]:
        """A refusal that must have changed nothing."""
        before = await self.rows()
        asked = {"sessionId": view.session.session_id, **body}
        answer = await self.caller.refusal(PREPARE, asked)
        assert await self.rows() == before
        return answer

    async def rows(self) -> list[Any]:
        """All that is stored of refunds."""
        async with self.world.db.read() as tx:
            refunds = await tx.fetch("SELECT * FROM refunds ORDER BY sequence")
            watches = await tx.fetch("SELECT * FROM chain_transfer_watches ORDER BY sender")
            booked = await tx.fetchval("SELECT count(*) FROM ledger_transfers")
        return [[dict(row) for row in refunds], [dict(row) for row in watches], booked]

    async def watches(self) -> int:
        """For how many refunds the merchant's wallet is watched."""
        async with self.world.db.read() as tx:
            counted = await tx.fetchval("SELECT sum(count) FROM chain_transfer_watches")
        return int(counted or 0)

    async def status(self, refund: dict[str, Any]) -> str:
        found = await self.caller.data(f"/session/refund/detail/{refund['refundId']}")
        status: str = found["status"]
        return status

    def transfer(self, refund: dict[str, Any], number: int = 1, **changes: Any) -> TransferLog:
        """The log of the transaction that the refund asks for, as transaction ``number``."""
        self.block += 1
        made = TransferLog(
            network="polygon",
            chain_id=1337137,
            tx_hash=(0xFEED00 + number).to_bytes(32, "big"),
            log_position=0,
            block_number=self.block,
            block_hash=self.block.to_bytes(32, "big"),
            block_time=self.world.db.clock.now(),
            token=USDC.address,
            sender=address_from_text(refund["from"]),
            receiver=address_from_text(refund["to"]),
            amount=int(refund["amountInToken"]),
        )
        return replace(made, **changes)

    async def hear(self, *facts: str, log: TransferLog) -> None:
        """What the indexer would tell of ``log``."""
        for what in facts:
            fact = Fact(FactWhat(what), log)
            event = Event(fact.event_type, log.subject, to_payload(fact))
            stored = StoredEvent(EventId("evt_fact"), 1, log.block_time, event)
            assert fact_of(stored) == fact
            await self.world.db.run(operations.hear, self.world.desk, stored)

    async def told(self, view: SessionView) -> list[dict[str, Any]]:
        """The payloads of ``session.refunded`` for a session."""
        return [
            payload
            for kind, payload in await self.caller.events(view.session.session_id)
            if kind == "session.refunded"
        ]

    async def at_once(self, *bodies: dict[str, Any]) -> list[dict[str, Any]]:
        """The envelopes of requests that are made at the same time."""
        return list(await asyncio.gather(*(self.caller.answer(PREPARE, body) for body in bodies)))


def text(address: Address) -> str:
    return to_checksum(address)
