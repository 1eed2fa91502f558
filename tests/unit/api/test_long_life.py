"""A process that answers for months: its memory does not grow with what it has answered, and keys
may change under it at any time."""

from __future__ import annotations

import asyncio
import gc

import httpx2
import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.api.app import ApiLimits, create_app
from gstable_server.kernel.ids import ApiKeyId
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.request_log import RequestLog
from gstable_server.sessions import routes
from tests.unit.sessions.world import desk

pytestmark = pytest.mark.anyio

LIST = "/api/v1/session/list/all/1/10"
WIDE = ApiLimits(key_rate=100_000, key_burst=100_000, address_rate=100_000, address_burst=100_000)


async def new_tenant(db: Database) -> Tenant:
    async with db.begin() as tx:
        merchant = await accounts.create_merchant(tx, "Example Ltd")
    return Tenant(merchant.merchant_id, Mode.TEST)


async def new_key(db: Database, tenant: Tenant) -> tuple[ApiKeyId, dict[str, str]]:
    async with db.begin() as tx:
        key, secret = await accounts.issue_key(tx, tenant, Access.WRITE, "test")
    return key.key_id, {"authorization": f"Bearer {secret}"}


async def test_ops_15_memory_does_not_grow_with_what_was_answered(database: Database) -> None:
    request_log = RequestLog(database)
    app = create_app(
        database, [routes.routes(desk())], capabilities=dict, limits=WIDE, request_log=request_log
    )
    transport = httpx2.ASGITransport(app, client=("192.0.2.1", 40000))
    _, headers = await new_key(database, await new_tenant(database))
    counts = []
    async with httpx2.AsyncClient(transport=transport, base_url="https://pay.example.com") as one:
        for turn in range(3):
            for number in range(50):
                odd = {"authorization": f"Bearer gsk_test_{turn}_{number}"}
                answers = [
                    await one.get(LIST, headers=headers),
                    await one.get(LIST, headers=odd),
                    await one.get(f"/api/v1/no/{turn}/{number}", headers=headers),
                ]
                assert [answer.status_code for answer in answers] == [200, 401, 404]
            await request_log.write()
            gc.collect()
            counts.append(len(gc.get_objects()))
    # The first turn fills caches; from then on 150 requests leave nothing behind.
    assert counts[2] - counts[1] < 75, counts


async def test_ops_10_keys_that_are_rotated_under_traffic_fail_nobody(database: Database) -> None:
    app = create_app(database, [routes.routes(desk())], capabilities=dict, limits=WIDE)
    transport = httpx2.ASGITransport(app, client=("192.0.2.1", 40000))
    tenant = await new_tenant(database)
    key_id, headers = await new_key(database, tenant)
    answers: list[int] = []
    old = headers
    async with httpx2.AsyncClient(transport=transport, base_url="https://pay.example.com") as one:

        async def ask(times: int) -> None:
            for _ in range(times):
                answers.append((await one.get(LIST, headers=headers)).status_code)

        for _ in range(4):
            old_id, old = key_id, headers
            sent_with_the_old = asyncio.create_task(ask(6))
            await asyncio.sleep(0)
            key_id, headers = await new_key(database, tenant)
            await sent_with_the_old
            sent_with_the_new = asyncio.create_task(ask(6))
            async with database.begin() as tx:
                assert await accounts.revoke_key(tx, tenant, old_id)
            await sent_with_the_new
        assert answers == [200] * 48
    # A process remembers a key for less than a second; another has never known it.
    other = create_app(database, [routes.routes(desk())], capabilities=dict, limits=WIDE)
    transport = httpx2.ASGITransport(other, client=("192.0.2.1", 40000))
    async with httpx2.AsyncClient(transport=transport, base_url="https://pay.example.com") as one:
        assert (await one.get(LIST, headers=old)).json()["code"] == 200103
        assert (await one.get(LIST, headers=headers)).json()["code"] == 0
