"""A fake chain and an indexer of it; providers on real sockets and a client of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.indexer import Indexer
from gstable_server.chain.testing import FakeChain
from gstable_server.plumbing.db import Database
from tests.unit.chain.indexing import NETWORK
from tests.unit.chain.json_rpc import CHAIN_ID, Provider


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain(NETWORK)


@pytest.fixture
def indexer(database: Database, chain: FakeChain) -> Indexer:
    return Indexer(database, chain.network, [chain], ())


@pytest.fixture
async def providers() -> AsyncIterator[list[Provider]]:
    both = [Provider(), Provider()]
    for provider in both:
        await provider.server.start_server()
    yield both
    for provider in both:
        await provider.server.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def rpc(session: aiohttp.ClientSession, providers: list[Provider]) -> HttpRpc:
    """A client that knows the first provider only."""
    return HttpRpc(session, [providers[0].url], CHAIN_ID)
