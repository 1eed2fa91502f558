"""What is under way is looked at in turn."""

from __future__ import annotations

import pytest

from gstable_server.sessions.unmatched import operations
from gstable_server.sessions.unmatched.model import Act, State
from tests.unit.sessions.deposit_desk import Counter
from tests.unit.sessions.sorting import Sorter
from tests.unit.sessions.world import World

pytestmark = pytest.mark.anyio


async def test_all_that_is_under_way_has_its_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much older waits before it."""
    sorter = Sorter(Counter.of(world))
    views = [await sorter.world.open() for _ in range(3)]
    for view in views:
        await sorter.world.prepare(view)
    await sorter.expire()
    for number, view in enumerate(views):
        await sorter.hear(sorter.log(view, tx=number, at=sorter.now), "seen", "final")
    for inflow in await sorter.all():
        await sorter.do(Act.REFUND, inflow)
    async with sorter.world.db.begin() as tx:  # the newest alone will not be sent
        newest = "(SELECT refund_id FROM inflows ORDER BY sequence DESC LIMIT 1)"
        await tx.execute(f"UPDATE refunds SET state = 'expired' WHERE refund_id = {newest}")
    monkeypatch.setattr(operations, "BATCH", 1)
    found = []
    for _ in range(3):
        sorter.world.db.clock.advance(5)  # type: ignore[attr-defined]
        found.append(await sorter.follow_up())
    assert found == [0, 0, 1]
    assert [inflow.state for inflow in await sorter.all()][-1] is State.OPEN
