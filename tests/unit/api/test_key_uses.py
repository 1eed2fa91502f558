"""When and from where a key was used last: written beside the requests, once a minute."""

from __future__ import annotations

import asyncio

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.model import KeyUse
from gstable_server.api.key_uses import KeyUses
from gstable_server.kernel.ids import ApiKeyId
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.api.test_auth import Ticker

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    merchant = await database.run(accounts.create_merchant, "Example Ltd")
    return Tenant(merchant.merchant_id, Mode.TEST)


async def _key(db: Database, tenant: Tenant) -> ApiKeyId:
    key, _ = await db.run(accounts.issue_key, tenant, Access.READ, "Shop")
    return key.key_id


async def _uses(db: Database, tenant: Tenant) -> dict[ApiKeyId, KeyUse]:
    async with db.read() as tx:
        return await accounts.last_uses(tx, tenant)


async def test_a_use_is_written_once_a_minute_for_each_key(
    database: Database, tenant: Tenant, clock: FakeClock
) -> None:
    ticker = Ticker()
    uses = KeyUses(database, monotonic=ticker.monotonic)
    one, other = await _key(database, tenant), await _key(database, tenant)
    began = clock.now()
    uses.note(one, "192.0.2.1")
    await uses.settle()
    for _ in range(100):
        clock.advance(0.5)
        ticker.advance(0.5)
        uses.note(one, "192.0.2.2")
    await uses.settle()
    assert await _uses(database, tenant) == {one: KeyUse(began, "192.0.2.1")}
    clock.advance(10)
    ticker.advance(10)
    uses.note(one, "192.0.2.3")
    uses.note(other, "2001:db8::1")
    await uses.settle()
    assert await _uses(database, tenant) == {
        one: KeyUse(clock.now(), "192.0.2.3"),
        other: KeyUse(clock.now(), "2001:db8::1"),
    }


async def test_processes_together_keep_the_newest(
    database: Database, tenant: Tenant, clock: FakeClock
) -> None:
    keys = [await _key(database, tenant) for _ in range(5)]
    processes = [KeyUses(database) for _ in range(4)]
    for number, process in enumerate(processes):
        for key in keys if number % 2 else reversed(keys):
            process.note(key, f"192.0.2.{number}")
    await asyncio.gather(*(process.settle() for process in processes))
    assert set(await _uses(database, tenant)) == set(keys)


async def test_what_cannot_be_written_fails_nothing(database: Database, tenant: Tenant) -> None:
    uses = KeyUses(database)
    uses.note(ApiKeyId(f"key_{'0' * 16}"), "192.0.2.1")
    await uses.settle()
    assert await _uses(database, tenant) == {}
    async with database.begin() as tx:
        await tx.execute("ALTER TABLE api_key_uses RENAME TO gone")
    uses.note(await _key(database, tenant), "192.0.2.1")
    await uses.settle()
    async with database.begin() as tx:
        await tx.execute("ALTER TABLE gone RENAME TO api_key_uses")
