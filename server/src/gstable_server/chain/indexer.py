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
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum

import structlog

from gstable_server.chain import store, store_states
from gstable_server.chain.decode import Observer, Watches, decode, named_for_good, wanted
from gstable_server.chain.facts import ChainLog, Fact, FactWhat, InboundLog
from gstable_server.chain.finality import Judge, Verdict
from gstable_server.chain.inbound import SPAM_A_DAY, is_spam
from gstable_server.chain.machine import Answer, Happening, decide, is_deep, is_overdue
from gstable_server.chain.networks import KEEP_BLOCKS, Finality, Network
from gstable_server.chain.providers import Provider, Providers
from gstable_server.chain.reading import Reader
from gstable_server.chain.rpc import (
    Header,
    Log,
    ProviderFailed,
    ProviderLied,
    RangeTooLarge,
    Rpc,
    UnknownBlock,
)
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import from_unix_seconds
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.db import Database, Tx

log = structlog.get_logger(__name__)

NEAR_HEAD = 16
"""The newest blocks are read one by one, so that a payment is told as soon as it is there."""

STEP_BLOCKS_MAX = 2000
"""How many blocks one step reads at most, also where a node searches more for logs at once."""

LOGS_AT_ONCE = 1000
"""How many logs, roughly, become facts in one transaction."""

LOOK_BACK = 8, 512
"""How many blocks are compared at once for where a chain turned back: first, and at most."""

BACK_OFF_SECONDS = (0.5, 15.0)
HALT_SECONDS = 60.0
ALARM_TRIES = 20
"""A network that fails so often in a row is told of as standing still."""

RECORD_EVERY = timedelta(seconds=1)


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
    network goes on by itself, else a person has to decide (docs/operations/reorganisation.md).
    """


class Indexer:
    """Reads one network into the database, from one provider or several (``rpcs``)."""

    def __init__(
        self, db: Database, network: Network, rpcs: Sequence[Rpc], rails: Sequence[Observer]
    ) -> None:
        self._db = db
        self._network = network
        self._rails = rails
        self._providers = Providers(network, rpcs)
        self._reader = Reader(network.name, self._providers)
        self._judge = Judge(network, self._providers, self._reader, rails)
        self._woken = asyncio.Event()
        self._recorded_at: datetime | None = None
        self.foreign_events = 0
        """Logs handed over by the provider that told nothing of ours."""

    def wake(self) -> None:
        """There may be a new block: look now instead of after the pause."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the network until ``stop``; trouble here never reaches another network."""
        failures = 0
        while not stop.is_set():
            self._woken.clear()
            try:
                step = await self.converge()
            except asyncio.CancelledError:
                raise
            except Passing as failure:
                failures += 1
                log.warning("network not read", network=self._network.name, reason=str(failure))
                if failures % ALARM_TRIES == 0:
                    await self._report(str(failure))
                await self._pause(stop, max(_back_off(failures), failure.retry_after or 0))
            except NetworkHalted as halt:
                failures += 1
                log.critical("network halted", network=self._network.name, reason=str(halt))
                await self._pause(stop, HALT_SECONDS)
            except Exception as bug:  # the edge: a bug or a lost database must not end the process
                # The block that causes this is tried again, never skipped: payments behind it
                # wait, but none is lost.
                failures += 1
                log.exception("network stopped at a block", network=self._network.name)
                await self._report(f"stopped at a block: {type(bug).__name__}")
                await self._pause(stop, _back_off(failures))
            else:
                failures = 0
                if step in (Step.NOTHING_NEW, Step.GAVE_WAY):
                    seconds = self._network.poll_milliseconds / 1000
                    await self._pause(stop, seconds, self._woken)

    async def converge(self) -> Step:
        """One step towards the providers' chain: a block, a range of blocks, or as far back as
        the chain turned.

        Raises ``Passing`` when no provider gives a usable answer, ``NetworkHalted``.
        """
        async with self._db.read() as tx:
            tip = await store.tip(tx, self._network.name)
        try:
            return await self._providers.ask(lambda provider: self._step(provider, tip))
        except NetworkHalted as halt:
            await self._record(tip, 0, str(halt))
            raise

    async def _step(self, provider: Provider, tip: store.Block | None) -> Step:
        if tip is None:
            return await self._begin(provider)
        here, following = await provider.rpc.block_and_next(tip.number)
        if here.hash != tip.hash:
            return await self._turn_back(provider, tip)
        self._providers.heard(provider, news=following is not None)
        if following is None:
            provider.head = tip.number
            await self._record(tip, tip.number, None)
            return Step.NOTHING_NEW
        if following.parent_hash != tip.hash:
            # The two answers are not of one chain: a reorganisation came between them, and the
            # next question shows it at `here`.
            raise ProviderLied(f"block {following.number} does not follow block {tip.number}")
        provider.head = await provider.rpc.block_number()
        count = min(provider.log_range, STEP_BLOCKS_MAX)
        last = min(tip.number + count, provider.head - NEAR_HEAD)
        if last > following.number:
            return await self._catch_up(provider, tip, last)
        return await self._advance(
            provider, tip, (following,), await self._read(provider, following)
        )

    async def _begin(self, provider: Provider) -> Step:
        [first] = await provider.rpc.blocks_by_number((self._network.start_block,))
        if first is None:
            return Step.NOTHING_NEW
        provider.head = await provider.rpc.block_number()
        return await self._advance(provider, None, (first,), await self._read(provider, first))

    async def _read(self, provider: Provider, block: Header) -> _Answer:
        watches = await self._watches()
        filters = wanted(self._network, watches)
        return _Answer(await self._reader.block(provider, block, filters), watches)

    async def _watches(self) -> Watches:
        """Whose transfers are told, asked anew for every block or range, after the provider
        named it.

        Never before that, and never kept: between the two a transfer could be prepared, sent and
        mined, and its block would be passed without it. A block that the provider has named
        already holds only transactions that were handed out before now, so their watches were
        committed before now, too.
        """
        async with self._db.read() as tx:
            return Watches(*await store.watched_addresses(tx, self._network.name))

    async def _catch_up(self, provider: Provider, tip: store.Block, last: int) -> Step:
        """Read many blocks together, each of them proven as a single one is."""
        try:
            headers = await self._reader.linked(provider, tip.number + 1, last)
            # By these hashes: a reorganisation meanwhile may bring what is watched only later.
            watches = await self._watches()
            logs = await self._reader.range(provider, headers, wanted(self._network, watches))
        except (RangeTooLarge, ProviderFailed):
            provider.log_range = max(1, provider.log_range // 2)
            raise
        if headers[0].parent_hash != tip.hash:
            raise ProviderLied(f"block {headers[0].number} does not follow block {tip.number}")
        # What was read is kept part by part: a long transaction would hold the network's lock, and
        # the database ends one that it does not hear of for seconds.
        step = Step.ADVANCED
        for part, of_part in _parts(headers, logs):
            step = await self._advance(provider, tip, part, _Answer(of_part, watches))
            if step is not Step.ADVANCED:
                break
            newest = part[-1]
            time = from_unix_seconds(newest.timestamp)
            tip = store.Block(newest.number, newest.hash, newest.parent_hash, time)
        return step

    async def _advance(
        self,
        provider: Provider,
        tip: store.Block | None,
        headers: Sequence[Header],
        answer: _Answer,
    ) -> Step:
        """Blocks, facts and events in one transaction: a crash leaves all of them or none."""
        decoded = self._decoded(headers, answer)
        newest = headers[-1].number
        verdict = await self._judge.verdict(provider, await self._deep(decoded, newest))
        async with self._db.begin() as tx:
            if not await self._is_ours(tx, tip):
                return Step.GAVE_WAY
            await store.add_blocks(tx, self._network.name, headers, KEEP_BLOCKS)
            facts = await self._mined(tx, decoded, newest, verdict)
            mined = {fact.log.object_id for fact in facts}
            matured = await self._matured(tx, newest, verdict)
            facts += [fact for fact in matured if fact.log.object_id not in mined]
            await store.add_facts(tx, facts)
            if self._is_time_to_record(tx.now):
                head = max(provider.head, newest)
                await store_states.put_state(tx, self._network.name, newest, head, None)
        _log_facts(facts)
        provider.log_range = min(provider.log_range * 2, self._network.log_range)
        return Step.ADVANCED

    async def _deep(self, decoded: Sequence[ChainLog], newest: int) -> list[ChainLog]:
        """The logs that are deep enough with block ``newest``, where more than that is asked."""
        trust = self._network.trust
        if trust.quorum_above is None and trust.finality is Finality.DEPTH:
            return []
        deep = newest - self._network.confirmations + 1
        async with self._db.read() as tx:
            waiting = await store.watched(tx, self._network.name, 0, deep)
        seen = [each for state, each in waiting if state is FactWhat.SEEN]
        return [*seen, *(each for each in decoded if each.block_number <= deep)]

    async def _turn_back(self, provider: Provider, tip: store.Block) -> Step:
        """Take all blocks back that left the chain: their payments are told as reorganised, none
        is forgotten."""
        name = self._network.name
        await self._providers.require_turn(provider, tip.number, tip.hash)
        ancestor = await self._ancestor(provider, tip)
        async with self._db.begin() as tx:
            if not await self._is_ours(tx, tip):
                return Step.GAVE_WAY
            if await store.has_final(tx, name, ancestor):
                raise NetworkHalted(
                    f"{name} took back blocks {ancestor + 1} to {tip.number} with a final log"
                )
            facts: list[Fact] = []
            kept = await store.hashes(tx, name, range(ancestor + 1, tip.number + 1))
            # The newest first, as if each had been taken back by itself.
            taken = await store.watched(tx, name, ancestor + 1, tip.number)
            for state, each in sorted(taken, key=lambda one: -one[1].block_number):
                # One that was taken back from another block of this number waits on.
                if each.block_hash == kept.get(each.block_number):
                    facts += _added(state, Happening.UNMINED, each)
            await store.add_facts(tx, facts)
            await store.drop_blocks(tx, name, ancestor)
            await store_states.put_state(tx, name, ancestor, provider.head, None)
        count = tip.number - ancestor
        log.warning("blocks left the chain", network=name, blocks=count, down_to=ancestor + 1)
        _log_facts(facts)
        return Step.STEPPED_BACK

    async def _ancestor(self, provider: Provider, tip: store.Block) -> int:
        """The newest block that the provider's chain and ours have in common; one below the first
        when even that was replaced. Raises ``NetworkHalted`` when it is too far down, and
        ``UnknownBlock`` when the provider lacks a block in between."""
        network = self._network
        async with self._db.read() as tx:
            bottom = await store.lowest(tx, network.name)
        assert bottom is not None, "there is a newest block, so there is an oldest"
        below, count = tip.number, LOOK_BACK[0]
        floor = max(bottom, tip.number - network.trust.reorg_limit)
        while below > floor:
            numbers = range(below - 1, max(floor, below - count) - 1, -1)
            async with self._db.read() as tx:
                ours = await store.hashes(tx, network.name, numbers)
            answered = await provider.rpc.blocks_by_number(numbers)
            for number, header in zip(numbers, answered, strict=True):
                if header is None:
                    # It has just named a block above: another node answers now, which is behind.
                    # Were the block taken for replaced, a lagging node would undo what is final.
                    raise UnknownBlock(f"the node does not have block {number}")
                if ours.get(number) == header.hash:
                    return number
            below, count = numbers[-1], min(count * 4, LOOK_BACK[1])
        if below == network.start_block:
            return below - 1
        if below == bottom:
            raise NetworkHalted(f"{network.name} turned back below block {below}, the last kept")
        limit = network.trust.reorg_limit
        raise NetworkHalted(f"{network.name} turned back by more than {limit} blocks")

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

    async def _mined(
        self, tx: Tx, logs: Sequence[ChainLog], newest: int, verdict: Verdict
    ) -> list[Fact]:
        if not logs:
            return []
        tx_hashes = {each.tx_hash for each in logs}
        known = await store.known_logs(tx, self._network.name, sorted(tx_hashes))
        told = {each.object_id: what for what, each in known}
        facts: list[Fact] = []
        named = named_for_good(logs, [each for _, each in known])
        new = [each for each in named if each.object_id not in told]
        left_out = await self._too_many(tx, new)
        for each in named:
            if each.object_id in left_out:
                continue
            known_as = told.get(each.object_id)
            mined = _added(known_as, Happening.MINED, each)
            told[each.object_id] = FactWhat.SEEN
            deep = []
            if self._is_final(each, newest, verdict):
                deep = _added(FactWhat.SEEN, Happening.DEEP, each)
            facts += _at_once(*deep) if known_as is None and deep else [*mined, *deep]
        return facts

    def _is_final(self, each: ChainLog, newest: int, verdict: Verdict) -> bool:
        deep = is_deep(each.block_number, newest, self._network.confirmations)
        return deep and verdict.admits(each)

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

    async def _matured(self, tx: Tx, newest: int, verdict: Verdict) -> list[Fact]:
        confirmations = self._network.confirmations
        facts: list[Fact] = []
        deep = newest - confirmations + 1  # nothing above can be deep, or overdue
        for state, each in await store.watched(tx, self._network.name, 0, deep):
            if self._is_final(each, newest, verdict):
                facts += _added(state, Happening.DEEP, each)
            if is_overdue(each.block_number, newest, confirmations):
                facts += _added(state, Happening.OVERDUE, each)
        return facts

    async def _record(self, tip: store.Block | None, head: int, reason: str | None) -> None:
        """Say how the network is read: of what halts it at once, else once a second."""
        if reason is None and not self._is_time_to_record(self._db.clock.now()):
            return
        frontier = -1 if tip is None else tip.number
        if reason is not None:
            self._recorded_at = None  # its end is told at once, too
        async with self._db.begin() as tx:
            await store_states.put_state(tx, self._network.name, frontier, head, reason)

    def _is_time_to_record(self, now: datetime) -> bool:
        if self._recorded_at is not None and now - self._recorded_at < RECORD_EVERY:
            return False
        self._recorded_at = now
        return True

    async def _report(self, reason: str) -> None:
        """Say why the network stands still, if the database can be told."""
        try:
            async with self._db.read() as tx:
                tip = await store.tip(tx, self._network.name)
            await self._record(tip, 0, reason)
        except Exception:  # the edge: what cannot be recorded was logged
            log.exception("state not recorded", network=self._network.name)

    async def _pause(
        self, stop: asyncio.Event, seconds: float, woken: asyncio.Event | None = None
    ) -> None:
        """Wait so long, or until ``stop`` or ``woken``."""
        waits = [asyncio.ensure_future(event.wait()) for event in (stop, woken) if event]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


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


def _at_once(final: Fact) -> list[Fact]:
    """Seen and final in one: a backfill would write and tell everything twice."""
    return [replace(final, at_once=True)]


def _parts(
    headers: Sequence[Header], logs: Sequence[Log]
) -> Iterator[tuple[Sequence[Header], Sequence[Log]]]:
    """``headers`` in their order, with their ``logs``, in parts of about ``LOGS_AT_ONCE`` logs;
    a block is never divided."""
    counts = Counter(each.block_number for each in logs)
    first_header = first_log = end = 0
    for at, header in enumerate(headers):
        end += counts[header.number]
        if end - first_log >= LOGS_AT_ONCE or at + 1 == len(headers):
            yield headers[first_header : at + 1], logs[first_log:end]
            first_header, first_log = at + 1, end


def _log_facts(facts: Sequence[Fact]) -> None:
    for fact in facts:
        log.info(fact.event_type, log=fact.log.object_id, block=fact.log.block_number)


def _back_off(failures: int) -> float:
    least, most = BACK_OFF_SECONDS
    return min(least * 2.0 ** min(failures - 1, 10), most)
