"""Bugs of whoever tells what happened: events, the relay, and letters to receivers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import structlog

from gstable_server.plumbing import outbox
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import stored_event
from gstable_server.sessions import hearing
from gstable_server.webhooks import delivery as deliveries
from gstable_server.webhooks import machine as webhook_machine
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.model import Attempt, MessageState
from tests.sim import machines
from tests.sim.planting import bug, replaced


@bug("event-in-a-second-commit")
def tells_in_a_second_commit() -> Iterator[None]:
    @asynccontextmanager
    async def begin(self: Any) -> AsyncIterator[Tx]:
        async with self._connection() as connection, connection.transaction():
            tx = Tx(connection, self.clock.now(), self.ids)
            yield tx
        async with self._connection() as connection, connection.transaction():
            tx.connection = connection
            await tx.flush()

    with replaced(Database, "begin", begin):
        yield


@bug("event-told-twice")
def tells_twice() -> Iterator[None]:
    right = hearing.tell

    def twice(*given: Any) -> None:
        right(*given)
        right(*given)

    with replaced(hearing, "tell", twice):
        yield


@bug("event-not-told")
def tells_no_reversals() -> Iterator[None]:
    right = hearing.tell

    def mostly(tx: Any, desk: Any, event_type: str, view: Any) -> None:
        if event_type != "session.completed" or view.session.session_key[0] % 8:
            right(tx, desk, event_type, view)

    with replaced(hearing, "tell", mostly):
        yield


@bug("taken-from-the-outbox-before-it-is-handled")
def removes_first() -> Iterator[None]:
    """The rows go in one commit, and their handlers run in the next."""

    async def relay_once(db: Any, handle: Any, limit: int = outbox.BATCH) -> int:
        async with db.begin() as tx:
            rounds = outbox._rounds(await tx.fetch(outbox._TAKE_NEXT, tx.now, limit))
            taken = [row for one in rounds for row in one]
            await tx.execute(outbox._REMOVE, [row["sequence"] for row in taken])
        if taken:
            async with db.begin() as tx:
                for one in rounds:
                    await handle(tx, [stored_event(row) for row in one])
        return len(taken)

    with replaced(machines, "relay_once", relay_once):
        yield


@bug("events-of-one-object-out-of-order")
def forgets_the_order() -> Iterator[None]:
    wrong = outbox._TAKE_NEXT.replace("(object_id, sequence) <", "(object_id, sequence) >")
    wrong = wrong.replace("object_id DESC, sequence DESC", "object_id, sequence")
    wrong = wrong.replace("BY looked.sequence", "BY looked.sequence DESC")
    with replaced(outbox, "_TAKE_NEXT", wrong):
        yield


@bug("any-answer-is-success")
def believes_any_answer() -> Iterator[None]:
    def delivered(*_: Any) -> webhook_machine.Decision:
        return webhook_machine.Decision(MessageState.DELIVERED)

    with replaced(deliveries, "decide", delivered):
        yield


@bug("redirect-is-success")
def believes_redirects() -> Iterator[None]:
    def succeeded(self: Attempt) -> bool:
        return self.status_code is not None and self.status_code < 400

    with replaced(Attempt, "succeeded", property(succeeded)):
        yield


@bug("letter-given-up-after-one-try")
def gives_up() -> Iterator[None]:
    right = webhook_machine.decide

    def once(*given: Any) -> webhook_machine.Decision:
        decision = right(*given)
        if decision.state is MessageState.PENDING:
            return replace(decision, state=MessageState.EXHAUSTED, wait=None)
        return decision

    with replaced(deliveries, "decide", once):
        yield


@bug("another-id-for-each-try")
def renames_letters() -> Iterator[None]:
    right = deliveries.signature_headers

    def renamed(keys: Any, event_id: Any, at: Any, body: Any) -> dict[str, str]:
        headers = right(keys, event_id, at, body)
        return {**headers, "webhook-id": f"{event_id}-{at}"}

    with replaced(deliveries, "signature_headers", renamed):
        yield


@bug("letter-rendered-anew")
def renders_anew() -> Iterator[None]:
    right = deliveries._send

    async def send(http: Any, clock: Any, delivery: Any, timeout: float) -> Attempt:
        stamped = delivery.body[:-1] + f',"sentAt":"{clock.now().isoformat()}"}}'.encode()
        return await right(http, clock, replace(delivery, body=stamped), timeout)

    with replaced(deliveries, "_send", send):
        yield


@bug("letters-only-for-some")
def posts_for_some() -> Iterator[None]:
    """The last event of a batch is forgotten."""
    right = webhooks.post_all

    async def some(tx: Any, batch: Any) -> None:
        await right(tx, batch[:-1] if len(batch) > 1 else batch)

    with replaced(webhooks, "post_all", some):
        yield


@bug("secret-in-the-log")
def logs_a_secret() -> Iterator[None]:
    right = deliveries._send

    async def send(http: Any, clock: Any, delivery: Any, timeout: float) -> Attempt:
        attempt = await right(http, clock, delivery, timeout)
        if not attempt.succeeded:
            log = structlog.get_logger(__name__)
            log.warning("not delivered", delivery=repr(delivery.keys.current))
        return attempt

    with replaced(deliveries, "_send", send):
        yield
