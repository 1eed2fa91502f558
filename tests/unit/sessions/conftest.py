from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.catalog import routes as catalog_routes
from gstable_server.links import routes as link_routes
from gstable_server.plumbing.db import Database
from gstable_server.sessions import routes as session_routes
from gstable_server.sessions.holds import routes as hold_routes
from gstable_server.sessions.refunds import routes as refund_routes
from tests.unit.catalog.support import PUBLIC_URL, Server, serving
from tests.unit.sessions.till import Till
from tests.unit.sessions.world import World, new_world


@pytest.fixture
async def world(database: Database) -> World:
    return await new_world(database)


@pytest.fixture
async def server(database: Database, world: World) -> AsyncIterator[Server]:
    async with serving(
        database,
        catalog_routes.routes(PUBLIC_URL),
        link_routes.routes(world.desk.networks, PUBLIC_URL),
        session_routes.routes(world.desk),
        refund_routes.routes(world.desk),
        hold_routes.routes(world.desk),
    ) as one:
        yield one


@pytest.fixture
async def till(server: Server, world: World) -> Till:
    return Till(await server.caller(world.tenant), world)
