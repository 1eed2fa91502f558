"""The whole system on one page: which event is handled by whom, which jobs exist, and what
happens by the clock (``worker`` runs it). Imports run one way; this is where the circle of data is
closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from gstable_server.accounts.limits import operations as limits
from gstable_server.accounts.members import forgotten
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.notices import operations as notices
from gstable_server.accounts.notices.operations import Postman
from gstable_server.accounts.payouts import operations as payouts
from gstable_server.catalog import operations as catalog
from gstable_server.chain import operations as chain
from gstable_server.chain.rpc import Rpc
from gstable_server.kernel.ids import NoticeId, ProductId, SessionId
from gstable_server.ledger import operations as ledger
from gstable_server.plumbing import idempotency, jobs, request_log, stuck, tracing
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import StoredEvent
from gstable_server.plumbing.http_client import HttpClient
from gstable_server.plumbing.jobs import QUEUE, JobHandler
from gstable_server.receipts import mailing
from gstable_server.receipts.mailing import Mailing
from gstable_server.sessions import hearing, settling
from gstable_server.sessions.holds import hearing as hold_hearing
from gstable_server.sessions.holds import operations as holds
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.unmatched import following as unmatched
from gstable_server.sessions.unmatched import judging as unmatched_judging
from gstable_server.settlement import operations as settlement
from gstable_server.settlement.operations import Settler
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.dispatch import Pace

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
