"""Facts on their real way: told by the indexer's store, relayed by the outbox, then heard."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gstable_server.chain import store as chain_store
from gstable_server.chain.facts import Fact, FactWhat
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.plumbing.outbox import relay_once
from gstable_server.sessions import hearing
from gstable_server.sessions.model import SessionState
from tests.unit.sessions.world import World, new_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(database: Database) -> World:
    return await new_world(database)


async def tell(world: World, *facts: Fact) -> None:
    for fact in facts:
        async with world.db.begin() as tx:
            await chain_store.add_facts(tx, [fact])


def facts_of(batch: Sequence[StoredEvent]) -> list[StoredEvent]:
    return [stored for stored in batch if stored.event.type.startswith("chain.")]


async def relay_all(world: World) -> None:
    async def handle(tx: Tx, batch: Sequence[StoredEvent]) -> None:
        await hearing.hear_all(tx, world.desk, facts_of(batch))

    while await relay_once(world.db, handle):
        pass


async def test_chn_16_a_replaced_payment_told_while_no_worker_ran_pays_its_session(
    world: World,
) -> None:
    # The payer's wallet sped the transaction up: another one with the same nonce was mined after
    # the reorganisation. All three facts wait together, because the worker was down.
    view = await world.open()
    await world.prepare(view)
    first, second = world.log(view, tx=1), world.log(view, tx=2, block=101)
    await tell(
        world,
        Fact(FactWhat.SEEN, first),
        Fact(FactWhat.REORGED, first),
        Fact(FactWhat.SEEN, second),
    )
    await relay_all(world)
    await tell(world, Fact(FactWhat.FINAL, second))
    await relay_all(world)
    after = await world.view(view.session.session_id)
    assert [set(payment.flags) for payment in after.payments] == [set(), set()]
    assert after.session.state is SessionState.COMPLETED
    assert (await world.balances())["merchant"] == 9_980_000


async def test_payments_of_different_sessions_do_not_wait_for_each_other(world: World) -> None:
    views = [await world.open() for _ in range(2)]
    for view in views:
        await world.prepare(view)
    logs = [world.log(view, tx=number) for number, view in enumerate(views)]
    await tell(world, *(Fact(FactWhat.SEEN, log) for log in logs))

    async def refuses_the_first(tx: Tx, batch: Sequence[StoredEvent]) -> None:
        facts = facts_of(batch)
        if any(one.event.payload["log"]["txHash"] == "0x" + logs[0].tx_hash.hex() for one in facts):
            raise AssertionError("a fact that cannot be handled")
        await hearing.hear_all(tx, world.desk, facts)

    for _ in range(3):
        await relay_once(world.db, refuses_the_first)
    states = [(await world.view(view.session.session_id)).session.state for view in views]
    assert states == [SessionState.INITIALIZED, SessionState.PAID]
