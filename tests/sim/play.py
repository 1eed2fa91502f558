"""Plays seeds one after the other on a database of their own."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from gstable_server import migrations
from gstable_server.plumbing.embedded_postgres import SERVER_UID, temporary_postgres
from tests.sim.database import QUIET, SHADOWS, connect
from tests.sim.kernel import SimLoop
from tests.sim.planting import planted
from tests.sim.simulation import EVERY, Outcome, play

MEMORY = Path("/dev/shm")
ROOM_BYTES = 1 << 30


def make_database(server_url: str, name: str, place: str | None = None) -> str:
    """A migrated database with the simulation's clock; its address."""
    parts = urlsplit(server_url)
    url = urlunsplit(parts._replace(path=f"/{name}"))
    where = f" TABLESPACE {place}" if place else ""
    asyncio.run(_execute(server_url, f"CREATE DATABASE {name}{where}"))
    migrations.upgrade(url)
    asyncio.run(_execute(url, SHADOWS + QUIET))
    return url


@contextmanager
def _in_memory(server_url: str, name: str) -> Iterator[str | None]:
    """A tablespace in memory, where there is room: every history begins with new files of all
    tables and indexes, which took a disk's file system a tenth of the history. None elsewhere."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        yield None
        return
    directory = MEMORY / f"gstable-sim-{os.getpid()}-{name}"
    _forget_the_dead()
    directory.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(directory, SERVER_UID, SERVER_UID)
    try:
        asyncio.run(_execute(server_url, f"CREATE TABLESPACE {name} LOCATION '{directory}'"))
        yield name
    finally:
        # First, because the server writes what it still has of them when it ends.
        asyncio.run(_execute(server_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        asyncio.run(_execute(server_url, f"DROP TABLESPACE IF EXISTS {name}"))
        shutil.rmtree(directory)


def _forget_the_dead() -> None:
    """Remove what processes that were killed left in memory."""
    for left in MEMORY.glob("gstable-sim-*-*"):
        try:
            os.kill(int(left.name.split("-")[2]), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except PermissionError:
            pass  # another user's, alive


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


class Player:
    """Plays seeds over one connection, on one loop."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner(loop_factory=SimLoop)
        self._connection = self._runner.run(connect(url))

    def play(self, seed: int, *, bug: str | None = None, every: int = EVERY) -> Outcome:
        """One seed, with ``bug`` planted."""
        # What a history leaves behind is thrown away once, at its end, and not looked for a
        # hundred times meanwhile.
        gc.disable()
        try:
            with planted(bug):
                return self._runner.run(play(seed, self._connection, every=every))
        finally:
            # A violation may end the history in a transaction. Others use this PostgreSQL, and
            # the feed of events waits for whatever is open in any database of it.
            self._runner.run(self._connection.execute("ROLLBACK"))
            gc.enable()
            gc.collect(1)

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()


@contextmanager
def player(server_url: str, name: str = "sim") -> Iterator[Player]:
    """A ``Player`` on a new database of that server."""
    with _in_memory(server_url, name) as place:
        playing = Player(make_database(server_url, name, place))
        try:
            yield playing
        finally:
            playing.close()


def play_seeds(
    seeds: Iterable[int], *, bug: str | None = None, every: int = EVERY
) -> Iterator[Outcome]:
    """Seeds on a PostgreSQL of their own."""
    with temporary_postgres() as server, player(server.url) as playing:
        for seed in seeds:
            yield playing.play(seed, bug=bug, every=every)
