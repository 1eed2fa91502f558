"""The database in trouble under a merchant's request: refused or asked again, never assumed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.api.app import create_app
from gstable_server.kernel.tenant import Access
from gstable_server.plumbing import db as plumbing_db
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions import routes
from tests.unit.catalog.support import PUBLIC_URL
from tests.unit.sessions.till import CREATE, Till
from tests.unit.sessions.world import World, new_world

pytestmark = pytest.mark.anyio

COMMIT = b"COMMIT;"


class Line:
    """What lies between the server and its database. ``cut`` ends it at the next commit, before
    the database hears of it or after it has done it."""

    def __init__(self) -> None:
        self.cut: str | None = None

    async def carry(
        self, socket: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        from_database, to_database = await asyncio.open_unix_connection(socket)
        back = asyncio.create_task(self._copy(from_database, writer))
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if COMMIT in data and self.cut == "before":
                    break
                if COMMIT in data and self.cut == "after":
                    back.cancel()
                    await asyncio.wait({back})
                    to_database.write(data)
                    assert b"COMMIT" in await from_database.read(65_536)
                    break
                to_database.write(data)
        self.cut = None
        back.cancel()
        for one in (writer, to_database):
            one.close()

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[tuple[Line, str]]:
    """A line, and the address of the database at its near end."""
    parts, line = urlsplit(url), Line()
    socket = parse_qs(parts.query)["host"][0] + "/.s.PGSQL.5432"
    server = await asyncio.start_server(
        lambda reader, writer: line.carry(socket, reader, writer), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    try:
        yield line, f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
    finally:
        server.close()


class Shop:
    """A merchant at an API over ``db``, which may be in trouble; ``world`` sees past it."""

    def __init__(self, client: httpx2.AsyncClient, till: Till, secret: str) -> None:
        self._client = client
        self._till = till
        self._headers = {"authorization": f"Bearer {secret}"}

    async def create(self, key: str = "one") -> httpx2.Response:
        headers = {**self._headers, "idempotency-key": key}
        return await self._client.post(f"/api/v1{CREATE}", json=self._till.body(), headers=headers)

    async def ready(self) -> int:
        return (await self._client.get("/health/ready")).status_code


@asynccontextmanager
async def shop_over(db: Database, world: World, secret: str) -> AsyncIterator[Shop]:
    app = create_app(db, [routes.routes(world.desk)], capabilities=dict, public_url=PUBLIC_URL)
    transport = httpx2.ASGITransport(app, client=("192.0.2.1", 40000))
    async with httpx2.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        yield Shop(client, Till(None, world), secret)  # type: ignore[arg-type]


async def key_of(world: World) -> str:
    async with world.db.begin() as tx:
        _, secret = await accounts.issue_key(tx, world.tenant, Access.WRITE, "test")
    return secret


async def stored(world: World) -> tuple[int, int, int]:
    """Sessions, their events, and kept answers."""
    async with world.db.read() as tx:
        row = await tx.fetchrow(
            "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM events"
            " WHERE type = 'session.created'), (SELECT count(*) FROM idempotency_keys)"
        )
    assert row is not None
    return tuple(row)


@pytest.mark.parametrize(("cut", "left"), [("before", 0), ("after", 1)])
async def test_ops_02_an_unknown_commit_is_resolved_by_asking_again(
    database_url: str, database: Database, clock: FakeClock, cut: str, left: int
) -> None:
    world = await new_world(database)
    secret = await key_of(world)
    async with line_to(database_url) as (line, near):
        db = await Database.connect(near, clock=clock, ids=SystemIdMint(), size=1)
        async with shop_over(db, world, secret) as shop:
            line.cut = cut
            assert (await shop.create()).status_code == 500, "nobody knows, so nothing is claimed"
            assert await stored(world) == (left, left, left)
            again = await shop.create()
            assert again.status_code == 200
            assert ("idempotency-replayed" in again.headers) is (cut == "after")
            assert await stored(world) == (1, 1, 1)
        await db.close()


@pytest.mark.parametrize(
    ("trouble", "cure"),
    [
        pytest.param(
            "ALTER ROLE CURRENT_USER IN DATABASE {} SET default_transaction_read_only = on",
            "ALTER ROLE CURRENT_USER IN DATABASE {} RESET default_transaction_read_only",
            id="read-only",
        ),
        pytest.param(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
            " 'could not extend file' USING ERRCODE = 'disk_full'; END $$;"
            " CREATE TRIGGER no_room BEFORE INSERT ON outbox EXECUTE FUNCTION no_room()",
            "DROP TRIGGER no_room ON outbox",
            id="disk-full",
        ),
    ],
)
async def test_ops_02_a_database_that_takes_no_writes_stores_nothing_and_comes_back(
    database_url: str, database: Database, clock: FakeClock, trouble: str, cure: str
) -> None:
    world = await new_world(database)
    secret = await key_of(world)
    name = urlsplit(database_url).path.removeprefix("/")

    async def attempt(status: int) -> None:
        db = await Database.connect(database_url, clock=clock, ids=SystemIdMint(), size=2)
        async with shop_over(db, world, secret) as shop:
            assert (await shop.create()).status_code == status
            assert await shop.ready() == 200, "it answers; what it refuses is told by name"
        await db.close()

    async with database.read() as admin:
        await admin.execute(trouble.format(name))
        try:
            await attempt(500)
            assert await stored(world) == (0, 0, 0)
        finally:
            await admin.execute(cure.format(name))
        await attempt(200)
    assert await stored(world) == (1, 1, 1)


async def test_ops_02_without_a_free_connection_a_request_is_asked_to_come_again(
    database_url: str, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plumbing_db, "FREE_WITHIN_SECONDS", 0.05)
    monkeypatch.setattr("gstable_server.plumbing.health.WITHIN_SECONDS", 0.05)
    world = await new_world(database)
    secret = await key_of(world)
    db = await Database.connect(database_url, clock=clock, ids=SystemIdMint(), size=1)
    async with shop_over(db, world, secret) as shop:
        async with db.read():
            busy = await shop.create()
            assert (busy.status_code, busy.headers["retry-after"]) == (500, "1")
            assert await shop.ready() == 503
        assert (await shop.create()).status_code == 200
    await db.close()
    assert await stored(world) == (1, 1, 1)
