"""What tests of the indexer look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from asyncpg import Record

from gstable_server.chain.facts import Fact, FactWhat, SessionLog, from_payload
from gstable_server.chain.indexer import Indexer, Step
from gstable_server.chain.operations import fact_of, frontier, network_states
from gstable_server.chain.testing import FakePayment, fake_network
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.plumbing.outbox import relay_once

SEEN, FINAL = FactWhat.SEEN, FactWhat.FINAL
REORGED, LOST = FactWhat.REORGED, FactWhat.LOST
NETWORK = fake_network(confirmations=3)


async def drain(indexer: Indexer, steps: int = 500) -> None:
    """Converge until there is nothing new."""
    for _ in range(steps):
        if await indexer.converge() is Step.NOTHING_NEW:
            return
    raise AssertionError("does not converge")


def steps_of(rows: Sequence[Record]) -> list[Fact]:
    """Facts as they were recorded, one step after the other: what is final first was seen, too."""
    known: set[str] = set()
    steps: list[Fact] = []
    for row in rows:
        fact = from_payload({"what": row["what"], "log": row["body"]})
        first = fact.log.object_id not in known
        known.add(fact.log.object_id)
        steps += replace(fact, at_once=first and fact.what is FINAL).steps
    return steps


async def facts_of(database: Database, network: str = "fake") -> list[Fact]:
    async with database.read() as tx:
        rows = await tx.fetch(
            "SELECT what, body FROM chain_facts WHERE network = $1 ORDER BY fact_number", network
        )
    return steps_of(rows)


async def kinds(database: Database, payment: FakePayment) -> list[FactWhat]:
    return [
        fact.what
        for fact in await facts_of(database)
        if isinstance(fact.log, SessionLog) and fact.log.session_key == payment.session_key
    ]


async def told(database: Database) -> list[Fact]:
    """What the events say, relayed as flow does it."""
    heard: list[Fact] = []

    async def handle(_tx: Tx, batch: Sequence[StoredEvent]) -> None:
        for stored in batch:
            assert stored.event.type == fact_of(stored).event_type
            assert stored.event.object_id == fact_of(stored).log.subject
            heard.append(fact_of(stored))

    while await relay_once(database, handle):
        pass
    return heard


async def tip_of(database: Database, network: str = "fake") -> int:
    async with database.read() as tx:
        block = await frontier(tx, network)
    return -1 if block is None else block.number


async def halted_reason(database: Database, network: str = "fake") -> str | None:
    """Why the network stands still; None also when nothing is known of it."""
    async with database.read() as tx:
        known = {state.network: state.halted_reason for state in await network_states(tx)}
    return known.get(network)


async def hashes_kept(database: Database) -> list[bytes]:
    async with database.read() as tx:
        rows = await tx.fetch("SELECT hash FROM chain_blocks ORDER BY number")
    return [row["hash"] for row in rows]
