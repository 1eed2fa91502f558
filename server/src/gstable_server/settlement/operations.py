"""What is done about crossings: hear of both ends, ask the rail for the next step, watch the clock.

Where this may die, and what brings it back: ``hear`` and ``watch`` are one transaction each, so a
fact that was not handled waits in the outbox, and the clock looks again. ``tend`` asks the rail
outside of any transaction and changes nothing until it has the answer; if its process dies, the
lease ends by itself and another worker asks the same again. A transaction that is wanted twice is
one, because the executor knows it by its cause.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from gstable_server.chain.executor import operations as executor
from gstable_server.chain.executor.model import Intent, Sender, State
from gstable_server.chain.facts import DeliveryLog, Fact, FactWhat, PaymentLog, RailName
from gstable_server.chain.networks import Networks
from gstable_server.chain.operations import fact_of
from gstable_server.chain.rails.port import RECOVER, Crossing, Done, Rail, Send, Step, Wait
from gstable_server.chain.rpc import NodeRefused
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import Event, StoredEvent
from gstable_server.settlement import booking, machine, store
from gstable_server.settlement.machine import News
from gstable_server.settlement.model import Case, Ends, Settlement, Stage, is_followed
from gstable_server.settlement.store import Lease
from gstable_server.settlement.wire import render

log = structlog.get_logger(__name__)

BATCH = 100
LEASE = timedelta(seconds=8)
RENEW_SECONDS = 3.0
"""While a rail is asked its lease is prolonged, so that a worker that dies or freezes is replaced
soon, and a slow rail is asked by one worker all the same."""
ANSWER_SECONDS = 20
"""A rail that takes longer is asked again."""
SEND_WITHIN = timedelta(minutes=5)
"""What could not be signed in that time is asked of the rail anew: it may be done by others."""


@dataclass(frozen=True, slots=True)
class Settler:
    """What settling needs beside the database. ``stall_after``: how long a rail may take to
    deliver a final payment before it is told to hang."""

    networks: Networks
    rails: tuple[Rail, ...]
    stall_after: timedelta

    def rail_of(self, payment: PaymentLog) -> Rail | None:
        """The payment's rail; None for one that this server does not have, or not any more."""
        return next((rail for rail in self.rails if rail.name is payment.rail), None)

    def delivers(self, payment: PaymentLog, delivery: DeliveryLog) -> bool:
        """Whether that delivery is of exactly that payment, by the word of its rail."""
        rail = self.rail_of(payment)
        return rail is not None and rail.delivers(payment, delivery)

    def crossing(self, known: Ends) -> Crossing | None:
        """The crossing as its rail is asked about it; None when one of its networks is not
        configured any more."""
        payment = known.settlement.payment
        source = self.networks.find_network(payment.network)
        destination = self.networks.at_chain(payment.settlement_chain_id)
        if source is None or destination is None:
            return None
        delivery = known.delivery
        log = delivery.log if delivery else None
        assert log is None or isinstance(log, DeliveryLog)
        return Crossing(
            payment=payment,
            source=source,
            destination=destination,
            source_final=known.settlement.source is FactWhat.FINAL,
            delivery=log,
            delivery_final=delivery is not None and delivery.state is FactWhat.FINAL,
            released=known.released,
        )


async def hear(tx: Tx, settler: Settler, stored: StoredEvent) -> None:
    """A payment, a delivery or a move of an escrow was seen, became final, or was taken back."""
    fact = fact_of(stored)
    if is_followed(fact.log):
        for step in fact.steps:
            await _hear(tx, settler, step)


async def _hear(tx: Tx, settler: Settler, fact: Fact) -> None:
    key = fact.log.session_key  # type: ignore[attr-defined]
    await store.lock_session(tx, key)
    before = await store.load(tx, key)
    after, news = machine.decide(before, fact, settler.delivers, tx.now)
    after = await _withdraw(tx, before, after)
    await _write(tx, before, after)
    await booking.post(tx, settler.networks, before, after)
    for one in news:
        _tell(tx, one)


async def _withdraw(tx: Tx, before: Case, after: Case) -> Case:
    """Take back what we meant to send for a crossing that somebody else has delivered, or whose
    payment left the chain. What is signed already is sent: it then fails, and costs its gas."""
    settlements = []
    for settlement in after.settlements:
        known = before.settlement(settlement.name)
        if known and known.cause and _is_overtaken(before, after, known, settlement):
            taken = await executor.withdraw(tx, known.cause)
            # A withdrawn name is spent; if the step is due again, it is another one.
            settlement = replace(settlement, attempt=settlement.attempt + taken)
        settlements.append(settlement)
    return replace(after, settlements=tuple(settlements))


def _is_overtaken(before: Case, after: Case, known: Settlement, settlement: Settlement) -> bool:
    was, is_now = machine.ends(before, known), machine.ends(after, settlement)
    delivered = was.delivery is None and is_now.delivery is not None
    return delivered or (
        was.stage is not is_now.stage
        and is_now.stage in {Stage.INTERRUPTED, Stage.ABANDONED, Stage.RETURNED}
    )


async def _write(tx: Tx, before: Case, after: Case) -> None:
    for settlement in after.settlements:
        known = machine.ends(after, settlement)
        was = before.settlement(settlement.name)
        if was is None or machine.ends(before, was) != known:
            due_at = tx.now if machine.is_tended(known) else None
            await store.put(tx, settlement, known.stage, due_at)
    for leg in after.legs:
        if leg not in before.legs:
            await store.put_leg(tx, leg)


def _tell(tx: Tx, news: News) -> None:
    subject = news.ends.settlement.payment.subject
    tx.tell(Event(type=news.event, object_id=subject, payload=render(news.ends)))


async def hear_executor(tx: Tx, stored: StoredEvent) -> None:
    """A transaction that a rail asked for was mined, is final, failed, or was never sent.

    One that failed is first tested as a race: the rail is asked again, and finds what somebody
    else did; only then is it sent under a new name.
    """
    for settlement in await store.lock_by_cause(tx, stored.event.payload["cause"]):
        known, due_at = await _ends(tx, settlement), tx.now
        if stored.event.type in {"executor.failed", "executor.refused"}:
            settlement = replace(settlement, attempt=settlement.attempt + 1)
            due_at = tx.now + machine.retry(settlement.attempt)
            log.warning(
                "a step of a crossing failed",
                payment=settlement.name,
                cause=settlement.cause,
                problem=stored.event.payload.get("problem"),
            )
        tended = machine.is_tended(known)
        await store.put(tx, replace(settlement, waits=0), known.stage, due_at if tended else None)


async def _ends(tx: Tx, settlement: Settlement) -> Ends:
    legs = await store.legs_of(tx, [settlement.name])
    return machine.ends(Case((settlement,), legs), settlement)


async def watch(tx: Tx, settler: Settler) -> int:
    """Tell of crossings whose rail has had its time; returns how many."""
    slow = await store.lock_slow(tx, tx.now - settler.stall_after, BATCH)
    told = 0
    for settlement in slow:
        known = await _ends(tx, settlement)
        if machine.is_stalled(known, tx.now, settler.stall_after):
            hanging, news = machine.stalled(known, tx.now)
            await store.put(tx, hanging, known.stage, tx.now)
            _tell(tx, news)
            log.error("a crossing hangs", payment=settlement.name, reason=settlement.reason)
            told += 1
    return told


async def watch_unpaid(tx: Tx, settler: Settler) -> int:
    """Say aloud where a solver waits for the payer's money: the payer may soon take it back. It
    is no news to the session, whose merchant is paid. Returns how many were told."""
    unpaid = await store.lock_unpaid(tx, tx.now - settler.stall_after, BATCH)
    for settlement in unpaid:
        hanging = replace(settlement, stalled_at=tx.now)
        await store.put(tx, hanging, Stage.COMPLETED, tx.now)
        log.critical("a fill is not paid back", payment=settlement.name, reason=settlement.reason)
    return len(unpaid)


@dataclass(frozen=True, slots=True)
class Turn:
    """A crossing whose rail is to be asked by the worker that holds the lease."""

    lease: Lease
    known: Ends


async def take_due(tx: Tx, limit: int = BATCH) -> list[Turn]:
    """The crossings that are due, for this worker alone."""
    leases = await store.take_due(tx, tx.now + LEASE, limit)
    legs = await store.legs_of(tx, [lease.settlement.name for lease in leases])
    return [
        Turn(lease, machine.ends(Case((lease.settlement,), legs), lease.settlement))
        for lease in leases
    ]


async def look(db: Database) -> list[Turn]:
    """What ``take_due`` gives. Asked ten times a second, so that it is one question, and no
    transaction, while nothing is due."""
    async with db.read() as tx:
        if not await store.is_any_due(tx):
            return []
    return await db.run(take_due)


async def tend(db: Database, settler: Settler, turn: Turn) -> None:
    """Ask the rail what is next for one crossing, and have it done."""
    held = _Held(db, turn.lease)
    renewing = asyncio.create_task(held.renew())
    try:
        step = await _next_step(settler, turn.known)
    finally:
        renewing.cancel()
        # One that is cut off in its commit may have taken the lease from us: then this answer is
        # not used, and the rail is asked again.
        await asyncio.gather(renewing, return_exceptions=True)
    await db.run(_follow, replace(turn, lease=held.lease), step)


class _Held:
    """A lease that is prolonged while its worker lives."""

    def __init__(self, db: Database, lease: Lease) -> None:
        self._db = db
        self.lease = lease

    async def renew(self) -> None:
        """Prolong it again and again until cancelled. One that is lost stays lost: what the rail
        says is then of no use, and ``_follow`` sees it."""
        while True:  # bounded: ends with the task
            await asyncio.sleep(RENEW_SECONDS)
            async with self._db.begin() as tx:
                renewed = await store.renew(tx, self.lease, tx.now + LEASE)
            if renewed is None:
                return
            self.lease = renewed


async def _next_step(settler: Settler, known: Ends) -> Step:
    rail, crossing = settler.rail_of(known.settlement.payment), settler.crossing(known)
    if rail is None or crossing is None:
        return Wait("its rail or one of its networks is not configured")
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await rail.finish(crossing)
    except (Passing, NodeRefused) as failure:
        return Wait(str(failure))
    except TimeoutError:
        return Wait(f"no answer within {ANSWER_SECONDS} s")


async def _follow(tx: Tx, turn: Turn, step: Step) -> None:
    if not await store.still_leased(tx, turn.lease):
        return
    if not await store.give_back(tx, turn.lease):
        # A fact was heard meanwhile: what the rail said may be of yesterday.
        return
    settlement, known = turn.known.settlement, turn.known
    match step:
        case Done():
            if settlement.payment.rail is RailName.ESCROW and not known.released:
                log.critical("filled, and the payer took the money back", payment=settlement.name)
            await store.put(tx, replace(settlement, done=True, reason=""), known.stage, None)
        case Wait(reason):
            await _wait(tx, known, settlement, reason)
        case Send():
            await _send(tx, known, step)


async def _wait(tx: Tx, known: Ends, settlement: Settlement, reason: str) -> None:
    waiting = replace(settlement, waits=settlement.waits + 1, reason=reason)
    await store.put(tx, waiting, known.stage, tx.now + machine.wait(settlement))


async def _send(tx: Tx, known: Ends, step: Send) -> None:
    settlement = known.settlement
    if step.sender is Sender.SOLVER and settlement.source is not FactWhat.FINAL:
        log.critical("a rail would spend on a payment that is not final", payment=settlement.name)
        await _wait(tx, known, settlement, "the payment is not final")
        return
    cause = f"{step.cause}:{settlement.attempt}" if settlement.attempt else step.cause
    intent = Intent(
        cause=cause,
        network=step.network,
        sender=step.sender,
        call=step.call,
        purpose=step.purpose,
        subject=settlement.name,
        deadline=tx.now + SEND_WITHIN,
    )
    sent = replace(settlement, cause=cause)
    if await executor.intend(tx, intent):
        if settlement.attempt == 0 and step.purpose != RECOVER:
            sent = _resumed(tx, known, sent)
        await _wait(tx, known, replace(sent, waits=0), f"{step.purpose} is on its way")
        return
    found = await executor.find(tx, cause)
    assert found is not None, "the executor said that it knows the cause"
    if found.state in {State.FAILED, State.REFUSED, State.WITHDRAWN}:
        sent = replace(sent, attempt=settlement.attempt + 1)
    await _wait(tx, known, sent, found.problem or f"{step.purpose} is {found.state}")


def _resumed(tx: Tx, known: Ends, sent: Settlement) -> Settlement:
    """A new step is taken, so the crossing came closer to its end."""
    moving = replace(sent, progress_at=tx.now, stalled_at=None)
    if sent.stalled_at:
        _tell(tx, News("settlement.resumed", replace(known, settlement=moving)))
    return moving


async def list_open(tx: Tx, limit: int = BATCH) -> list[tuple[Settlement, Stage]]:
    """Crossings that are not at their end, the slowest first: for pages and the doctor."""
    return await store.list_open(tx, limit)


async def count_open(tx: Tx) -> tuple[int, int]:
    """How many crossings are not at their end, and how many of them hang."""
    return await store.count_open(tx)
