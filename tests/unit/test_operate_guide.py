"""The commands that operators are told to type, run as they stand in the guide."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from gstable_server import flow
from gstable_server.chain import store as chain_store
from gstable_server.chain.facts import Fact, FactWhat
from gstable_server.plumbing import event_log
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.plumbing.http_client import GuardedClient
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.postgres_programs import choose_programs
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions.model import SessionView
from gstable_server.webhooks.dispatch import Dispatcher, Pace
from tests.settling import settled
from tests.unit.sessions.world import World, new_world
from tests.unit.webhooks.support import new_endpoint, receiving

pytestmark = pytest.mark.anyio

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "operate.md"
_names = itertools.count(1)


def commands(section: str) -> list[str]:
    """The shell blocks below a heading of the guide, in their order."""
    text = GUIDE.read_text()
    found = re.search(rf"^## {section}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert found is not None, section
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", found[1], re.MULTILINE | re.DOTALL)
    return ["\n".join(line.strip() for line in block.splitlines()) for block in blocks]


class Terminal:
    """An operator's shell, with PostgreSQL's own programs and ours."""

    def __init__(self, directory: Path) -> None:
        programs = choose_programs(directory / "none")
        assert programs is not None
        found = shutil.which("pg_dump", path=programs.directory) or shutil.which("pg_dump")
        assert found is not None, "the tests' PostgreSQL has its client programs"
        path = [Path(sys.executable).parent, Path(found).parent]
        self._directory = directory
        self.environment = {"PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]])}

    def types(self, block: str) -> str:
        """What the commands of one block print; every one has to succeed."""
        done = subprocess.run(
            ["sh", "-e", "-c", block],
            cwd=self._directory,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (block, done.stderr)
        return done.stdout


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.fixture
async def empty_url(database_url: str) -> AsyncIterator[str]:
    """The address of another database of the same server, with nothing in it."""
    name = f"restored_{os.getpid()}_{next(_names)}"
    admin = await asyncpg.connect(urlsplit(database_url)._replace(path="/postgres").geturl())
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    yield urlsplit(database_url)._replace(path=f"/{name}").geturl()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def relay_and_deliver(world: World, http: GuardedClient) -> None:
    whole = flow.World(db=world.db, desk=world.desk, http=http)

    async def handle(tx: Tx, batch: Sequence[StoredEvent]) -> None:
        await flow.handle(tx, whole, batch)

    while await relay_once(world.db, handle):
        pass
    while await Dispatcher(world.db, http, Pace()).deliver_due():
        pass


async def pay(world: World, view: SessionView, http: GuardedClient) -> None:
    """What the indexer tells of a payment that is on the chain, whenever it reads it."""
    for what in (FactWhat.SEEN, FactWhat.FINAL):
        async with world.db.begin() as tx:
            await chain_store.add_facts(tx, [Fact(what, world.log(view))])
        await relay_and_deliver(world, http)


async def test_ops_06_a_restored_server_tells_nothing_as_new_and_books_nothing_twice(
    database: Database, database_url: str, empty_url: str, clock: FakeClock, terminal: Terminal
) -> None:
    terminal.environment |= {"DATABASE_URL": database_url, "RESTORED_URL": empty_url}
    dump, head = commands("Back up")
    restore, put_before, then = commands("Restore")
    [upgrade] = commands("Upgrade")
    assert then == upgrade + "\n" + head, "every command of the guide is run below"
    async with receiving() as receiver, GuardedClient(allow_loopback=True) as http:
        # Given a backup of a time when a session was open, which was then paid and told of
        world = await new_world(database)
        await new_endpoint(
            database, world.tenant, receiver.url, "session.created", "session.paid",
            "session.completed",
        )  # fmt: skip
        view = await world.open()
        await world.prepare(view)
        await relay_and_deliver(world, http)
        await asyncio.to_thread(terminal.types, dump)
        clock.advance(3600)
        await pay(world, view, http)
        told = [letter.headers["webhook-id"] for letter in receiver.letters]
        assert len(told) == len(set(told)) == 3
        booked = await world.balances()
        # When that backup is restored elsewhere as the guide says, and the chain read again
        for block in (restore, put_before):
            await asyncio.to_thread(terminal.types, block)
        terminal.environment["DATABASE_URL"] = empty_url
        await asyncio.to_thread(terminal.types, then)
        db = await Database.connect(empty_url, clock=clock, ids=SystemIdMint(), size=4)
        try:
            restored = World(db, world.desk, world.tenant, world.account)
            await settled(db)
            async with db.read() as tx:
                before, feed = await event_log.after(tx, world.tenant, event_log.FIRST, 10)
            assert before, "what came with the dump stands first in the feed"
            await pay(restored, view, http)
            # Then its receiver knows each letter again, and the book says the same
            again = [letter.headers["webhook-id"] for letter in receiver.letters][3:]
            assert again == told[-2:]
            assert await restored.balances() == booked
            await pay(restored, view, http)
            assert len(receiver.letters) == 5
            await settled(db)
            async with db.read() as tx:
                later, _ = await event_log.after(tx, world.tenant, feed, 10)
            assert [one.event.type for one in later] == ["session.paid", "session.completed"]
        finally:
            await db.close()


async def test_ops_05_a_migration_that_breaks_off_changes_nothing_and_is_run_again(
    empty_url: str, terminal: Terminal
) -> None:
    # Given a database in which the last but one migrations meet something unexpected
    terminal.environment["DATABASE_URL"] = empty_url
    connection = await asyncpg.connect(empty_url)
    await connection.execute("CREATE TABLE agent_authorizations ()")
    # When it is migrated
    with pytest.raises(AssertionError, match="agent_authorizations"):
        await asyncio.to_thread(terminal.types, "gstable migrate")
    # Then it stands before that migration, with nothing of it, and goes on from there
    done = "SELECT version_num FROM alembic_version"
    assert await connection.fetchval(done) == "0015_request_log"
    assert await connection.fetchval("SELECT to_regclass('request_log')") is not None
    await connection.execute("DROP TABLE agent_authorizations")
    await asyncio.to_thread(terminal.types, "gstable migrate")
    assert await connection.fetchval(done) > "0017"
    await connection.close()
