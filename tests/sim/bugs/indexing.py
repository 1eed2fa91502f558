"""Bugs of whoever reads the chain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gstable_server.chain import indexer, machine, store
from gstable_server.chain.facts import FactWhat
from gstable_server.chain.indexer import Indexer, Step
from gstable_server.chain.machine import Answer, Happening
from gstable_server.chain.reading import Reader
from gstable_server.kernel.errors import Passing
from tests.sim.planting import bug, replaced


@bug("skipped-failed-block")
def skips_a_failed_block() -> Iterator[None]:
    read = Indexer._read

    async def read_or_skip(self: Any, provider: Any, block: Any) -> Any:
        try:
            return await read(self, provider, block)
        except Passing:
            return indexer._Answer((), indexer.Watches())

    with replaced(Indexer, "_read", read_or_skip):
        yield


@bug("omitted-log-marked-done")
def believes_what_it_is_told() -> Iterator[None]:
    async def unproven(_self: Any, _provider: Any, _header: Any, _filters: Any, told: Any) -> Any:
        return told

    with replaced(Reader, "_proven", unproven):
        yield


@bug("bloom-alone-is-proof")
def asks_only_the_bloom() -> Iterator[None]:
    """Some logs of a block are taken for all of them."""
    proven = Reader._proven

    async def by_bloom(self: Any, provider: Any, header: Any, filters: Any, told: Any) -> Any:
        return told or await proven(self, provider, header, filters, told)

    with replaced(Reader, "_proven", by_bloom):
        yield


@bug("logs-of-failed-transactions")
def takes_logs_of_failures() -> Iterator[None]:
    """What is told is believed besides what the receipts prove."""
    proven = Reader._proven

    async def and_told(self: Any, provider: Any, header: Any, filters: Any, told: Any) -> Any:
        found = await proven(self, provider, header, filters, ())
        return (*found, *(each for each in told if each not in found))

    with replaced(Reader, "_proven", and_told):
        yield


def _table(state: FactWhat, happening: Happening, answer: FactWhat | Answer) -> Any:
    return {**machine._TABLE, (state, happening): answer}


@bug("lost-payment-waited-for-ever")
def waits_for_ever() -> Iterator[None]:
    wrong = _table(FactWhat.REORGED, Happening.OVERDUE, Answer.NOTHING)
    with replaced(machine, "_TABLE", wrong):
        yield


@bug("frontier-before-facts")
def moves_the_frontier_first() -> Iterator[None]:
    """Blocks in one transaction and their facts in the next: a crash in between loses payments."""

    async def in_two_commits(self: Any, provider: Any, tip: Any, headers: Any, answer: Any) -> Step:
        decoded, newest = self._decoded(headers, answer), headers[-1].number
        verdict = await self._judge.verdict(provider, await self._deep(decoded, newest))
        async with self._db.begin() as tx:
            if not await self._is_ours(tx, tip):
                return Step.GAVE_WAY
            await store.add_blocks(tx, self._network.name, headers, indexer.KEEP_BLOCKS)
        async with self._db.begin() as tx:
            facts = await self._mined(tx, decoded, newest, verdict)
            mined = {fact.log.object_id for fact in facts}
            matured = await self._matured(tx, newest, verdict)
            facts += [fact for fact in matured if fact.log.object_id not in mined]
            await store.add_facts(tx, facts)
        return Step.ADVANCED

    with replaced(Indexer, "_advance", in_two_commits):
        yield


@bug("two-indexers-at-once")
def forgets_the_lock() -> Iterator[None]:
    """What another process of the role did meanwhile is not looked at."""

    async def always(_self: Any, _tx: Any, _tip: Any) -> bool:
        return True

    with replaced(Indexer, "_is_ours", always):
        yield
