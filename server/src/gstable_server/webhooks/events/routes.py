"""The merchant API of events (spec 9): the same envelope that endpoints receive."""

from __future__ import annotations

from gstable_server.kernel.clock import from_unix_seconds
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.fields import Body
from gstable_server.kernel.ids import EventId, id_or_none
from gstable_server.kernel.paging import page_from_path
from gstable_server.kernel.tenant import Access
from gstable_server.plumbing.route import Call, Handler, Json, Route
from gstable_server.webhooks import operations as deliveries
from gstable_server.webhooks.events import operations, wire
from gstable_server.webhooks.letters import letter
from gstable_server.webhooks.routes import sees_secrets, webhook_id_of
from gstable_server.webhooks.wire import Envelope

TAGS = ("Events",)


def _event_id(text: str) -> EventId:
    """Text that has not the form of an event's identifier names no event."""
    event_id = id_or_none(EventId, text)
    if event_id is None:
        raise Refused(Code.EVENT_NOT_FOUND)
    return event_id


async def _list(call: Call) -> Json:
    page = page_from_path(call.path["page"], call.path["size"])
    total, events = await operations.list_events(call.tx, call.caller.tenant, page)
    return wire.EventPage(
        total=total, page=page.number, size=page.size, events=[letter(each) for each in events]
    )


async def _detail(call: Call) -> Json:
    event_id = _event_id(call.path["eventId"])
    return letter(await operations.detail(call.tx, call.caller.tenant, event_id))


async def _deliveries(call: Call) -> Json:
    event_id = _event_id(call.path["eventId"])
    await operations.detail(call.tx, call.caller.tenant, event_id)
    found = await deliveries.attempts_of(call.tx, call.caller.tenant, event_id)
    shown = sees_secrets(call)
    return wire.Deliveries(
        deliveries=[wire.render_delivery(each, with_response=shown) for each in found]
    )


async def _resend(call: Call) -> Json:
    event_id, named = _event_id(call.body.event_id), call.body.webhook_id
    webhook_id = None if named is None else webhook_id_of(named)
    number = await deliveries.redeliver(call.tx, call.caller.tenant, event_id, webhook_id)
    return wire.Resent(success=True, messages=number)


async def _resend_range(call: Call) -> Json:
    since, until = call.body.since, call.body.until
    if until <= since:
        raise invalid_field("until", "must be after since")
    number = await deliveries.redeliver_range(
        call.tx,
        call.caller.tenant,
        webhook_id_of(call.body.webhook_id),
        from_unix_seconds(since),
        from_unix_seconds(until),
    )
    return wire.Resent(success=True, messages=number)


async def _feed(call: Call) -> Json:
    size = page_from_path("1", call.path["size"]).size
    events, cursor = await operations.feed(call.tx, call.caller.tenant, call.path["cursor"], size)
    return wire.EventFeed(events=[letter(each) for each in events], cursor=cursor)


def routes() -> list[Route]:
    """The rows that ``api`` mounts."""
    return [
        _read("list/{page}/{size}", _list, "List events, newest first", wire.EventPage),
        _read(
            "detail/{eventId}",
            _detail,
            "Read one event, with the object as it was when it happened",
            Envelope,
        ),
        _read(
            "feed/{cursor}/{size}",
            _feed,
            "Read the events after a cursor, oldest first: `begin`, `start` (now, answers only a "
            "cursor), or the cursor of the answer before",
            wire.EventFeed,
        ),
        _read(
            "deliveries/{eventId}",
            _deliveries,
            "Read where an event was sent, and each attempt with its answer",
            wire.Deliveries,
        ),
        _resent(
            "resend",
            _resend,
            "Send an event again, to one endpoint or to all that it was or would be sent to",
            wire.ResendEvent,
        ),
        _resent(
            "resend/range",
            _resend_range,
            "Send an endpoint again what it subscribes to and what happened in a range of time",
            wire.ResendRange,
        ),
    ]


def _read(path: str, handler: Handler, summary: str, result: type) -> Route:
    return Route("GET", f"/event/{path}", handler, summary, Access.READ, result, None, TAGS)


def _resent(path: str, handler: Handler, summary: str, body: type[Body]) -> Route:
    path = f"/event/{path}"
    return Route("POST", path, handler, summary, Access.WRITE, wire.Resent, body, TAGS)
