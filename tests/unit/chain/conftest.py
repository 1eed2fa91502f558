"""A fake chain and an indexer of it."""

from __future__ import annotations

import pytest

from gstable_server.chain.indexer import Indexer
from gstable_server.chain.testing import FakeChain
from gstable_server.plumbing.db import Database
from tests.unit.chain.indexing import NETWORK


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain(NETWORK)


@pytest.fixture
def indexer(database: Database, chain: FakeChain) -> Indexer:
    return Indexer(database, chain.network, [chain], ())
