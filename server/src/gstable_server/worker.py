"""What a worker does until it is stopped: the loops that run ``flow``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import structlog

from gstable_server import reconciling
from gstable_server.chain.networks import Network
from gstable_server.flow import TIMETABLE, Appointment, Batch, World, handle
from gstable_server.plumbing import metrics
from gstable_server.plumbing.db import DATABASE_FAILED, Tx
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.regularly import pause
from gstable_server.plumbing.relaying import keep_relaying
from gstable_server.reconciliation import operations as reconciliation
from gstable_server.sessions.deposits import watching as deposits
from gstable_server.settlement import operations as settlement
from gstable_server.webhooks import dispatch

log = structlog.get_logger(__name__)
T = TypeVar("T")

SETTLE_PAUSE_SECONDS = 0.1
RECONCILE_PAUSE_SECONDS = 10


async def relay(world: World, stop: asyncio.Event) -> None:
    """Hand events to their handlers until ``stop``; a lost database is tried again."""

    async def handle_batch(tx: Tx, batch: Batch) -> None:
        await handle(tx, world, batch)

    async def turn() -> int | None:
        return await _tolerate("relay", relay_once(world.db, handle_batch))

    await keep_relaying(world.db, turn, stop)


async def deliver_messages(world: World, stop: asyncio.Event) -> None:
    """Deliver letters to the merchants' endpoints until ``stop``."""
    await dispatch.deliver_messages(world.db, world.http, world.deliveries, stop)


async def finish_settlements(world: World, stop: asyncio.Event) -> None:
    """Ask rails for the next steps of crossings until ``stop``. It looks often, because a payer
    who crosses waits for this; and each crossing by itself, because a rail may be slow."""
    async with asyncio.TaskGroup() as group:
        while not stop.is_set():
            due = await _tolerate("settlements", settlement.look(world.db))
            for turn in due or ():
                asking = settlement.tend(world.db, world.settler, turn)
                group.create_task(_tolerate("settlement", asking))
            await pause(stop, SETTLE_PAUSE_SECONDS)


async def watch_deposits(world: World, stop: asyncio.Event) -> None:
    """Look at deposit addresses until ``stop``: each network by itself, because one that answers
    slowly or not at all must not keep the others waiting."""
    async with asyncio.TaskGroup() as group:
        for network in world.desk.networks.all:
            if network.contracts.deposit_collector is not None:
                group.create_task(_watch_deposits(world, network, stop))


async def _watch_deposits(world: World, network: Network, stop: asyncio.Event) -> None:
    rpc, what = world.chains[network.name], f"deposits on {network.name}"
    while not stop.is_set():
        await _tolerate(what, deposits.look(world.db, world.desk, network, rpc))
        await pause(stop, network.poll_milliseconds / 1000)


async def reconcile(world: World, stop: asyncio.Event) -> None:
    """Compare the book with the chains when the last time is long enough ago, until ``stop``. It
    asks nodes, so it is no appointment, which is one transaction. Workers that do so at the same
    time only do it twice."""
    while not stop.is_set():
        if await _tolerate("reconciliation", world.db.run(_is_to_reconcile, world)):
            comparing = reconciling.reconcile(world.db, world.desk.networks)
            await _tolerate("reconciliation", comparing)
        await pause(stop, RECONCILE_PAUSE_SECONDS)


async def _is_to_reconcile(tx: Tx, world: World) -> bool:
    last = await reconciliation.last(tx)
    return last is None or tx.now - last.at >= world.reconcile_after


async def keep_timetable(world: World, stop: asyncio.Event) -> None:
    """Keep every appointment until ``stop``."""
    async with asyncio.TaskGroup() as group:
        for appointment in TIMETABLE:
            group.create_task(_keep(world, appointment, stop))


async def _keep(world: World, appointment: Appointment, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await _tolerate(appointment.name, world.db.run(appointment.keep, world))
        await pause(stop, appointment.seconds)


async def _tolerate(what: str, work: Awaitable[T]) -> T | None:
    """The edge of the worker: what fails is logged and tried again at the next turn."""
    try:
        return await work
    except DATABASE_FAILED as failure:  # every loop says so: one line of each is enough
        log.warning("worker turn failed", what=what, reason=str(failure))
    except Exception:
        log.exception("worker turn failed", what=what)
    metrics.turn_failed(what)
    return None
