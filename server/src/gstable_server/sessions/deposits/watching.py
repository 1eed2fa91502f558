"""Looks at deposit addresses: one question a network for up to ``BALANCES_MAX`` of them."""

from __future__ import annotations

from collections import defaultdict

import structlog

from gstable_server.chain.deposits import NATIVE, balances_data, balances_from
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import NodeRefused, Rpc
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.db import Database
from gstable_server.sessions.deposits import operations
from gstable_server.sessions.deposits.model import Deposit
from gstable_server.sessions.operations import Desk

log = structlog.get_logger(__name__)


async def look(db: Database, desk: Desk, network: Network, rpc: Rpc) -> int:
    """Ask ``network`` about the addresses that are due, and act on what changed or waits; returns
    how many were due. A node that gives no answer is asked again at their next look."""
    async with db.read() as tx:  # most looks find nothing due: they are one question each
        if not await operations.is_any_due(tx, network):
            return 0
    due = await db.run(operations.take_due, network)
    by_collector: dict[Address, list[Deposit]] = defaultdict(list)
    for deposit in due:
        by_collector[deposit.collector].append(deposit)
    for collector, deposits in by_collector.items():
        try:
            await _look(db, desk, network, rpc, collector, deposits)
        except (Passing, NodeRefused) as failure:
            log.warning("deposits not looked at", network=network.name, reason=str(failure))
    return len(due)


async def _look(
    db: Database,
    desk: Desk,
    network: Network,
    rpc: Rpc,
    collector: Address,
    deposits: list[Deposit],
) -> None:
    tokens = [*(token.address for token in network.tokens), NATIVE]
    addresses = [deposit.address for deposit in deposits]
    answer = await rpc.call(collector, balances_data(addresses, tokens))
    balances = balances_from(answer, addresses, tokens)
    async with db.read() as tx:
        known = await operations.last_seen(tx, network, deposits)
    for deposit in deposits:
        there = {token: balances[deposit.address, token] for token in tokens}
        before = {token: known.get((deposit.session_id, token), 0) for token in tokens}
        # Nothing is there and nothing was: most addresses, most of the time.
        if any(there.values()) or any(before.values()):
            await db.run(operations.found, desk, network, deposit, there)
