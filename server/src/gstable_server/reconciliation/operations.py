"""Comparing the book with the chains, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import structlog

from gstable_server.chain.networks import Networks
from gstable_server.plumbing.db import Database, Tx
from gstable_server.reconciliation import gathering, store, store_work
from gstable_server.reconciliation.gathering import Witness
from gstable_server.reconciliation.model import Outcome, Reading

log = structlog.get_logger(__name__)

DIFFERENCES_KEPT = 1000
DIFFERENCES_LOGGED = 20
CONNECTION = "gstable reconciliation"


async def reconcile(
    db: Database, networks: Networks, witness: Witness, *, anew: bool = False
) -> Outcome:
    """Compare the whole book with all chains, and record what came of it.

    Of blocks that were final when they were read the logs are kept, so that each is read once;
    ``anew`` reads all of them again. A network whose nodes do not answer is left out, and named.
    No transaction is open while nodes are asked; a process that dies has at most read in vain.

    Everything is handed on in parts to temporary tables of a connection of its own: memory does
    not grow with the book, and whatever else the process does goes on in between.
    """
    async with db.apart(CONNECTION) as work:
        async with work.read() as tx:
            await store_work.lay_out(tx)
        async with work.begin() as tx:
            frontiers = await gathering.take_down(tx, witness)
        readings = [
            await gathering.read_network(
                work, networks, network, frontiers.get(network.name), anew=anew
            )
            for network in networks.all
        ]
        async with work.read() as tx:
            readings += await _strangers(tx, networks)
            unread = {one.network for one in readings if one.unread is not None}
            await gathering.expect(tx, networks, witness, unread)
            sessions, left_out = await store_work.count_sessions(tx)
            count, differences = await store_work.differences(tx, unread, DIFFERENCES_KEPT)
    outcome = Outcome(db.clock.now(), tuple(readings), sessions, left_out, count, differences)
    await db.run(store.add_outcome, outcome)
    _tell(outcome)
    return outcome


async def last(tx: Tx) -> Outcome | None:
    """The newest comparison, None before the first."""
    return await store.last_outcome(tx)


async def _strangers(tx: Tx, networks: Networks) -> Sequence[Reading]:
    """Networks that the book has money on and the configuration does not name any more."""
    booked = await store_work.booked_networks(tx)
    unknown = sorted(booked - {network.name for network in networks.all})
    return [Reading(name, None, "not configured") for name in unknown]


def _tell(outcome: Outcome) -> None:
    for reading in outcome.unread:
        log.warning("a network was not reconciled", network=reading.network, why=reading.unread)
    for one in outcome.differences[:DIFFERENCES_LOGGED]:
        log.error("the book differs from the chain", **asdict(one))
