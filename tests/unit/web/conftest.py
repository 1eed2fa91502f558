"""A merchant's desk, and a payer's HTTP client on its pages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from httpx2 import ASGITransport, AsyncClient

from gstable_server.plumbing.db import Database
from tests.unit.web.shop import PUBLIC_URL, Merchant, new_app, new_desk


@pytest.fixture
async def merchant(database: Database) -> Merchant:
    return await Merchant.open(database, new_desk())


@pytest.fixture
async def payer(merchant: Merchant) -> AsyncIterator[AsyncClient]:
    app = new_app(merchant.db, merchant.desk)
    async with AsyncClient(transport=ASGITransport(app=app), base_url=PUBLIC_URL) as client:
        yield client
