from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.catalog import routes as catalog_routes
from gstable_server.links import routes as link_routes
from gstable_server.plumbing.db import Database
from tests.unit.catalog.support import PUBLIC_URL, Server, serving
from tests.unit.links.support import NETWORKS, Shop, open_shop


@pytest.fixture
async def server(database: Database) -> AsyncIterator[Server]:
    routes = [catalog_routes.routes(PUBLIC_URL), link_routes.routes(NETWORKS, PUBLIC_URL)]
    async with serving(database, *routes) as one:
        yield one


@pytest.fixture
async def shop(server: Server) -> Shop:
    return await open_shop(server)
