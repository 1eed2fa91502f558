from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.plumbing.db import Database
from tests.unit.agents.support import Agent, Doors
from tests.unit.sessions.world import World, new_world


@pytest.fixture
async def world(database: Database) -> World:
    return await new_world(database)


@pytest.fixture
async def agent(database: Database, world: World) -> AsyncIterator[Agent]:
    one = await Doors().opened(database, world)
    async with one.client:
        yield one
