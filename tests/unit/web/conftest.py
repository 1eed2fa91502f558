"""A merchant's desk, a payer's HTTP client on its pages, and a browser in front of the console."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from httpx2 import ASGITransport, AsyncClient

from gstable_server.plumbing.db import Database
from tests.unit.web.console import Browser, browser_on, registered
from tests.unit.web.shop import PUBLIC_URL, Merchant, new_app, new_desk


@pytest.fixture
async def merchant(database: Database) -> Merchant:
    return await Merchant.open(database, new_desk())


@pytest.fixture
async def payer(merchant: Merchant) -> AsyncIterator[AsyncClient]:
    app = new_app(merchant.db, merchant.desk)
    async with AsyncClient(transport=ASGITransport(app=app), base_url=PUBLIC_URL) as client:
        yield client


@pytest.fixture
async def browser(database: Database) -> AsyncIterator[Browser]:
    """In front of the console, where nobody has signed up yet."""
    async with browser_on(database, new_desk()) as browser:
        yield browser


@pytest.fixture
async def owner(database: Database, browser: Browser) -> Merchant:
    """The business of whoever is signed in with ``browser``."""
    return await registered(database, new_desk(), browser)
