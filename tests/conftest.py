"""Fixtures that every kind of test shares: a real database, a clock that is set by hand."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from gstable_server import migrations
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.orders import OrderSigner
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.embedded_postgres import EmbeddedPostgres, temporary_postgres
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.plumbing.testing import FakeClock
from tests.running import Running, running_stack

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One real PostgreSQL server per test process, without fsync."""
    with temporary_postgres() as server:
        yield server


def _at(url: str, name: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))


def _administer(url: str, statement: str) -> None:
    """Run one statement outside any transaction, also when an event loop is running here."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    thread.join()


@pytest.fixture(scope="session")
def template_database(postgres: EmbeddedPostgres) -> str:
    """The name of a database that has all migrations and no rows."""
    _administer(postgres.url, "CREATE DATABASE template_gstable")
    migrations.upgrade(_at(postgres.url, "template_gstable"))
    return "template_gstable"


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, template_database: str) -> Iterator[str]:
    """The address of a fresh, migrated database of this test's own."""
    name = f"test_{next(_numbers)}"
    _administer(postgres.url, f"CREATE DATABASE {name} TEMPLATE {template_database}")
    yield _at(postgres.url, name)
    _administer(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
async def database(database_url: str, clock: FakeClock) -> AsyncIterator[Database]:
    db = await Database.connect(database_url, clock=clock, ids=SystemIdMint(), size=20)
    yield db
    await db.close()


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parent.parent


@pytest.fixture(scope="session")
def order_signer() -> OrderSigner:
    """Signs the orders that the local chains' routers accept."""
    return OrderSigner(b"\x11" * 32)


@pytest.fixture(scope="session")
async def devnet(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory, order_signer: OrderSigner
) -> AsyncIterator[Devnet]:
    """Two local chains with router and tokens; one per test process, so tests share them."""
    running = await Devnet.start(tmp_path_factory.mktemp("chains"), order_signer.address)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    """A whole installation, shared by every test of this process that asks for it."""
    with running_stack() as stack:
        yield stack
