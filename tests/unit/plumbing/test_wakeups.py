"""Listening to the database: what is heard, and that it ends when it is asked to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.wakeups import listen

pytestmark = pytest.mark.anyio


async def test_a_notification_is_heard_and_so_is_the_beginning(database: Database) -> None:
    heard = asyncio.Event()
    listening = asyncio.create_task(listen(database, "gstable_test", heard.set))
    try:
        await asyncio.wait_for(heard.wait(), 60)
        heard.clear()
        async with database.begin() as tx:
            await tx.execute("SELECT pg_notify('gstable_test', '')")
        await asyncio.wait_for(heard.wait(), 60)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


class DyingConnection:
    """A connection whose server goes away in the moment in which it is given back."""

    def add_termination_listener(self, _: object) -> None: ...

    def remove_termination_listener(self, _: object) -> None: ...

    def is_closed(self) -> bool:
        return False

    async def add_listener(self, *_: object) -> None: ...

    async def remove_listener(self, *_: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed")


async def test_it_ends_also_when_the_database_goes_away_at_the_same_time() -> None:
    @asynccontextmanager
    async def acquire() -> AsyncIterator[Any]:
        yield DyingConnection()

    heard = asyncio.Event()
    dying = cast(Database, SimpleNamespace(pool=SimpleNamespace(acquire=acquire)))
    listening = asyncio.create_task(listen(dying, "gstable_test", heard.set))
    await heard.wait()
    listening.cancel()
    done, _ = await asyncio.wait([listening], timeout=60)
    assert done == {listening}
