"""Follows one network: moves the stored chain towards the provider's, one step at a time.

The frontier is the newest row of ``chain_blocks``. It moves over a block only together with the
facts of that block, in one transaction, and only after the block named the frontier's hash as
its parent. When the chain is reorganised the frontier steps back aloud, block by block.

Where this may die, and what brings it back: nothing is kept in memory that matters. A process
that dies before a commit has changed nothing; after it, the next ``converge`` of any process
continues from the frontier. Two indexers of one network do no harm: each step takes the
network's lock and gives way if the frontier moved meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

import structlog

from gstable_server.chain import store
from gstable_server.chain.decode import Observer, Watches, decode, named_for_good, wanted
from gstable_server.chain.facts import ChainLog, Fact, FactWhat, InboundLog
from gstable_server.chain.inbound import SPAM_A_DAY, is_spam
from gstable_server.chain.machine import Answer, Happening, decide, is_deep, is_overdue
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import (
    Header,
    Log,
    ProviderFailed,
    ProviderLied,
    RangeTooLarge,
    Rpc,
)
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.db import Database, Tx

log = structlog.get_logger(__name__)

KEEP_BLOCKS = 4096
"""How many blocks below the frontier are remembered; more than twice ``CONFIRMATIONS_MAX``."""

NEAR_HEAD = 64
"""Within ``confirmations`` plus this many blocks of the head, every parent link is proven."""

BACK_OFF_SECONDS = (0.5, 15.0)
HALT_SECONDS = 60.0


class Step(Enum):
    """What one ``converge`` did."""

    ADVANCED = "advanced"
    STEPPED_BACK = "stepped back"
    NOTHING_NEW = "nothing new"
    GAVE_WAY = "gave way"


@dataclass(frozen=True, slots=True)
class _Answer:
    """The logs of some blocks, and whose transfers were asked for among them."""

    logs: Sequence[Log]
    watches: Watches


class NetworkHalted(Exception):
    """The chain contradicts what was told as final, or turned back below what is kept.

    Nothing is changed. Every further try checks again: if it was the provider who was wrong, the
    network goes on by itself, else a person has to decide (docs/guide/networks.md).
    """


class Indexer:
    """Reads one network into the database."""

    def __init__(self, db: Database, network: Network, rpc: Rpc, rails: Sequence[Observer]) -> None:
        self._db = db
        self._network = network
        self._rpc = rpc
        self._rails = rails
        self._range = network.log_range
        self.foreign_events = 0
        """Logs handed over by the provider that told nothing of ours."""

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the network until ``stop``; trouble here never reaches another network."""
        failures = 0
        while not stop.is_set():
            try:
                step = await self.converge()
            except asyncio.CancelledError:
                raise
            except Passing as failure:
                failures += 1
                log.warning("network not read", network=self._network.name, reason=str(failure))
                await _pause(stop, max(_back_off(failures), failure.retry_after or 0))
            except NetworkHalted as halt:
                failures += 1
                log.critical("network halted", network=self._network.name, reason=str(halt))
                await _pause(stop, HALT_SECONDS)
            except Exception:  # the edge: a bug or a lost database must not end the process
                # The block that causes this is tried again, never skipped: payments behind it
                # wait, but none is lost.
                failures += 1
                log.exception("network stopped at a block", network=self._network.name)
                await _pause(stop, _back_off(failures))
            else:
                failures = 0
                if step in (Step.NOTHING_NEW, Step.GAVE_WAY):
                    await _pause(stop, self._network.poll_milliseconds / 1000)

    async def converge(self) -> Step:
        """One step towards the provider's chain: a block, a range of old blocks, or one back.

        Raises ``Passing`` when the provider gives no usable answer, ``NetworkHalted``.
        """
        async with self._db.read() as tx:
            tip = await store.tip(tx, self._network.name)
        if tip is None:
            return await self._begin()
        here, following = await self._rpc.block_and_next(tip.number)
        if here.hash != tip.hash:
            return await self._step_back(tip)
        if following is None:
            return Step.NOTHING_NEW
        if following.parent_hash != tip.hash:
            # The two answers are not of one chain: a reorganisation came between them, and the
            # next question shows it at `here`.
            raise ProviderLied(f"block {following.number} does not follow block {tip.number}")
        last = await self._end_of_range(tip)
        if last > following.number:
            return await self._catch_up(tip, following.number, last)
        return await self._advance(tip, (following,), await self._read(following))

    async def _begin(self) -> Step:
        [first] = await self._rpc.blocks_by_number((self._network.start_block,))
        if first is None:
            return Step.NOTHING_NEW
        return await self._advance(None, (first,), await self._read(first))

    async def _read(self, block: Header) -> _Answer:
        watches = await self._watches()
        logs = await self._rpc.logs_of_block(block.hash, wanted(self._network, watches))
        return _Answer(logs, watches)

    async def _watches(self) -> Watches:
        """Whose transfers are told, asked anew for every block or range, after the provider
        named it.

        Never before that, and never kept: between the two a transfer could be prepared, sent and
        mined, and its block would be passed without it. A block that the provider has named
        already holds only transactions that were handed out before now, so their watches were
        committed before now, too.
        """
        async with self._db.read() as tx:
            senders = await store.transfer_senders(tx, self._network.name)
            receivers = await store.receivers(tx, self._network.name)
        return Watches(frozenset(senders), frozenset(receivers))

    async def _end_of_range(self, tip: store.Block) -> int:
        head = await self._rpc.block_number()
        return min(tip.number + self._range, head - self._network.confirmations - NEAR_HEAD)

    async def _catch_up(self, tip: store.Block, first: int, last: int) -> Step:
        """Read old blocks together. They are deeper than any payment's finality, so that the
        links between them need no proof; their logs are still tied to canonical hashes."""
        watches = await self._watches()
        try:
            logs = await self._rpc.logs_in_range(first, last, wanted(self._network, watches))
        except (RangeTooLarge, ProviderFailed):
            self._range = max(1, self._range // 2)
            raise
        numbers = sorted({entry.block_number for entry in logs} | {last})
        headers: list[Header] = []
        for number, header in zip(numbers, await self._rpc.blocks_by_number(numbers), strict=True):
            if header is None:
                raise ProviderLied(f"block {number} has logs or followers, but does not exist")
            headers.append(header)
        return await self._advance(tip, headers, _Answer(logs, watches))

    async def _advance(
        self, tip: store.Block | None, headers: Sequence[Header], answer: _Answer
    ) -> Step:
        """Blocks, facts and events in one transaction: a crash leaves all of them or none."""
        decoded = self._decoded(headers, answer)
        async with self._db.begin() as tx:
            if not await self._is_ours(tx, tip):
                return Step.GAVE_WAY
            await store.add_blocks(tx, self._network.name, headers, KEEP_BLOCKS)
            mined = await self._mined(tx, decoded)
            await store.add_facts(tx, mined)
            matured = await self._matured(tx, headers[-1].number)
            await store.add_facts(tx, matured)
        _log_facts([*mined, *matured])
        self._range = min(self._range * 2, self._network.log_range)
        return Step.ADVANCED

    async def _step_back(self, tip: store.Block) -> Step:
        """Take the newest block back: its payments are told as reorganised, none is forgotten."""
        name = self._network.name
        async with self._db.begin() as tx:
            if not await self._is_ours(tx, tip):
                return Step.GAVE_WAY
            at_start = tip.number == self._network.start_block
            if not at_start and not await store.has_block(tx, name, tip.number - 1):
                raise NetworkHalted(f"{name} turned back below block {tip.number}, the last kept")
            if await store.final_logs(tx, name, tip.hash, tip.number):
                raise NetworkHalted(f"{name} took back block {tip.number} with a final log")
            facts: list[Fact] = []
            for state, each in await store.watched(tx, name, tip.number, tip.number):
                # One that was taken back from another block of this number waits on.
                if each.block_hash == tip.hash:
                    facts += _added(state, Happening.UNMINED, each)
            await store.add_facts(tx, facts)
            await store.drop_block(tx, name, tip.number)
        log.warning("block left the chain", network=name, block=tip.number)
        _log_facts(facts)
        return Step.STEPPED_BACK

    async def _is_ours(self, tx: Tx, tip: store.Block | None) -> bool:
        name = self._network.name
        return await store.lock(tx, name) and await store.tip(tx, name) == tip

    def _decoded(self, headers: Sequence[Header], answer: _Answer) -> list[ChainLog]:
        by_hash = {header.hash: header for header in headers}
        groups: dict[bytes, list[Log]] = {header.hash: [] for header in headers}
        for entry in answer.logs:
            header = by_hash.get(entry.block_hash)
            if header is None or header.number != entry.block_number:
                raise ProviderLied(f"a log of a block that is not at {entry.block_number}")
            group = groups[entry.block_hash]
            if group and group[-1].log_index >= entry.log_index:
                raise ProviderLied(f"logs of block {entry.block_number} not in order, or twice")
            group.append(entry)
        found: list[ChainLog] = []
        for header in headers:
            group = groups[header.hash]
            decoded = decode(self._network, header, group, self._rails, answer.watches)
            self.foreign_events += decoded.foreign
            for stray in decoded.strays:
                name, tx_hash = self._network.name, "0x" + stray.tx_hash.hex()
                log.critical("payment that cannot be credited", network=name, tx=tx_hash)
            found += decoded.logs
        return found

    async def _mined(self, tx: Tx, logs: Sequence[ChainLog]) -> list[Fact]:
        if not logs:
            return []
        tx_hashes = {each.tx_hash for each in logs}
        known = await store.known_logs(tx, self._network.name, sorted(tx_hashes))
        states = {each.object_id: what for what, each in known}
        facts: list[Fact] = []
        named = named_for_good(logs, [each for _, each in known])
        new = [each for each in named if each.object_id not in states]
        left_out = await self._too_many(tx, new)
        for each in named:
            if each.object_id in left_out:
                continue
            facts += _added(states.get(each.object_id), Happening.MINED, each)
            states[each.object_id] = FactWhat.SEEN
        return facts

    async def _too_many(self, tx: Tx, logs: Sequence[ChainLog]) -> frozenset[str]:
        """The names of those new ``logs`` that are left out, because they are worth nothing and
        too many came to the same address on the same day."""
        spam: dict[tuple[Address, date], list[str]] = defaultdict(list)
        for each in logs:
            if isinstance(each, InboundLog) and is_spam(self._network, each):
                spam[each.receiver, each.block_time.date()].append(each.object_id)
        left_out: set[str] = set()
        for (receiver, day), names in spam.items():
            before = await store.count_spam(tx, self._network.name, receiver, day, len(names))
            left_out |= set(names[max(SPAM_A_DAY - before, 0) :])
        self.foreign_events += len(left_out)
        return frozenset(left_out)

    async def _matured(self, tx: Tx, tip_number: int) -> list[Fact]:
        confirmations = self._network.confirmations
        facts: list[Fact] = []
        deep = tip_number - confirmations + 1  # nothing above can be deep, or overdue
        for state, each in await store.watched(tx, self._network.name, 0, deep):
            if is_deep(each.block_number, tip_number, confirmations):
                facts += _added(state, Happening.DEEP, each)
            if is_overdue(each.block_number, tip_number, confirmations):
                facts += _added(state, Happening.OVERDUE, each)
        return facts


def _added(state: FactWhat | None, happening: Happening, about: ChainLog) -> list[Fact]:
    """The fact that the machine adds, if any."""
    match decide(state, happening):
        case FactWhat() as what:
            return [Fact(what, about)]
        case Answer.NOTHING:
            return []
        case Answer.CONTRADICTION:
            raise ProviderLied(f"{about.object_id} is in two blocks of one chain")
        case Answer.HALT:
            raise NetworkHalted(f"{about.object_id} was final and is taken back")


def _log_facts(facts: Sequence[Fact]) -> None:
    for fact in facts:
        log.info(fact.event_type, log=fact.log.object_id, block=fact.log.block_number)


def _back_off(failures: int) -> float:
    least, most = BACK_OFF_SECONDS
    return min(least * 2.0 ** min(failures - 1, 10), most)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
