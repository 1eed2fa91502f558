"""Fixtures that every kind of test shares: a real database, a clock that is set by hand."""

from __future__ import annotations

import asyncio
import gc
import itertools
import signal
import socket
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import structlog
from hypothesis import HealthCheck, settings

from gstable_server import migrations
from gstable_server.chain.deployment import Actors
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.keys import address_of_key
from gstable_server.chain.orders import OrderSigner
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.embedded_postgres import EmbeddedPostgres, temporary_postgres
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.plumbing.testing import FakeClock
from tests.running import Running, running_stack
from tests.scheduling import INSTALLATIONS, ByInstallation

T = TypeVar("T")

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)
RELAYER_KEY = b"\x12" * 32
SOLVER_KEY = b"\x13" * 32
ATTESTOR_KEY = b"\x14" * 32
CCTP_ATTESTER_KEY = b"\x15" * 32

# Without it an example may take 200 ms, which a busy machine needs for any of them.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# A shell that runs the tests in the background has them and their children ignore Ctrl-C, which
# is what some of the children are ended with.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByInstallation:
    return ByInstallation(config, log)


def pytest_collection() -> None:
    """What is collected stays to the end: looking through it for garbage took a fifth of the time
    of collecting, and some of each later look."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Commands that are run inside the process set logging up for good: loggers that are used
    under it keep their stream, and what later tests read would be missing there."""
    yield
    structlog.reset_defaults()


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


class _Line:
    """A connection for statements outside any transaction, on a thread of its own because an event
    loop may be running on ours."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connection = self._await(asyncpg.connect(url))

    def _await(self, answer: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(answer, self._loop).result()

    def ask(self, *statements: str) -> list[object]:
        """The first value that each statement answers."""
        return [self._await(self._connection.fetchval(each)) for each in statements]

    def close(self) -> None:
        self._await(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _administer(url: str, *statements: str) -> list[object]:
    with closing(_Line(url)) as line:
        return line.ask(*statements)


_DISCONNECT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# Ten times cheaper than a database for every test. Rows of append-only tables go too, because
# their triggers do not fire for a replica.
_EMPTY = """
DO $$
DECLARE one regclass;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR one IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relname <> 'alembic_version'
        AND relnamespace = 'public'::regnamespace
    LOOP EXECUTE format('DELETE FROM %s', one); END LOOP;
END
$$
"""
_SHAPE = """
SELECT concat((SELECT count(*) FROM pg_class), ' ', (SELECT count(*) FROM pg_attribute), ' ',
    (SELECT count(*) FROM pg_trigger WHERE tgenabled = 'O'), ' ', (SELECT count(*) FROM pg_proc))
"""


class Databases:
    """A migrated, empty database for one test after the other."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        _administer(server_url, "CREATE DATABASE template_gstable")
        template_url = _at(server_url, "template_gstable")
        migrations.upgrade(template_url)
        [self._shape] = _administer(template_url, _SHAPE)
        self._begin()

    def unwritten(self) -> str:
        """The address of a database that no test has had: of the others the server may have counted
        rows that are gone, or the pages of which they left behind, and plans otherwise."""
        name = f"test_{next(_numbers)}"
        _administer(self._server_url, f"CREATE DATABASE {name} TEMPLATE template_gstable")
        return _at(self._server_url, name)

    def _begin(self) -> None:
        self._url = self.unwritten()
        # Kept from test to test: to connect costs more than to empty.
        self._line = _Line(self._url)

    def take(self) -> str:
        """The address of an empty database."""
        return self._url

    def give_back(self) -> None:
        """Empty it for the next test; one whose tables a test has changed is not used again, nor
        one whose server went away."""
        try:
            *_, shape = self._line.ask(_DISCONNECT, _EMPTY, _SHAPE)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            shape = None
        if shape != self._shape:
            self._line.close()
            self._begin()

    def close(self) -> None:
        self._line.close()


@pytest.fixture(scope="session")
def databases(postgres: EmbeddedPostgres) -> Iterator[Databases]:
    with closing(Databases(postgres.url)) as made:
        yield made


@pytest.fixture(scope="session")
def unwritten_url(databases: Databases) -> str:
    """The address of an empty, migrated database that no test writes to."""
    return databases.unwritten()


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """The address of an empty, migrated database of this test's own."""
    yield databases.take()
    databases.give_back()


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
def actors(order_signer: OrderSigner) -> Actors:
    """Whom the local chains' contracts know; their keys are the constants of this file."""
    return Actors(
        order_signer=order_signer.address,
        relayer=address_of_key(RELAYER_KEY),
        solver=address_of_key(SOLVER_KEY),
        attestor=address_of_key(ATTESTOR_KEY),
        cctp_attester=address_of_key(CCTP_ATTESTER_KEY),
    )


@pytest.fixture(scope="session")
async def devnet(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory, actors: Actors
) -> AsyncIterator[Devnet]:
    """Four local chains with all contracts; one set per test process, so tests share them."""
    running = await Devnet.start(tmp_path_factory.mktemp("chains"), actors)
    yield running
    running.stop()


# All tests come from one address, and a fast machine runs many of them in a second.
ROOMY = {"GSTABLE_ADDRESS_BURST": "600"}


class Installation:
    """A whole installation of this process, from the first module that asks for it to the first
    that has none: left running beside thousands of tests, it would take a tenth of a core."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._running: Running | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.relay_port: int = free.getsockname()[1]
            """Where a test may start the relay that wallets of other devices are connected by."""

    def get(self) -> Running:
        if self._running is None:
            relay = {
                "GSTABLE_WALLETCONNECT_PROJECT_ID": "harbour",
                "GSTABLE_WALLETCONNECT_RELAY_URL": f"ws://127.0.0.1:{self.relay_port}",
            }
            self._running = self._open.enter_context(running_stack(**ROOMY, **relay))
        return self._running

    def close(self) -> None:
        self._running = None
        self._open.close()


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    with closing(Installation()) as kept:
        yield kept


@pytest.fixture(scope="module", autouse=True)
def _no_longer(request: pytest.FixtureRequest, installation: Installation) -> None:
    if not request.node.nodeid.startswith(INSTALLATIONS):
        installation.close()


@pytest.fixture(scope="module")
def running(installation: Installation) -> Running:
    """A whole installation, shared by the tests of this process."""
    return installation.get()
