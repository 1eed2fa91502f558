"""What the comparison runs on: a database for each contender, the receivers, and the letters."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg
import procrastinate
from procrastinate.types import JSONValue

from bench.hooks import floor
from gstable_server import migrations
from gstable_server.kernel.ids import EventId, WebhookId
from gstable_server.plumbing.child import dying_with_parent
from gstable_server.plumbing.embedded_postgres import EmbeddedPostgres
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.webhooks.store_queue import CHANNEL

ROOT = Path(__file__).parents[2]
ENDPOINTS = 100
MERCHANT = "ab" * 32
KEY = "wkk_" + "0123456789" * 4
LINES = [
    {
        "lineItemId": f"li_{number:016d}",
        "itemType": "product",
        "productId": f"prod_{number:016d}",
        "quantity": 1,
        "unitPrice": 24_000_000,
        "productName": "Canvas tote bag",
    }
    for number in range(2)
]
PAYLOAD = json.dumps(
    {
        "sessionData": {
            "sessionId": "sess_0123456789abcdef0123456789abcdef",
            "amount": 48_000_000,
            "settlementToken": "polygon::usdc",
            "status": "completed",
            "lineItems": LINES,
            "successUrl": "https://shop.example/thanks?order=ORD-2201",
            "metadata": {"orderId": "ORD-2201", "customer": "c_8123", "channel": "web"},
        },
        "transaction": None,
    }
)
_mint = SystemIdMint()


@dataclass(frozen=True, slots=True)
class Letters:
    """Some letters, by turns to every endpoint; the first ``hanging`` endpoints never answer."""

    ids: list[EventId]
    endpoints: list[int]
    hanging: int

    @classmethod
    def new(cls, count: int, hanging: int) -> Letters:
        """``count`` letters with identifiers of their own."""
        ids = [_mint.mint(EventId) for _ in range(count)]
        return cls(ids, [number % ENDPOINTS for number in range(count)], hanging)

    def shifted(self, places: int) -> Letters:
        """The same letters, beginning at another endpoint."""
        endpoints = [(each + places) % ENDPOINTS for each in self.endpoints]
        return Letters(self.ids, endpoints, self.hanging)

    def healthy(self) -> list[EventId]:
        """Those that go to endpoints that answer."""
        both = zip(self.ids, self.endpoints, strict=True)
        return [one for one, endpoint in both if endpoint >= self.hanging]


class Contender(ABC):
    """One way to deliver: a database of its own, and a worker process for each turn."""

    name: str
    module: str

    def __init__(self, database_url: str, sink_port: int) -> None:
        self.database_url = database_url
        self.sink_port = sink_port

    def url(self, endpoint: int, hanging: int) -> str:
        """Where the endpoint listens."""
        way = "hang" if endpoint < hanging else "ok"
        return f"http://127.0.0.1:{self.sink_port}/{way}/{endpoint}"

    @abstractmethod
    async def install(self, connection: asyncpg.Connection[Any]) -> None:
        """Make the tables, once."""

    @abstractmethod
    async def clear(self, connection: asyncpg.Connection[Any], hanging: int) -> None:
        """Make them empty, before every turn."""

    @abstractmethod
    async def post(self, connection: asyncpg.Connection[Any], letters: Letters) -> None:
        """Queue the letters and wake the worker, in one transaction."""

    @abstractmethod
    async def delivered(self, connection: asyncpg.Connection[Any]) -> int:
        """How many are recorded as delivered."""


class Product(Contender):
    """The server's own tables and sender."""

    name = "product"
    module = "bench.hooks.product"

    async def install(self, connection: asyncpg.Connection[Any]) -> None:
        await asyncio.to_thread(migrations.upgrade, self.database_url)
        self._webhooks = sorted(_mint.mint(WebhookId) for _ in range(ENDPOINTS))
        await connection.execute(
            "INSERT INTO merchants (merchant_id, name, created_at) VALUES ($1, 'Shop', now())",
            MERCHANT,
        )

    async def clear(self, connection: asyncpg.Connection[Any], hanging: int) -> None:
        # Some of them are append only, and refuse it while their triggers look.
        await connection.execute(
            "SET LOCAL session_replication_role = replica; TRUNCATE"
            " webhook_attempts, webhook_messages, webhook_endpoints, events, outbox CASCADE"
        )
        urls = [self.url(number, hanging) for number in range(ENDPOINTS)]
        await connection.execute(
            "INSERT INTO webhook_endpoints (webhook_id, merchant_id, mode, name, url, events, key,"
            " status, created_at, updated_at) SELECT id, $4, 'test', 'n', url,"
            " '{session.completed}', $3, 'active', now(), now()"
            " FROM unnest($1::text[], $2::text[]) AS e (id, url)",
            self._webhooks,
            urls,
            KEY,
            MERCHANT,
        )

    async def post(self, connection: asyncpg.Connection[Any], letters: Letters) -> None:
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO events (event_id, type, object_id, merchant_id, mode, business_type,"
                " payload, occurred_at) SELECT id, 'session.completed', id, $3, 'test', 'session',"
                " $2::text::jsonb, now() FROM unnest($1::text[]) AS id",
                letters.ids,
                PAYLOAD,
                MERCHANT,
            )
            await connection.execute(
                "INSERT INTO webhook_messages (webhook_id, event_id, state, next_attempt_at,"
                " created_at) SELECT webhook_id, event_id, 'pending', now(), now()"
                " FROM unnest($1::text[], $2::text[]) AS m (webhook_id, event_id)",
                [self._webhooks[each] for each in letters.endpoints],
                letters.ids,
            )
            await connection.execute("ANALYZE webhook_messages, events")
            await connection.execute(f"NOTIFY {CHANNEL}")

    async def delivered(self, connection: asyncpg.Connection[Any]) -> int:
        number: int = await connection.fetchval(
            "SELECT count(*) FROM webhook_messages WHERE state = 'delivered'"
        )
        return number


class Floor(Contender):
    """The outbox written by hand."""

    name = "floor"
    module = "bench.hooks.floor"

    async def install(self, connection: asyncpg.Connection[Any]) -> None:
        await connection.execute(floor.SCHEMA)

    async def clear(self, connection: asyncpg.Connection[Any], hanging: int) -> None:
        await connection.execute("TRUNCATE outbox")

    async def post(self, connection: asyncpg.Connection[Any], letters: Letters) -> None:
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO outbox (event_id, url, key, body)"
                " SELECT id, url, $3, $4 FROM unnest($1::text[], $2::text[]) AS o (id, url)",
                letters.ids,
                [self.url(each, letters.hanging) for each in letters.endpoints],
                KEY,
                PAYLOAD.encode(),
            )
            await connection.execute("ANALYZE outbox")
            await connection.execute(f"NOTIFY {floor.CHANNEL}")

    async def delivered(self, connection: asyncpg.Connection[Any]) -> int:
        number: int = await connection.fetchval("SELECT count(*) FROM outbox WHERE delivered")
        return number


class Peer(Contender):
    """procrastinate and httpx."""

    name = "procrastinate"
    module = "bench.hooks.peer"

    async def install(self, connection: asyncpg.Connection[Any]) -> None:
        connector = procrastinate.PsycopgConnector(conninfo=self.database_url)
        async with procrastinate.App(connector=connector).open_async() as app:
            await app.schema_manager.apply_schema_async()

    async def clear(self, connection: asyncpg.Connection[Any], hanging: int) -> None:
        await connection.execute("TRUNCATE procrastinate_jobs CASCADE")

    async def post(self, connection: asyncpg.Connection[Any], letters: Letters) -> None:
        connector = procrastinate.PsycopgConnector(conninfo=self.database_url)
        async with procrastinate.App(connector=connector).open_async() as app:
            jobs: list[dict[str, JSONValue]] = [
                {
                    "event_id": one,
                    "url": self.url(each, letters.hanging),
                    "key": KEY,
                    "body": PAYLOAD,
                }
                for one, each in zip(letters.ids, letters.endpoints, strict=True)
            ]
            await app.configure_task("deliver").batch_defer_async(*jobs)

    async def delivered(self, connection: asyncpg.Connection[Any]) -> int:
        number: int = await connection.fetchval(
            "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"
        )
        return number


CONTENDERS = (Product, Floor, Peer)


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a round needs."""

    contenders: tuple[Contender, ...]
    sink_port: int
    directory: Path

    async def report(self) -> dict[str, float]:
        """What has arrived since the last report, and when (Unix time)."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{self.sink_port}/report") as answer,
        ):
            return dict(json.loads(await answer.read()))


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """Start it all; everything is ended and removed at the end."""
    with (
        _directory() as directory,
        EmbeddedPostgres.start(directory) as postgres,
        process("bench.hooks.sink", directory) as (_, port),
    ):
        made = []
        for kind in CONTENDERS:
            url = await _database(postgres.url, kind.name)
            one = kind(url, int(port))
            async with connected(url) as connection:
                await one.install(connection)
            made.append(one)
        yield World(tuple(made), int(port), directory)


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gstable-bench-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # under root the database runs as a user of its own
        yield directory


async def _database(server_url: str, name: str) -> str:
    async with connected(server_url) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection of our own."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@contextmanager
def process(
    module: str, directory: Path, database_url: str = ""
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process that is ready, and what it said then; ended without warning."""
    with (directory / "log").open("ab") as log:
        one = subprocess.Popen(
            [sys.executable, "-m", module],
            env={**os.environ, "DATABASE_URL": database_url},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            preexec_fn=dying_with_parent(signal.SIGKILL),
        )
        try:
            assert one.stdout is not None
            said = one.stdout.readline().decode().strip()
            if not said:
                raise RuntimeError(f"{module} did not start: {_tail(directory)}")
            yield one, said
        finally:
            one.kill()
            one.wait()


def _tail(directory: Path) -> str:
    return (directory / "log").read_text()[-2000:]


def cpu_seconds(one: subprocess.Popen[bytes]) -> float:
    """Processor time that the process used so far, in the kernel's and its own code."""
    after_name = Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
