"""From wanted to final, on a real chain and a real database."""

from __future__ import annotations

import pytest

from gstable_server.chain.executor import operations
from tests.unit.chain.executor.conftest import Bench
from tests.unit.chain.executor.local_chain import counting

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]


async def test_an_intent_is_sent_mined_and_final(bench: Bench) -> None:
    await bench.intend(counting("one"))
    await bench.turn()
    assert await bench.states("one") == ["sent"]
    await bench.chain.mine()
    await bench.turn()
    assert await bench.states("one") == ["mined"]
    assert await bench.told("one") == ["executor.mined"]
    await bench.turn(2)
    assert await bench.states("one") == ["mined"], "one confirmation is not two"
    await bench.chain.mine()
    await bench.turn(2)
    assert await bench.states("one") == ["final"]
    assert await bench.told("one") == ["executor.mined", "executor.final"]
    assert await bench.chain.count("one") == 1


async def test_one_cause_is_one_intent(bench: Bench) -> None:
    await bench.intend(counting("one"))
    async with bench.db.begin() as tx:
        assert not await operations.intend(tx, counting("one"))
    await bench.turn()
    async with bench.db.begin() as tx:
        assert not await operations.intend(tx, counting("one"))
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.chain.count("one") == 1


async def test_many_wait_for_one_block(bench: Bench) -> None:
    causes = [f"many {number}" for number in range(20)]
    await bench.intend(*(counting(cause) for cause in causes))
    await bench.turn(3)
    states = await bench.states(*causes)
    assert states == ["sent"] * 16 + ["queued"] * 4, "so many at a time"
    await bench.chain.mine()
    await bench.turn(2)
    await bench.chain.mine(2)
    await bench.turn(2)
    assert await bench.states(*causes) == ["final"] * 20
    assert [await bench.chain.count(cause) for cause in causes] == [1] * 20
