"""What an operator wants to know: whether this process can work, and the installation's state.

The state is asked of every slice at a scrape. Every process gives the same answer, because it is
the database's; it is kept for ``KEPT_SECONDS``, so that many scrapers cost as much as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import structlog

from gstable_server.chain import operations as chain
from gstable_server.chain.executor import operations as executor
from gstable_server.chain.networks import Networks
from gstable_server.chain.operations import NetworkState
from gstable_server.chain.rpc import NodeRefused, Rpc
from gstable_server.kernel.errors import Passing
from gstable_server.ledger import operations as ledger
from gstable_server.plumbing import queues
from gstable_server.plumbing.db import DATABASE_FAILED, Database, Tx
from gstable_server.plumbing.health import Check, Probe, database_check
from gstable_server.plumbing.metrics import Reading
from gstable_server.receipts import operations as receipts
from gstable_server.reconciliation import operations as reconciliation
from gstable_server.reconciliation.model import Outcome
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.unmatched import operations as unmatched
from gstable_server.sessions.unmatched.model import Total
from gstable_server.settlement import operations as settlement
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.model import Backlog

log = structlog.get_logger(__name__)

KEPT_SECONDS = 5.0
NODE_KEPT_SECONDS = 5.0
WITHIN_SECONDS = 5.0
SILENT_SECONDS = 30.0
COUNTED = 100_000
"""A queue that is longer is told to be so long: counting on would only add to its trouble."""


def checks(db: Database, networks: Networks, chains: Mapping[str, Rpc]) -> list[Check]:
    """What this process needs: the database, and of the networks of each mode at least one node
    that answers. One network less is no reason to refuse the payers of all others."""
    nodes = [
        Check(
            name=f"network {network.name}",
            probe=_node_probe(chains[network.name]),
            any_of=network.mode.value,
            kept_seconds=NODE_KEPT_SECONDS,
        )
        for network in networks.all
        if network.name in chains
    ]
    indexer = Check("indexer", _indexer_probe(db, networks), is_advice=True)
    return [database_check(db), *nodes, indexer]


def _indexer_probe(db: Database, networks: Networks) -> Probe:
    """Its trouble is told to everybody, and is no reason for others to stop."""

    async def probe() -> str | None:
        try:
            async with db.read() as tx:
                states = await _states(tx, networks)
        except DATABASE_FAILED:
            return "not known"
        halted = [state.network for state in states if state.halted_reason is not None]
        read = {one.network for one in states if _age(tx.now, one.updated_at) <= SILENT_SECONDS}
        problems = [f"{name} is halted" for name in halted]
        problems += [
            f"{network.name} is not read"
            for network in networks.all
            if network.name not in read and network.name not in halted
        ]
        return ", ".join(problems) or None

    return probe


async def _states(tx: Tx, networks: Networks) -> list[NetworkState]:
    """How the configured networks are read: what is known of one that was taken out of the
    configuration stays as it was, and is nobody's trouble any more."""
    states = await chain.network_states(tx)
    return [state for state in states if networks.find_network(state.network) is not None]


def _node_probe(rpc: Rpc) -> Probe:
    async def probe() -> str | None:
        try:
            await rpc.block_number()
        except (Passing, NodeRefused):  # their text may name a provider's address
            return "no node answers"
        return None

    return probe


class Gauges:
    """The state of the database, looked at when it is asked for."""

    def __init__(self, db: Database, networks: Networks) -> None:
        self._db = db
        self._networks = networks
        self._lock = asyncio.Lock()
        self._readings: tuple[Reading, ...] = ()
        self._read_at: float | None = None

    async def readings(self) -> tuple[Reading, ...]:
        """Every number there is; of a lost database only that it is lost."""
        async with self._lock:
            loop = asyncio.get_running_loop()
            if self._read_at is None or loop.time() - self._read_at >= KEPT_SECONDS:
                self._readings = await self._look()
                self._read_at = loop.time()
            return self._readings

    async def _look(self) -> tuple[Reading, ...]:
        try:
            async with asyncio.timeout(WITHIN_SECONDS), self._db.read() as tx:
                found = tuple(await read(tx, self._networks))
        except DATABASE_FAILED as failure:
            log.warning("state not read", reason=str(failure))
            return (Reading("gstable_database_up", 0),)
        return (Reading("gstable_database_up", 1), *found)


async def read(tx: Tx, networks: Networks) -> list[Reading]:
    """The state, slice by slice."""
    return [
        *_queues(tx.now, await queues.look(tx, COUNTED)),
        *_letters(tx.now, await webhooks.backlog(tx, COUNTED)),
        *_receipts(tx.now, await receipts.backlog(tx, COUNTED)),
        *_networks(tx.now, await _states(tx, networks)),
        *await _money_on_its_way(tx),
        *_book(tx.now, await ledger.unsealed(tx)),
        *_comparison(tx.now, await reconciliation.last(tx)),
        *[_unmatched(total) for total in await unmatched.summary(tx)],
        *await _senders(tx, networks),
    ]


def _age(now: datetime, since: datetime | None) -> float:
    """Seconds; 0 where nothing waits, or where another machine's clock is ahead."""
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def _queues(now: datetime, found: queues.Queues) -> Iterator[Reading]:
    yield Reading("gstable_outbox_events", found.events)
    yield Reading("gstable_outbox_oldest_seconds", _age(now, found.events_since))
    yield Reading("gstable_jobs_waiting", found.jobs)
    yield Reading("gstable_jobs_failed", found.jobs_failed)


def _letters(now: datetime, found: Backlog) -> Iterator[Reading]:
    yield Reading("gstable_webhook_messages_due", found.due)
    yield Reading("gstable_webhook_oldest_due_seconds", _age(now, found.due_since))
    yield Reading("gstable_webhook_messages_exhausted", found.exhausted)
    yield Reading("gstable_webhook_endpoints_paused", found.closed)


def _receipts(now: datetime, found: tuple[int, datetime | None]) -> Iterator[Reading]:
    waiting, since = found
    yield Reading("gstable_receipts_waiting", waiting)
    yield Reading("gstable_receipts_oldest_seconds", _age(now, since))


def _networks(now: datetime, states: Sequence[NetworkState]) -> Iterator[Reading]:
    for state in states:
        labels = (state.network,)
        yield Reading("gstable_network_head_blocks", state.head, labels)
        yield Reading("gstable_network_frontier_blocks", state.frontier, labels)
        yield Reading("gstable_network_lag_blocks", max(0, state.head - state.frontier), labels)
        yield Reading("gstable_network_age_seconds", _age(now, state.updated_at), labels)
        yield Reading("gstable_network_halted", int(state.halted_reason is not None), labels)


def _book(now: datetime, unsealed: tuple[int, datetime | None]) -> Iterator[Reading]:
    number, since = unsealed
    yield Reading("gstable_ledger_unsealed_transfers", number)
    yield Reading("gstable_ledger_oldest_unsealed_seconds", _age(now, since))


def _comparison(now: datetime, last: Outcome | None) -> Iterator[Reading]:
    if last is not None:
        yield Reading("gstable_reconciliation_age_seconds", _age(now, last.at))
        yield Reading("gstable_reconciliation_differences", last.count)
        yield Reading("gstable_reconciliation_networks_unread", len(last.unread))


def _unmatched(total: Total) -> Reading:
    return Reading("gstable_unmatched_deposits", total.count, (total.network, total.token_id))


async def _money_on_its_way(tx: Tx) -> list[Reading]:
    found = []
    for state, number, since in await sessions.unsettled(tx):
        labels = (state.value,)
        found += [
            Reading("gstable_sessions_unsettled", number, labels),
            Reading("gstable_sessions_oldest_unsettled_seconds", _age(tx.now, since), labels),
        ]
    going, stalled = await settlement.count_open(tx)
    return [
        *found,
        Reading("gstable_settlements_open", going),
        Reading("gstable_settlements_stalled", stalled),
    ]


async def _senders(tx: Tx, networks: Networks) -> list[Reading]:
    found = []
    for network, sender, number, since in await executor.backlog(tx):
        labels = (network, sender)
        found += [
            Reading("gstable_executor_intents_open", number, labels),
            Reading("gstable_executor_oldest_seconds", _age(tx.now, since), labels),
        ]
    for funds in await executor.funds(tx):
        if networks.find_network(funds.network) is None:
            continue  # its balance is not looked at any more
        labels = (funds.network, funds.sender.value)
        found += [
            Reading("gstable_executor_balance_native_units", funds.balance, labels),
            Reading("gstable_executor_funds_enough", int(funds.enough), labels),
        ]
    return found
