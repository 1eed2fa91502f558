"""Plays seeds one after the other on a database of their own."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from gstable_server import migrations
from gstable_server.plumbing.embedded_postgres import temporary_postgres
from tests.sim.database import QUIET, SHADOWS, connect
from tests.sim.kernel import SimLoop
from tests.sim.planting import planted
from tests.sim.simulation import EVERY, Outcome, play


def make_database(server_url: str, name: str) -> str:
    """A migrated database with the simulation's clock; its address."""
    parts = urlsplit(server_url)
    url = urlunsplit(parts._replace(path=f"/{name}"))
    asyncio.run(_execute(server_url, f"CREATE DATABASE {name}"))
    migrations.upgrade(url)
    asyncio.run(_execute(url, SHADOWS + QUIET))
    return url


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
    playing = Player(make_database(server_url, name))
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
