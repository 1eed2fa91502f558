"""Plays seeds one after the other on a database of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import structlog

from gstable_server import migrations
from gstable_server.plumbing.embedded_postgres import temporary_postgres
from tests.sim.database import SHADOWS
from tests.sim.kernel import SimLoop
from tests.sim.planting import planted
from tests.sim.simulation import Outcome, play


def make_database(server_url: str, name: str) -> str:
    """A migrated database with the simulation's clock; its address."""
    parts = urlsplit(server_url)
    url = urlunsplit(parts._replace(path=f"/{name}"))
    asyncio.run(_execute(server_url, f"CREATE DATABASE {name}"))
    migrations.upgrade(url)
    asyncio.run(_execute(url, SHADOWS))
    return url


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def play_seed(seed: int, url: str, *, bug: str | None = None, every: int = 50) -> Outcome:
    """One seed on a loop of its own, with ``bug`` planted."""
    with planted(bug), asyncio.Runner(loop_factory=SimLoop) as runner:
        return runner.run(play(seed, url, every=every))


def play_seeds(
    seeds: Iterable[int], *, bug: str | None = None, every: int = 50
) -> Iterator[Outcome]:
    """Seeds on a PostgreSQL of their own."""
    structlog.configure(processors=[_drop])
    with temporary_postgres() as server:
        url = make_database(server.url, "sim")
        for seed in seeds:
            yield play_seed(seed, url, bug=bug, every=every)


def _drop(_logger: object, _name: str, _event: object) -> str:
    raise structlog.DropEvent
