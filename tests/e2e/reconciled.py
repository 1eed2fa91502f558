"""The book of a running installation beside its chains, compared in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from gstable_server import reconciling
from gstable_server.chain.networks import Networks
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from gstable_server.reconciliation import operations as reconciliation
from gstable_server.reconciliation.model import Difference, Outcome, Told
from tests.running import Running


class _Forged(reconciling.Witness):
    """Says of one sum of the book that it is another."""

    def __init__(self, networks: Networks, account: str, added: int) -> None:
        super().__init__(networks)
        self._account, self._added = account, added

    async def tell(self, tx: Tx) -> Told:
        told = await super().tell(tx)
        place = next(
            place for place, one in enumerate(told.booked) if one.account.startswith(self._account)
        )
        booked = list(told.booked)
        booked[place] = replace(booked[place], amount=booked[place].amount + self._added)
        return replace(told, booked=tuple(booked))


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
