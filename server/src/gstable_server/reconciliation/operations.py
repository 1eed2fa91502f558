"""Comparing the book with the chains, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import structlog

from gstable_server.chain.networks import Network, Networks
from gstable_server.plumbing.db import Database, Tx
from gstable_server.reconciliation import store
from gstable_server.reconciliation.comparing import Comparison, compare
from gstable_server.reconciliation.expectation import is_transfer
from gstable_server.reconciliation.logs import read
from gstable_server.reconciliation.model import (
    Claim,
    Frontier,
    Outcome,
    Owner,
    RawLog,
    Reading,
    Told,
)
from gstable_server.reconciliation.reader import Reader, Unread, open_reader

log = structlog.get_logger(__name__)

DIFFERENCES_KEPT = 1000
DIFFERENCES_LOGGED = 20


class Witness(Protocol):
    """What the rest of the server says, which a comparison holds against the chains."""

    async def tell(self, tx: Tx) -> Told:
        """All of it, in a transaction that sees one instant."""

    async def owners(
        self, tx: Tx, session_keys: Collection[bytes], session_ids: Collection[str]
    ) -> Sequence[Owner]:
        """Whose sessions these are, by either name; the unknown are left out."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of one network: our contracts' logs, and those that prove refunds."""

    reading: Reading
    logs: Sequence[RawLog] = ()
    transfers: Sequence[RawLog] = ()


async def reconcile(
    db: Database, networks: Networks, witness: Witness, *, anew: bool = False
) -> Outcome:
    """Compare the whole book with all chains, and record what came of it.

    Of blocks that were final when they were read the logs are kept, so that each is read once;
    ``anew`` reads all of them again. A network whose nodes do not answer is left out, and named.
    No transaction is open while nodes are asked; a process that dies has at most read in vain.
    """
    async with db.begin() as tx:
        await store.begin_snapshot(tx)
        told = await witness.tell(tx)
    reads = [await _read(db, network, told, anew=anew) for network in networks.all]
    happenings = [
        happening
        for each in reads
        for one in each.logs
        if (happening := read(networks, one)) is not None
    ]
    owners = await _owners(db, witness, told, {one.session_key for one in happenings})
    readings = [*(each.reading for each in reads), *_strangers(networks, told)]
    comparison = compare(
        networks,
        happenings,
        [one for each in reads for one in each.transfers],
        owners,
        told,
        {one.network for one in readings if one.unread is not None},
    )
    return await db.run(_record, tuple(readings), comparison)


async def last(tx: Tx) -> Outcome | None:
    """The newest comparison, None before the first."""
    return await store.last_outcome(tx)


async def _owners(
    db: Database, witness: Witness, told: Told, session_keys: Collection[bytes]
) -> Mapping[bytes, Owner]:
    ids = {one.session_id for one in told.booked if one.session_id is not None}
    async with db.read() as tx:
        found = await witness.owners(
            tx, session_keys, {*ids, *(one.session_id for one in told.claims)}
        )
    return {owner.session_key: owner for owner in found}


def _strangers(networks: Networks, told: Told) -> list[Reading]:
    """Networks that the book has money on and the configuration does not name any more."""
    booked = {one.token_id.partition("::")[0] for one in told.booked}
    unknown = sorted(booked - {network.name for network in networks.all})
    return [Reading(name, None, "not configured") for name in unknown]


async def _read(db: Database, network: Network, told: Told, *, anew: bool) -> _Read:
    frontier = told.frontiers.get(network.name)
    if frontier is None:
        return _Read(Reading(network.name, None))
    try:
        async with open_reader(network) as reader:
            return await _read_to(db, network, reader, frontier, told.claims, anew=anew)
    except Unread as failure:
        return _Read(Reading(network.name, None, str(failure)))
    except ValueError:
        return _Read(Reading(network.name, None, "a node's answer makes no sense"))


async def _read_to(
    db: Database,
    network: Network,
    reader: Reader,
    frontier: Frontier,
    claims: Sequence[Claim],
    *,
    anew: bool,
) -> _Read:
    """Everything up to ``frontier``: what was kept, and the rest from the nodes."""
    await reader.require_chain()
    await reader.require_block(frontier.number, frontier.hash)
    first, logs = network.start_block, list[RawLog]()
    if not anew:
        async with db.read() as tx:
            kept = await store.last_read(tx, network.name)
            logs = await store.kept_logs(tx, network.name, frontier.number)
        if kept is not None:
            first = kept.last_block + 1
            await _require_kept(reader, kept, frontier)
    new = await reader.logs(first, frontier.number)
    proven = {log.tx_hash for log in logs if is_transfer(log)}
    asked = {one.tx_hash for one in claims if one.network == network.name} - proven
    for tx_hash in sorted(asked):
        found = await reader.transaction_logs(tx_hash, frontier.number)
        new += [log for log in found if is_transfer(log)]
    await reader.require_block(frontier.number, frontier.hash)
    if not anew:
        await _keep(db, network, reader, first, frontier, new)
    logs += new
    return _Read(
        Reading(network.name, frontier.number),
        [log for log in logs if not is_transfer(log)],
        [log for log in logs if is_transfer(log)],
    )


async def _require_kept(reader: Reader, kept: store.Kept, frontier: Frontier) -> None:
    if kept.last_block > frontier.number:
        # The book was restored, or its network begun anew: it has yet to come there.
        return
    if await reader.block_hash(kept.last_block) != kept.last_hash:
        raise Unread(f"block {kept.last_block} was final and is another one now; see --anew")


async def _keep(
    db: Database,
    network: Network,
    reader: Reader,
    first: int,
    frontier: Frontier,
    logs: Sequence[RawLog],
) -> None:
    """Keep what is final, so that it need not be read again."""
    final = frontier.number - network.confirmations + 1
    if final < first:
        return
    block_hash = await reader.block_hash(final)
    deep = [log for log in logs if log.block_number <= final]
    await db.run(store.keep, network.name, first, final, block_hash, deep)


async def _record(tx: Tx, readings: tuple[Reading, ...], comparison: Comparison) -> Outcome:
    outcome = Outcome(
        at=tx.now,
        readings=readings,
        sessions=comparison.sessions,
        left_out=comparison.left_out,
        count=len(comparison.differences),
        differences=comparison.differences[:DIFFERENCES_KEPT],
    )
    await store.add_outcome(tx, outcome)
    for reading in outcome.unread:
        log.warning("a network was not reconciled", network=reading.network, why=reading.unread)
    for one in outcome.differences[:DIFFERENCES_LOGGED]:
        log.error("the book differs from the chain", **asdict(one))
    return outcome
