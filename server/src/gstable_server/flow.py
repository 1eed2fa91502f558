"""The whole system on one page: which event is handled by whom, which jobs exist, and what
happens by the clock. Imports run one way; this is where the circle of data is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import structlog

from gstable_server.accounts.members import operations as members
from gstable_server.catalog import operations as catalog
from gstable_server.kernel.ids import ProductId
from gstable_server.plumbing import idempotency, jobs
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.plumbing.http_client import HttpClient
from gstable_server.plumbing.jobs import QUEUE, JobHandler
from gstable_server.plumbing.outbox import relay_once
from gstable_server.sessions import hearing
from gstable_server.sessions.operations import Desk
from gstable_server.webhooks import operations as webhooks

log = structlog.get_logger(__name__)
T = TypeVar("T")

RELAY_PAUSE_SECONDS = 0.1
REHOST_IMAGE = "catalog.rehost_image"


@dataclass(frozen=True, slots=True)
class World:
    """What handlers, jobs and the timetable work with."""

    db: Database
    desk: Desk
    http: HttpClient
    webhook_timeout_seconds: float


Handler = Callable[[Tx, World, StoredEvent], Awaitable[None]]


async def hear_payment(tx: Tx, world: World, stored: StoredEvent) -> None:
    """A fact of the chain reaches the session that it is about."""
    await hearing.hear(tx, world.desk, stored)


async def post_letter(tx: Tx, world: World, stored: StoredEvent) -> None:
    """An event of a merchant's object goes to the merchant's webhook endpoints."""
    await webhooks.post(tx, stored)


async def queue_picture(tx: Tx, world: World, stored: StoredEvent) -> None:
    """A product's picture is fetched by a job, because it takes an outgoing request."""
    await QUEUE.enqueue(tx, REHOST_IMAGE, stored.event.object_id)


NEXT: Mapping[str, tuple[Handler, ...]] = {
    "chain.payment_seen": (hear_payment,),
    "chain.payment_final": (hear_payment,),
    "chain.payment_reorged": (hear_payment,),
    "chain.payment_lost": (hear_payment,),
    "chain.delivery_seen": (),
    "chain.delivery_final": (),
    "chain.delivery_reorged": (),
    "chain.delivery_lost": (),
    "chain.escrow_seen": (),
    "chain.escrow_final": (),
    "chain.escrow_reorged": (),
    "chain.escrow_lost": (),
    "chain.hold_seen": (),
    "chain.hold_final": (),
    "chain.hold_reorged": (),
    "chain.hold_lost": (),
    "chain.transfer_seen": (),
    "chain.transfer_final": (),
    "chain.transfer_reorged": (),
    "chain.transfer_lost": (),
    "account.created": (post_letter,),
    "account.updated": (post_letter,),
    "account.removed": (post_letter,),
    "product.created": (post_letter, queue_picture),
    "product.updated": (post_letter, queue_picture),
    "product.archived": (post_letter,),
    "product.unarchived": (post_letter,),
    "product.removed": (post_letter,),
    "payment.link.created": (post_letter,),
    "payment.link.updated": (post_letter,),
    "payment.link.disabled": (post_letter,),
    "payment.link.enabled": (post_letter,),
    "session.created": (post_letter,),
    "session.paid": (post_letter,),
    "session.settling": (post_letter,),
    "session.settlement_pending": (post_letter,),
    "session.completed": (post_letter,),
    "session.expired": (post_letter,),
    "session.cancelled": (post_letter,),
    "session.underpaid": (post_letter,),
    "session.overpaid": (post_letter,),
    "session.paid_late": (post_letter,),
    "session.payment_reverted": (post_letter,),
}


@dataclass(frozen=True, slots=True)
class Appointment:
    """Something that is done every ``seconds``, in a transaction of its own."""

    name: str
    seconds: float
    keep: Callable[[Tx, World], Awaitable[object]]


async def _expire_sessions(tx: Tx, world: World) -> None:
    await hearing.expire_due(tx, world.desk)


async def _forget_idempotency_keys(tx: Tx, world: World) -> None:
    await idempotency.purge(tx)


async def _forget_job_log(tx: Tx, world: World) -> None:
    await jobs.forget(tx)


async def _forget_logins(tx: Tx, world: World) -> None:
    await members.purge(tx)


TIMETABLE = (
    Appointment("expire sessions", 0.5, _expire_sessions),
    Appointment("forget idempotency keys", 600, _forget_idempotency_keys),
    Appointment("forget logins", 600, _forget_logins),
    Appointment("forget the job log", 600, _forget_job_log),
)


def job_handlers(world: World) -> Mapping[str, JobHandler]:
    """Every job by its name."""

    async def rehost_image(payload: bytes) -> None:
        await catalog.rehost_image(world.db, world.http, ProductId(payload.decode()))

    return {
        REHOST_IMAGE: rehost_image,
        **webhooks.job_handlers(
            world.db, world.http, timeout_seconds=world.webhook_timeout_seconds
        ),
    }


async def handle(tx: Tx, world: World, stored: StoredEvent) -> None:
    """Run the handlers of one event, all in the transaction that takes it from the outbox."""
    for handler in NEXT[stored.event.type]:
        await handler(tx, world, stored)


async def relay(world: World, stop: asyncio.Event) -> None:
    """Hand events to their handlers until ``stop``; a lost database is tried again."""

    async def handle_one(tx: Tx, stored: StoredEvent) -> None:
        await handle(tx, world, stored)

    while not stop.is_set():
        handled = await _tolerate("relay", relay_once(world.db, handle_one))
        if not handled:
            await pause(stop, RELAY_PAUSE_SECONDS)


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
    except Exception:
        log.exception("worker turn failed", what=what)
        return None


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until ``stop``."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
