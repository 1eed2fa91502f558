"""A worker relays two batches at a time while many events wait, and one otherwise."""

from __future__ import annotations

import asyncio

import pytest

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.outbox import BATCH
from gstable_server.plumbing.relaying import MANY, keep_relaying

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("handled", [BATCH, MANY], ids=["all", "but for what waits behind others"])
async def test_two_batches_are_relayed_at_a_time_while_many_wait(
    database: Database, handled: int
) -> None:
    both, stop = asyncio.Barrier(2), asyncio.Event()
    turns: list[str] = []

    async def turn() -> int:
        turns.append("begun")
        if len(turns) == 1:
            return handled
        await both.wait()  # nobody comes through alone
        stop.set()
        return 0

    async with asyncio.timeout(60):
        await keep_relaying(database, turn, stop)
    assert len(turns) == 3


@pytest.mark.parametrize("handled", [MANY - 1, None])
async def test_one_batch_is_relayed_at_a_time_while_few_wait_or_the_database_is_away(
    database: Database, handled: int | None
) -> None:
    stop = asyncio.Event()
    turns: list[str] = []

    async def turn() -> int | None:
        turns.append("begun")
        for _ in range(5):  # whoever else could begin would begin now
            await asyncio.sleep(0)
        turns.append("ended")
        if len(turns) == 6:
            stop.set()
        return handled

    async with asyncio.timeout(60):
        await keep_relaying(database, turn, stop)
    assert turns == ["begun", "ended"] * 3
