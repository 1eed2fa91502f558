"""Facts of many sessions that are heard in one batch end as if each had been heard by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from gstable_server.chain.facts import Fact, FactWhat, PaymentLog, to_payload
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import EventId
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.events import Event, StoredEvent
from gstable_server.sessions import hearing
from gstable_server.sessions.model import SessionView
from tests.unit.sessions.world import USDT, World, new_world

pytestmark = pytest.mark.anyio

Change = Callable[[PaymentLog], PaymentLog]
DEAL: tuple[tuple[str, Change], ...] = (
    ("exact", lambda log: log),
    ("over", lambda log: _received(log, log.amount + 5)),
    ("under", lambda log: _received(log, log.amount - 5)),
    ("late", lambda log: replace(log, block_time=log.block_time + timedelta(hours=1))),
    ("wrong token", lambda log: replace(log, token=USDT.address, settlement_token=USDT.address)),
    ("wrong wallet", lambda log: replace(log, merchant=Address(b"\x66" * 20))),
    ("nobody's", lambda log: replace(log, session_key=b"\x99" * 32)),
)


def _received(log: PaymentLog, amount: int) -> PaymentLog:
    return replace(log, amount=amount, merchant_amount=amount, merchant_received=amount)


@pytest.fixture
async def world(database: Database) -> World:
    return await new_world(database)


def stored(world: World, what: FactWhat, log: PaymentLog) -> StoredEvent:
    fact = Fact(what, log)
    event = Event(fact.event_type, log.subject, to_payload(fact))
    return StoredEvent(EventId("evt_fact"), 1, world.db.clock.now(), event)


async def hear(world: World, batch: Sequence[StoredEvent]) -> None:
    await world.db.run(hearing.hear_all, world.desk, batch)


@dataclass
class Deal:
    """One session of each kind, each paid once; and what became of all of it."""

    world: World
    views: list[SessionView]
    logs: list[PaymentLog]

    def facts(self, what: FactWhat) -> list[StoredEvent]:
        return [stored(self.world, what, log) for log in self.logs]

    async def outcome(self) -> list[Any]:
        found: list[Any] = []
        for view in self.views:
            now = await self.world.view(view.session.session_id)
            found.append(
                (
                    now.session.state,
                    [(one.state, one.pays, sorted(one.flags)) for one in now.payments],
                    await self.world.told(view),
                )
            )
        return found


async def deal(world: World, first: int) -> Deal:
    views, logs = [], []
    for number, (_, change) in enumerate(DEAL, start=first):
        view = await world.open()
        await world.prepare(view)
        views.append(view)
        logs.append(change(world.log(view, tx=number)))
    return Deal(world, views, logs)


async def test_a_batch_ends_as_its_facts_one_by_one_do(world: World) -> None:
    together, alone = await deal(world, 1), await deal(world, 101)
    for what in (FactWhat.SEEN, FactWhat.REORGED, FactWhat.SEEN, FactWhat.FINAL):
        before = await world.balances()
        await hear(world, together.facts(what))
        between = await world.balances()
        for fact in alone.facts(what):
            await hear(world, [fact])
        after = await world.balances()
        assert await together.outcome() == await alone.outcome()
        accounts = set(before) | set(between) | set(after)
        assert {
            account: between.get(account, 0) - before.get(account, 0) for account in accounts
        } == {account: after.get(account, 0) - between.get(account, 0) for account in accounts}


async def test_two_payments_of_one_session_in_a_batch_pay_it_once(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    batch = [stored(world, FactWhat.SEEN, world.log(view, tx=number)) for number in (1, 2)]
    await hear(world, batch)
    after = await world.view(view.session.session_id)
    assert [(set(one.flags), one.pays) for one in after.payments] == [
        (set(), True),
        ({"duplicate"}, False),
    ]
    assert await world.told(view) == ["created", "paid", "overpaid"]


async def test_credit_passes_from_one_payment_to_another_within_a_batch(world: World) -> None:
    view = await world.open()
    await world.prepare(view)
    first, second = world.log(view, tx=1), world.log(view, tx=2)
    await world.hear("seen", first)
    await world.hear("reorged", first)
    await world.hear("seen", second)
    assert (await world.view(view.session.session_id)).payments[1].pays
    await hear(
        world,
        [stored(world, FactWhat.REORGED, second), stored(world, FactWhat.SEEN, first)],
    )
    after = await world.view(view.session.session_id)
    assert after.payment is not None
    assert after.payment.tx_hash == first.tx_hash


async def test_money_that_came_before_its_session_stays_unmatched_in_the_book(
    world: World,
) -> None:
    view = await world.open()
    stray = world.log(view, session_key=b"\x99" * 32)
    await world.hear("seen", stray)
    async with world.db.begin() as tx:
        # As if the session had been announced, paid, and opened only then.
        await tx.execute(
            "UPDATE sessions SET session_key = $2 WHERE session_id = $1",
            view.session.session_id,
            stray.session_key,
        )
    for what in ("reorged", "seen", "final"):
        await world.hear(what, stray)
    assert await world.balances() == {
        "payers": -10_000_000,
        "unmatched": 9_980_000,
        "fees": 20_000,
    }
    assert await world.told(view) == ["created"]


@pytest.mark.parametrize("what", [FactWhat.SEEN, FactWhat.FINAL])
async def test_a_batch_costs_as_many_statements_as_one_fact(world: World, what: FactWhat) -> None:
    counts = []
    # The driver's first look at the types of columns is counted in the first batch.
    for first, many in ((1, 1), (1001, 1), (2001, 12)):
        logs = []
        for number in range(first, first + many):
            view = await world.open()
            await world.prepare(view)
            logs.append(world.log(view, tx=number))
        if what is not FactWhat.SEEN:
            await hear(world, [stored(world, FactWhat.SEEN, log) for log in logs])
        statements: list[Any] = []
        async with world.db.begin() as tx:
            with tx.connection.query_logger(statements.append):
                await hearing.hear_all(tx, world.desk, [stored(world, what, log) for log in logs])
                await tx.flush()
        counts.append(len(statements))
    assert counts[1] == counts[2]
