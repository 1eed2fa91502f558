"""Events: what was told, one of them with its letter, where it went, and sending it again."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from gstable_server.accounts.audit.model import Note
from gstable_server.kernel.ids import EventId
from gstable_server.web.dashboard.address import NEWEST, id_of, number_before
from gstable_server.web.dashboard.developers.webhooks_presenter import (
    body_text,
    delivery_row,
    event_row,
)
from gstable_server.web.dashboard.guard import Guard, Visit, onward
from gstable_server.webhooks import operations as webhooks
from gstable_server.webhooks.events import operations
from gstable_server.webhooks.model import DeliveryStatus
from gstable_server.webhooks.routes import webhook_id_of

SECTION = "events"
SHOWN = 50
ABOUT_MAX = 100
WATCHED = timedelta(minutes=1)
"""After somebody asked for a try, its page asks anew by itself for so long."""
ANEW_SECONDS = 2


class Events:
    """The handlers of events."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db

    async def list(self, visit: Visit) -> Response:
        about = visit.request.query_params.get("about", "").strip()[:ABOUT_MAX]
        before = number_before(visit)
        async with self.db.read() as tx:
            found = await operations.latest(tx, visit.tenant, about, before, SHOWN + 1)
        return self.guard.show(
            visit,
            "events.html",
            SECTION,
            rows=[event_row(one) for one in found[:SHOWN]],
            about=about,
            older=found[SHOWN - 1].sequence if len(found) > SHOWN else 0,
            is_first=before == NEWEST,
        )

    async def show(self, visit: Visit) -> Response:
        event_id = id_of(visit, EventId, "event_id")
        async with self.db.read() as tx:
            stored = await operations.detail(tx, visit.tenant, event_id)
            found = await webhooks.attempts_of(tx, visit.tenant, event_id)
            present = {one.webhook_id for one in await webhooks.list_webhooks(tx, visit.tenant)}
            names = await webhooks.names_of(tx, visit.tenant, [one.webhook_id for one in found])
            now = tx.now
        going = any(
            one.status is DeliveryStatus.PENDING
            and one.next_attempt_at is not None
            and one.next_attempt_at <= now + WATCHED
            for one in found
        )
        is_new = now - stored.occurred_at < WATCHED and not found
        answer = self.guard.show(
            visit,
            "event.html",
            SECTION,
            event=event_row(stored),
            body=body_text(stored),
            deliveries=[
                delivery_row(one, names[one.webhook_id], can_send=one.webhook_id in present)
                for one in found
            ],
            is_going=going or is_new,
        )
        if (going or is_new) and "asked" in visit.request.query_params:
            # By the header, which works without scripts, and only where somebody waits for it.
            answer.headers["refresh"] = str(ANEW_SECONDS)
        return answer

    async def redeliver(self, visit: Visit) -> Response:
        """To the endpoint that the form names, or to all that have it or would get it."""
        event_id, named = id_of(visit, EventId, "event_id"), visit.entries.get("webhookId", "")
        webhook_id = webhook_id_of(named) if named else None
        await self.guard.do(
            visit,
            lambda number: Note(
                "event.redelivered", event_id, after={"to": named, "messages": str(number)}
            ),
            webhooks.redeliver,
            visit.tenant,
            event_id,
            webhook_id,
        )
        return onward(visit, f"/events/{event_id}?asked=1&done=event-redelivered")
