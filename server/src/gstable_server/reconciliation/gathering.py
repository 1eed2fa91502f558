"""Bringing together what is to be compared: what the server says, and what nodes say, each in parts
that the temporary tables of ``store_work`` take in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

from gstable_server.chain.networks import Network, Networks
from gstable_server.plumbing.db import Database, Tx
from gstable_server.reconciliation import comparing, model, store, store_work
from gstable_server.reconciliation.expectation import is_transfer
from gstable_server.reconciliation.logs import Happening, read
from gstable_server.reconciliation.model import Booked, Claim, Frontier, Owner, RawLog, Reading
from gstable_server.reconciliation.reader import Reader, Unread, open_reader


class Witness(Protocol):
    """What the rest of the server says, which a comparison holds against the chains: all at one
    instant, in a transaction that sees one, and in parts of ``ROWS_AT_ONCE`` at most."""

    async def frontiers(self, tx: Tx) -> Mapping[str, Frontier]:
        """By network's name, how far the book follows it."""

    async def in_motion(self, tx: Tx) -> Collection[bytes]:
        """Keys of sessions about which something was read that the book has not heard yet: they
        are left out."""

    def claims(self, tx: Tx) -> AsyncIterator[Sequence[Claim]]:
        """The refunds that are done."""

    def booked(self, tx: Tx) -> AsyncIterator[Sequence[Booked]]:
        """The sums of the book."""

    async def owners(
        self, tx: Tx, session_keys: Collection[bytes], session_ids: Collection[str]
    ) -> Sequence[Owner]:
        """Whose sessions these are, by either name; the unknown are left out."""


async def take_down(tx: Tx, witness: Witness) -> Mapping[str, Frontier]:
    """Write down all that the server says at one instant; returns how far it follows each
    network."""
    await store_work.begin_snapshot(tx)
    in_motion = list(await witness.in_motion(tx))
    for start in range(0, len(in_motion), model.ROWS_AT_ONCE):
        await store_work.leave_out(tx, in_motion[start : start + model.ROWS_AT_ONCE])
    async for claims in witness.claims(tx):
        await store_work.add_claims(tx, claims)
    async for booked in witness.booked(tx):
        ids = {one.session_id for one in booked if one.session_id is not None}
        owners = await _owners(tx, witness, (), ids)
        await store_work.add_sums(tx, comparing.of_book(booked, owners))
    return await witness.frontiers(tx)


async def read_network(
    work: Database,
    networks: Networks,
    network: Network,
    frontier: Frontier | None,
    *,
    anew: bool,
) -> Reading:
    """Write down what the network's nodes say up to ``frontier``: all of it, or nothing."""
    if frontier is None:
        return Reading(network.name, None)
    try:
        async with open_reader(network) as reader:
            await _read_to(work, networks, network, reader, frontier, anew=anew)
    except Unread as failure:
        problem = str(failure)
    except ValueError:
        problem = "a node's answer makes no sense"
    else:
        return Reading(network.name, frontier.number)
    async with work.read() as tx:
        await store_work.drop_logs(tx, network.name)
    return Reading(network.name, None, problem)


async def _read_to(
    work: Database,
    networks: Networks,
    network: Network,
    reader: Reader,
    frontier: Frontier,
    *,
    anew: bool,
) -> None:
    """Everything up to ``frontier``: what was kept, and the rest from the nodes."""
    await reader.require_chain()
    await reader.require_block(frontier.number, frontier.hash)
    first = network.start_block
    async with work.read() as tx:
        if not anew:
            kept = await store.last_read(tx, network.name)
            async for part in store.kept_logs(tx, network.name, frontier.number):
                await _add(tx, networks, network, part, are_new=False)
            if kept is not None:
                first = kept.last_block + 1
                await _require_kept(reader, kept, frontier)
        async for part in reader.logs(first, frontier.number):
            await _add(tx, networks, network, part, are_new=True)
        async for asked in store_work.unproven(tx, network.name):
            for tx_hash in asked:
                found = await reader.transaction_logs(tx_hash, frontier.number)
                transfers = [log for log in found if is_transfer(log)]
                await _add(tx, networks, network, transfers, are_new=True)
    await reader.require_block(frontier.number, frontier.hash)
    if not anew:
        await _keep(work, network, reader, first, frontier)


async def _add(
    tx: Tx, networks: Networks, network: Network, logs: Sequence[RawLog], *, are_new: bool
) -> None:
    transfers = [is_transfer(log) for log in logs]
    happenings = [
        None if transfer else read(networks, log)
        for log, transfer in zip(logs, transfers, strict=True)
    ]
    session_keys = [one.session_key if one is not None else None for one in happenings]
    await store_work.add_logs(tx, network.name, logs, session_keys, transfers, are_new=are_new)


async def _require_kept(reader: Reader, kept: store.Kept, frontier: Frontier) -> None:
    if kept.last_block > frontier.number:
        # The book was restored, or its network begun anew: it has yet to come there.
        return
    if await reader.block_hash(kept.last_block) != kept.last_hash:
        raise Unread(f"block {kept.last_block} was final and is another one now; see --anew")


async def _keep(
    work: Database, network: Network, reader: Reader, first: int, frontier: Frontier
) -> None:
    """Keep what is final, so that it need not be read again."""
    final = frontier.number - network.confirmations + 1
    if final < first:
        return
    block_hash = await reader.block_hash(final)
    await work.run(store.keep, network.name, first, final, block_hash)


async def expect(tx: Tx, networks: Networks, witness: Witness, unread: Collection[str]) -> None:
    """Write down what the book should say by all that was read, session by session."""
    await store_work.arrange(tx)
    rest: list[Happening] = []
    async for logs in store_work.logs_of_sessions(tx):
        more = [one for log in logs if (one := read(networks, log)) is not None]
        whole, rest = comparing.whole_sessions(rest, more)
        await _expect(tx, networks, witness, whole, unread)
    await _expect(tx, networks, witness, rest, unread)
    async for claims, transfers in store_work.claims_and_transfers(tx):
        owners = await _owners(tx, witness, (), {one.session_id for one in claims})
        sums = comparing.of_claims(networks, claims, transfers, owners)
        await store_work.add_sums(tx, sums)
    await store_work.leave_out_together(tx)


async def _expect(
    tx: Tx,
    networks: Networks,
    witness: Witness,
    happenings: Sequence[Happening],
    unread: Collection[str],
) -> None:
    owners = await _owners(tx, witness, {one.session_key for one in happenings}, ())
    await store_work.add_sums(tx, comparing.of_sessions(networks, happenings, owners))
    crossing = comparing.crossing(networks, happenings, unread)
    await store_work.leave_out(tx, list(crossing))


async def _owners(
    tx: Tx, witness: Witness, session_keys: Collection[bytes], session_ids: Collection[str]
) -> Mapping[bytes, Owner]:
    found = await witness.owners(tx, session_keys, session_ids)
    return {owner.session_key: owner for owner in found}
