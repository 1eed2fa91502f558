"""The whole system on one page: which event is handled by whom, which jobs exist, and what
happens by the clock. Imports run one way; this is where the circle of data is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import structlog

from gstable_server import reconciling
from gstable_server.accounts.limits import operations as limits
from gstable_server.accounts.members import forgotten
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.notices import operations as notices
from gstable_server.accounts.notices.operations import Postman
from gstable_server.accounts.payouts import operations as payouts
from gstable_server.catalog import operations as catalog
from gstable_server.chain import operations as chain
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import Rpc
from gstable_server.kernel.ids import NoticeId, ProductId, SessionId
from gstable_server.ledger import operations as ledger
from gstable_server.plumbing import idempotency, jobs, metrics, request_log, stuck, tracing
from gstable_server.plumbing.db import DATABASE_FAILED, Database, Tx
from gstable_server.plumbing.events import CHANNEL, StoredEvent
from gstable_server.plumbing.http_client import HttpClient
from gstable_server.plumbing.jobs import QUEUE, JobHandler
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.wakeups import listen
from gstable_server.receipts import mailing
from gstable_server.receipts.mailing import Mailing
from gstable_server.reconciliation import operations as reconciliation
from gstable_server.sessions import hearing, settling
from gstable_server.sessions.deposits import watching as deposits
from gstable_server.sessions.holds import hearing as hold_hearing
from gstable_server.sessions.holds import operations as holds
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.unmatched import following as unmatched
from gstable_server.sessions.unmatched import judging as unmatched_judging
from gstable_server.settlement import operations as settlement
from gstable_server.settlement.operations import Settler
from gstable_server.webhooks import dispatch
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.dispatch import Pace

log = structlog.get_logger(__name__)
T = TypeVar("T")

RELAY_PAUSE_SECONDS = 0.1
SETTLE_PAUSE_SECONDS = 0.1
RECONCILE_PAUSE_SECONDS = 10
REHOST_IMAGE = "catalog.rehost_image"
SEND_RECEIPT = "receipts.send"
SEND_NOTICE = "notices.send"


@dataclass(frozen=True, slots=True)
class World:
    """What handlers, jobs and the timetable work with; ``chains`` by the network's name. Without
    ``mailing`` no receipts are sent, without ``postman`` nothing to members."""

    db: Database
    desk: Desk
    http: HttpClient
    deliveries: Pace = field(default_factory=Pace)
    stall_after: timedelta = timedelta(seconds=120)
    reconcile_after: timedelta = timedelta(hours=1)
    chains: Mapping[str, Rpc] = field(default_factory=dict)
    mailing: Mailing | None = None
    postman: Postman | None = None

    @property
    def settler(self) -> Settler:
        """What settling needs: the same networks and rails that orders are made of."""
        return Settler(self.desk.networks, self.desk.rails, self.stall_after)


Batch = Sequence[StoredEvent]
"""Events of different objects, the oldest first."""
Handler = Callable[[Tx, World, Batch], Awaitable[None]]


def _each(handle: Callable[[Tx, World, StoredEvent], Awaitable[None]]) -> Handler:
    """The handler of what is too rare to be handled together."""

    async def handle_each(tx: Tx, world: World, batch: Batch) -> None:
        for stored in batch:
            with tracing.span(stored.event.type, parent=stored.event.trace_parent):
                await handle(tx, world, stored)

    return handle_each


async def hear_payment(tx: Tx, world: World, batch: Batch) -> None:
    """Facts of the chain reach the sessions that they are about."""
    await hearing.hear_all(tx, world.desk, batch)


@_each
async def settle(tx: Tx, world: World, stored: StoredEvent) -> None:
    """A fact of either end of a crossing reaches what is known of it."""
    await settlement.hear(tx, world.settler, stored)


@_each
async def settle_step(tx: Tx, world: World, stored: StoredEvent) -> None:
    """What became of a transaction of ours reaches the crossing that it was sent for."""
    await settlement.hear_executor(tx, stored)


async def hear_settlement(tx: Tx, world: World, batch: Batch) -> None:
    """What is told of crossings reaches the sessions that were paid by them."""
    await settling.hear_all(tx, world.desk, batch)


@_each
async def hear_hold(tx: Tx, world: World, stored: StoredEvent) -> None:
    """What left a hold, or that it was lost, reaches the session that was paid into it."""
    await hold_hearing.hear(tx, world.desk, stored)


@_each
async def hold_step(tx: Tx, world: World, stored: StoredEvent) -> None:
    """What became of a transaction of ours reaches the hold that it was sent for."""
    await hold_hearing.hear_executor(tx, world.desk, stored)


@_each
async def hear_transfer(tx: Tx, world: World, stored: StoredEvent) -> None:
    """A transfer of a merchant's wallet reaches the refund that it proves."""
    await refunds.hear(tx, world.desk, stored)


async def note_payments(tx: Tx, world: World, batch: Batch) -> None:
    """Facts about sessions reach what is known of money that pays nothing as asked."""
    await unmatched_judging.note_payments(tx, world.desk, batch)


async def note_settlements(tx: Tx, world: World, batch: Batch) -> None:
    """What became of crossings reaches it, too."""
    await unmatched_judging.note_settlements(tx, world.desk, batch)


async def note_sessions(tx: Tx, world: World, batch: Batch) -> None:
    """The end of a session, or of a refund, reaches what came for it."""
    await unmatched_judging.note_sessions(tx, world.desk, batch)


@_each
async def note_inbound(tx: Tx, world: World, stored: StoredEvent) -> None:
    """Money that came to an address or a contract of ours is written down."""
    await unmatched_judging.note_inbound(tx, world.desk, stored)


@_each
async def note_recovery(tx: Tx, world: World, stored: StoredEvent) -> None:
    """What went back from a deposit address reaches what had come there."""
    await unmatched_judging.note_recovery(tx, world.desk, stored)


@_each
async def note_coin(tx: Tx, world: World, stored: StoredEvent) -> None:
    """Coins at a deposit address, of which no log tells, are written down."""
    await unmatched_judging.note_coin(tx, world.desk, stored)


async def post_letter(tx: Tx, world: World, batch: Batch) -> None:
    """Events of merchants' objects go to the merchants' webhook endpoints."""
    await webhooks.post_all(tx, batch)


async def queue_receipt(tx: Tx, world: World, batch: Batch) -> None:
    """A payer who gave an address gets the receipt by e-mail: by a job, as it takes a while."""
    if world.mailing is not None:
        for session_id in await mailing.queue(tx, batch):
            await _enqueue_receipt(tx, session_id)


async def _enqueue_receipt(tx: Tx, session_id: SessionId) -> None:
    await QUEUE.enqueue(tx, SEND_RECEIPT, session_id, dedupe_key=f"{SEND_RECEIPT}:{session_id}")


@_each
async def queue_picture(tx: Tx, world: World, stored: StoredEvent) -> None:
    """A product's picture is fetched by a job, because it takes an outgoing request."""
    await QUEUE.enqueue(tx, REHOST_IMAGE, stored.event.object_id)


NEXT: Mapping[str, tuple[Handler, ...]] = {
    "chain.payment_seen": (hear_payment, settle, note_payments),
    "chain.payment_final": (hear_payment, settle, note_payments),
    "chain.payment_reorged": (hear_payment, settle, note_payments),
    "chain.payment_lost": (hear_payment, settle, hear_hold, note_payments),
    "chain.delivery_seen": (settle,),
    "chain.delivery_final": (settle,),
    "chain.delivery_reorged": (settle,),
    "chain.delivery_lost": (settle,),
    "chain.escrow_seen": (settle,),
    "chain.escrow_final": (settle,),
    "chain.escrow_reorged": (settle,),
    "chain.escrow_lost": (settle,),
    "chain.hold_seen": (hear_hold, note_payments),
    "chain.hold_final": (hear_hold, note_payments),
    "chain.hold_reorged": (hear_hold, note_payments),
    "chain.hold_lost": (hear_hold, note_payments),
    "chain.transfer_seen": (hear_transfer,),
    "chain.transfer_final": (hear_transfer,),
    "chain.transfer_reorged": (hear_transfer,),
    "chain.transfer_lost": (hear_transfer,),
    "chain.inbound_seen": (note_inbound,),
    "chain.inbound_final": (note_inbound,),
    "chain.inbound_reorged": (note_inbound,),
    "chain.inbound_lost": (note_inbound,),
    "chain.recovery_seen": (note_recovery,),
    "chain.recovery_final": (note_recovery,),
    "chain.recovery_reorged": (note_recovery,),
    "chain.recovery_lost": (note_recovery,),
    "deposit.coin_seen": (note_coin,),
    "executor.mined": (settle_step, hold_step),
    "executor.final": (settle_step, hold_step),
    "executor.failed": (settle_step, hold_step),
    "executor.refused": (settle_step, hold_step),
    "settlement.started": (),
    "settlement.delivered": (hear_settlement, note_settlements),
    "settlement.delivery_reverted": (hear_settlement, note_settlements),
    "settlement.completed": (hear_settlement, note_settlements),
    "settlement.stalled": (hear_settlement, note_settlements),
    "settlement.resumed": (hear_settlement, note_settlements),
    "settlement.returned": (hear_settlement, note_settlements),
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
    "payment.link.archived": (post_letter,),
    "session.created": (post_letter,),
    "session.paid": (post_letter,),
    "session.settling": (post_letter,),
    "session.settlement_pending": (post_letter,),
    "session.completed": (post_letter, queue_receipt),
    "session.expired": (post_letter, note_sessions),
    "session.cancelled": (post_letter, note_sessions),
    "session.underpaid": (post_letter,),
    "session.overpaid": (post_letter,),
    "session.paid_late": (post_letter,),
    "session.payment_reverted": (post_letter,),
    "session.refunded": (post_letter, note_sessions),
    "session.captured": (post_letter,),
    "session.voided": (post_letter,),
    "webhook.test": (post_letter,),
    "webhook.paused": (post_letter,),
    "webhook.disabled": (post_letter,),
}


@dataclass(frozen=True, slots=True)
class Appointment:
    """Something that is done every ``seconds``, in a transaction of its own."""

    name: str
    seconds: float
    keep: Callable[[Tx, World], Awaitable[object]]


async def _expire_sessions(tx: Tx, world: World) -> None:
    await hearing.expire_due(tx, world.desk)


async def _follow_up_unmatched(tx: Tx, world: World) -> None:
    await unmatched.follow_up(tx, world.desk)


async def _expire_refunds(tx: Tx, world: World) -> None:
    await refunds.expire_due(tx)


async def _end_watches(tx: Tx, world: World) -> None:
    await refunds.unwatch_due(tx)
    await chain.forget_receivers(tx)


async def _reclaim_holds(tx: Tx, world: World) -> None:
    await holds.reclaim_due(tx, world.desk)


async def _watch_settlements(tx: Tx, world: World) -> None:
    await settlement.watch(tx, world.settler)
    await settlement.watch_unpaid(tx, world.settler)


async def _settle_stranded_letters(tx: Tx, world: World) -> None:
    await webhooks.settle_stranded(tx)


async def _end_stuck_connections(tx: Tx, world: World) -> None:
    await stuck.end(tx)


async def _forget_idempotency_keys(tx: Tx, world: World) -> None:
    await idempotency.purge(tx)


async def _seal_book(tx: Tx, world: World) -> None:
    await ledger.seal(tx)


async def _forget_job_log(tx: Tx, world: World) -> None:
    await jobs.forget(tx)


async def _forget_requests(tx: Tx, world: World) -> None:
    await request_log.purge(tx)


async def _send_receipts(tx: Tx, world: World) -> None:
    """Letters that could not be sent, or whose process died, are due again by the clock."""
    if world.mailing is not None:
        for session_id in await mailing.due(tx):
            await _enqueue_receipt(tx, session_id)


async def _send_notices(tx: Tx, world: World) -> None:
    """Letters to members; those that could not be sent are due again by the clock."""
    if world.postman is not None:
        for notice_id in await notices.due(tx):
            key = f"{SEND_NOTICE}:{notice_id}"
            await QUEUE.enqueue(tx, SEND_NOTICE, notice_id, dedupe_key=key)


async def _carry_out_changes(tx: Tx, world: World) -> None:
    await payouts.carry_out(tx, world.desk.networks, sends_mail=world.postman is not None)
    await limits.carry_out(tx, sends_mail=world.postman is not None)


async def _forget_logins(tx: Tx, world: World) -> None:
    await members.purge(tx)
    await forgotten.purge(tx)
    await notices.purge(tx)


TIMETABLE = (
    Appointment("expire sessions", 0.5, _expire_sessions),
    Appointment("watch settlements", 0.5, _watch_settlements),
    Appointment("seal the book", 1, _seal_book),
    Appointment("reclaim holds", 1, _reclaim_holds),
    Appointment("expire refunds", 5, _expire_refunds),
    Appointment("follow up unmatched money", 5, _follow_up_unmatched),
    Appointment("settle stranded letters", 5, _settle_stranded_letters),
    Appointment("send receipts", 5, _send_receipts),
    Appointment("carry out changes", 10, _carry_out_changes),
    Appointment("send notices", 5, _send_notices),
    Appointment("end stuck connections", 2, _end_stuck_connections),
    Appointment("end watches", 600, _end_watches),
    Appointment("forget idempotency keys", 600, _forget_idempotency_keys),
    Appointment("forget logins", 600, _forget_logins),
    Appointment("forget requests", 60, _forget_requests),
    Appointment("forget the job log", 600, _forget_job_log),
)


def job_handlers(world: World) -> Mapping[str, JobHandler]:
    """Every job by its name."""

    async def rehost_image(payload: bytes) -> None:
        await catalog.rehost_image(world.db, world.http, ProductId(payload.decode()))

    async def send_receipt(payload: bytes) -> None:
        if world.mailing is not None:
            await mailing.send(world.db, world.desk, world.mailing, SessionId(payload.decode()))

    async def send_notice(payload: bytes) -> None:
        if world.postman is not None:
            await notices.send(world.db, world.postman, NoticeId(payload.decode()))

    return {REHOST_IMAGE: rehost_image, SEND_RECEIPT: send_receipt, SEND_NOTICE: send_notice}


async def handle(tx: Tx, world: World, batch: Batch) -> None:
    """Run the handlers of a batch's events, all in the transaction that takes them from the
    outbox. Those of other objects need not be in order, so each handler gets all that is its."""
    together: dict[tuple[Handler, ...], list[StoredEvent]] = {}
    for stored in batch:
        together.setdefault(NEXT[stored.event.type], []).append(stored)
    for handlers, events in together.items():
        for handler in handlers:
            await handler(tx, world, events)


async def relay(world: World, stop: asyncio.Event) -> None:
    """Hand events to their handlers until ``stop``; a lost database is tried again. What is told
    of a chain is heard of at once, the rest at the latest after a pause."""

    async def handle_batch(tx: Tx, batch: Batch) -> None:
        await handle(tx, world, batch)

    told = asyncio.Event()
    listening = asyncio.create_task(listen(world.db, CHANNEL, told.set))
    try:
        while not stop.is_set():
            told.clear()
            handled = await _tolerate("relay", relay_once(world.db, handle_batch))
            if not handled:
                await pause(told, RELAY_PAUSE_SECONDS)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


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


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until ``stop``."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
