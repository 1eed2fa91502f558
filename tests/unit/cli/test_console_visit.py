"""The command line's visit to the dashboard, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import uvicorn
from starlette.applications import Starlette

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.members import operations as members
from gstable_server.cli.console_visit import ConsoleFailed, create_account
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.ids import AccountId
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.web.base import Pages
from gstable_server.web.dashboard import routes as dashboard
from tests.unit.web.console import EMAIL, PASSWORD
from tests.unit.web.shop import new_desk

pytestmark = pytest.mark.anyio

WALLET = Address(b"\x70" * 20)


@pytest.fixture
async def base(database: Database) -> AsyncIterator[str]:
    """The address of a dashboard on a free port."""
    app = Starlette(routes=dashboard.routes(database, new_desk(), Pages.load()))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    async with database.begin() as tx:
        owner = await members.register_owner(tx, "Blue Door Books", EMAIL, PASSWORD)
    return Tenant(owner.merchant_id, Mode.TEST)


async def test_an_account_is_made_through_the_forms(
    base: str, http: aiohttp.ClientSession, database: Database, tenant: Tenant
) -> None:
    account_id = await create_account(http, base, EMAIL, PASSWORD, "Demo wallet", WALLET)
    async with database.read() as tx:
        account = await accounts.require_account(tx, tenant, AccountId(account_id))
    assert (account.name, account.address) == ("Demo wallet", WALLET)


async def test_a_refusal_says_what_the_page_says(
    base: str, http: aiohttp.ClientSession, tenant: Tenant
) -> None:
    with pytest.raises(ConsoleFailed, match="422: The e-mail address or the password is wrong"):
        await create_account(http, base, EMAIL, "wrong password", "Demo wallet", WALLET)
    with pytest.raises(ConsoleFailed, match="422: Must not be the zero address"):
        await create_account(http, base, EMAIL, PASSWORD, "Demo wallet", ZERO_ADDRESS)


async def test_a_dashboard_without_an_owner_cannot_be_visited(
    base: str, http: aiohttp.ClientSession
) -> None:
    with pytest.raises(ConsoleFailed, match="GET /dashboard/login was answered 303"):
        await create_account(http, base, EMAIL, PASSWORD, "Demo wallet", WALLET)
