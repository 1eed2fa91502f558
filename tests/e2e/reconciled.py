"""The book of a running installation beside its chains, compared in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from gstable_server import reconciling
from gstable_server.chain.networks import Networks
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from gstable_server.reconciliation import operations as reconciliation
from gstable_server.reconciliation.model import Booked, Difference, Outcome
from tests.running import Running


class _Forged(reconciling.Witness):
    """Says of one sum of the book that it is another."""

    def __init__(self, networks: Networks, account: str, added: int) -> None:
        super().__init__(networks)
        self._account, self._added = account, added

    async def booked(self, tx: Tx) -> AsyncIterator[Sequence[Booked]]:
        added = self._added
        async for part in super().booked(tx):
            forged = []
            for one in part:
                of_account = one.account.startswith(self._account)
                forged.append(replace(one, amount=one.amount + added) if of_account else one)
                added = 0 if of_account else added
            yield forged


@asynccontextmanager
async def _book(running: Running) -> AsyncIterator[Database]:
    url = running.about["databaseUrl"]
    db = await Database.connect(url, clock=SystemClock(), ids=SystemIdMint(), size=2)
    try:
        yield db
    finally:
        await db.close()


async def reconciled(running: Running) -> Outcome:
    async with _book(running) as db:
        return await reconciling.reconcile(db, running.networks)


async def forged(running: Running, account: str, added: int) -> tuple[Difference, ...]:
    """What is found if the book has ``added`` more on one account that is called so."""
    async with _book(running) as db:
        witness = _Forged(running.networks, account, added)
        outcome = await reconciliation.reconcile(db, running.networks, witness)
    return outcome.differences
