from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.catalog.routes import routes
from gstable_server.plumbing.db import Database
from tests.unit.catalog.support import PUBLIC_URL, Caller, Server, serving


@pytest.fixture
async def server(database: Database) -> AsyncIterator[Server]:
    async with serving(database, routes(PUBLIC_URL)) as one:
        yield one


@pytest.fixture
async def shop(server: Server) -> Caller:
    return await server.merchant()
