"""What the rest of the server asks of the chain package."""

from __future__ import annotations

from datetime import datetime

from gstable_server.chain import store
from gstable_server.chain.checks import check_network
from gstable_server.chain.facts import Fact, from_payload
from gstable_server.chain.store import Block
from gstable_server.chain.store_states import NetworkState, states
from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import StoredEvent

__all__ = [
    "NetworkState",
    "check_network",
    "fact_of",
    "forget_receivers",
    "frontier",
    "network_states",
    "read_until",
    "unwatch_transfer",
    "watch_receiver",
    "watch_transfer",
]


FORGOTTEN_AT_ONCE = 5_000


def fact_of(event: StoredEvent) -> Fact:
    """The fact that a ``chain.…`` event carries."""
    return event.read(from_payload)


async def frontier(tx: Tx, network: str) -> Block | None:
    """How far ``network`` was read; None before its first block."""
    return await store.tip(tx, network)


async def read_until(tx: Tx) -> dict[str, datetime]:
    """By network the block time up to which it was read for good: no reorganisation that is
    followed goes back to before. What ends by the time of blocks ends when this has passed it,
    because by the clock it could end while a network is away, before its blocks are read."""
    return await store.read_until(tx)


async def network_states(tx: Tx) -> list[NetworkState]:
    """How each network is read, by name; at most a second old while its indexer lives."""
    return await states(tx)


async def watch_transfer(tx: Tx, network: str, sender: Address) -> None:
    """Read the token transfers of ``sender`` from now on, and tell of them as facts.

    A transfer is told for certain when the watch was committed before its transaction was handed
    to anybody. Every call is undone by one ``unwatch_transfer``.
    """
    await store.watch_transfer(tx, network, sender)


async def unwatch_transfer(tx: Tx, network: str, sender: Address) -> None:
    """Undo one ``watch_transfer``. Facts about what was seen before are told to their end, except
    that what a reorganisation took back is not found again."""
    await store.unwatch_transfer(tx, network, sender)


async def watch_receiver(tx: Tx, network: str, receiver: Address, until: datetime) -> None:
    """Read the transfers of any token to ``receiver`` in blocks until then at least, and tell of
    them as facts.

    A transfer is told for certain when the watch was committed before the address was handed to
    anybody. Contracts of ours need no watch.
    """
    await store.watch_receiver(tx, network, receiver, until)


async def forget_receivers(tx: Tx) -> int:
    """End the watches whose time is over by the blocks that were read; returns how many."""
    forgotten = 0
    for network, until in (await store.read_until(tx)).items():
        forgotten += await store.unwatch_receivers(tx, network, until, FORGOTTEN_AT_ONCE)
    return forgotten
