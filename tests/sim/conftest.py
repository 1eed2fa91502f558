"""One database a test process, for all histories that it plays."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import asyncpg
import pytest

from gstable_server.plumbing.embedded_postgres import EmbeddedPostgres
from tests.sim.play import Player, player

_OPEN = """
SELECT query FROM pg_stat_activity
WHERE application_name = 'gstable-sim' AND state LIKE 'idle in transaction%'
"""


@pytest.fixture(scope="session")
def one_player(postgres: EmbeddedPostgres) -> Iterator[Player]:
    with player(postgres.url, f"sim_{os.getpid()}") as one:
        yield one


@pytest.fixture
def playing(postgres: EmbeddedPostgres, one_player: Player) -> Iterator[Player]:
    """The player, which leaves nothing open in the PostgreSQL that other tests use too."""
    yield one_player
    assert asyncio.run(_left_open(postgres.url)) == []


async def _left_open(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        return [row["query"] for row in await connection.fetch(_OPEN)]
    finally:
        await connection.close()
