"""A chain whose blocks are made on demand, an executor of it, and what it did."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from gstable_server.chain.executor import operations
from gstable_server.chain.executor.model import Intent, IntentView, Sender
from gstable_server.chain.executor.node import Node
from gstable_server.chain.executor.runner import Limits, Runner
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.chain.executor.local_chain import LocalChain, anvil, local_chain

LIMITS = Limits(patience=timedelta(seconds=30))


@pytest.fixture(scope="session")
def chain_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One process for all stories; each begins with the chain as it was at first."""
    with anvil(tmp_path_factory.mktemp("executor"), "--no-mining", "--order", "fifo") as url:
        yield url


@pytest.fixture
async def chain(chain_url: str) -> AsyncIterator[LocalChain]:
    async with local_chain(chain_url) as chain:
        snapshot = await chain.ask("evm_snapshot")
        await chain.ask("anvil_dropAllTransactions")
        await chain.prepare()
        yield chain
        await chain.ask("anvil_dropAllTransactions")
        assert await chain.ask("evm_revert", snapshot)


class Bench:
    """The executor and the questions that the stories ask."""

    def __init__(self, db: Database, chain: LocalChain, clock: FakeClock) -> None:
        self.db = db
        self.chain = chain
        self.clock = clock
        self.runner = self.new_runner()

    def new_runner(self, node: Node | None = None, limits: Limits = LIMITS) -> Runner:
        """Another executor, as after a restart."""
        chain = self.chain
        return Runner(
            self.db, chain.network, Sender.RELAYER, chain.signer, node or chain.node, limits
        )

    async def intend(self, *intents: Intent) -> None:
        for intent in intents:
            async with self.db.begin() as tx:
                assert await operations.intend(tx, intent)

    async def view(self, cause: str) -> IntentView:
        async with self.db.read() as tx:
            view = await operations.find(tx, cause)
        assert view is not None
        return view

    async def states(self, *causes: str) -> list[str]:
        return [str((await self.view(cause)).state) for cause in causes]

    async def turn(self, turns: int = 1) -> None:
        """Turns a quarter of a second apart."""
        for _ in range(turns):
            await self.runner.turn()
            self.clock.set(self.clock.now() + timedelta(milliseconds=250))

    async def told(self, cause: str) -> list[str]:
        """The types of the events about an intent, in their order."""
        async with self.db.read() as tx:
            rows = await tx.fetch(
                "SELECT type FROM events WHERE object_id = $1 ORDER BY sequence",
                f"subject:{cause}",
            )
        return [row["type"] for row in rows]

    async def rows(self, table: str) -> list[dict[str, object]]:
        async with self.db.read() as tx:
            return [dict(row) for row in await tx.fetch(f"SELECT * FROM {table}")]


@pytest.fixture
def bench(database: Database, chain: LocalChain, clock: FakeClock) -> Bench:
    return Bench(database, chain, clock)
