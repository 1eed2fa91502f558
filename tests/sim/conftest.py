"""One database a test process, for all histories that it plays."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from gstable_server.plumbing.embedded_postgres import EmbeddedPostgres
from tests.sim.play import Player, player


@pytest.fixture(scope="session")
def playing(postgres: EmbeddedPostgres) -> Iterator[Player]:
    with player(postgres.url, f"sim_{os.getpid()}") as one:
        yield one
