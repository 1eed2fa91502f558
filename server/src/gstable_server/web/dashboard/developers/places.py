"""The addresses of webhooks, events and the log of requests."""

from __future__ import annotations

from gstable_server.kernel.roles import Action
from gstable_server.web.dashboard.developers.events import Events
from gstable_server.web.dashboard.developers.request_pages import Requests
from gstable_server.web.dashboard.developers.webhooks import Webhooks
from gstable_server.web.dashboard.place import Place, Rows


def developers(rows: Rows) -> list[Place]:
    """Webhooks, events and the log of requests."""
    webhooks, events = Webhooks(rows.guard), Events(rows.guard)
    requests = Requests(rows.guard)
    one = "/webhooks/{webhook_id}"
    return [
        rows.look("/requests", Action.LOGS_READ, requests.list),
        rows.look("/requests/{request_id}", Action.LOGS_READ, requests.show),
        rows.look("/webhooks", Action.WEBHOOKS_READ, webhooks.list),
        rows.act("/webhooks", Action.WEBHOOKS_CHANGE, webhooks.create),
        rows.look("/webhooks/new", Action.WEBHOOKS_CHANGE, webhooks.new),
        rows.look(one, Action.WEBHOOKS_READ, webhooks.show),
        rows.act(one, Action.WEBHOOKS_CHANGE, webhooks.save),
        rows.look(f"{one}/edit", Action.WEBHOOKS_CHANGE, webhooks.edit),
        rows.act(f"{one}/enable", Action.WEBHOOKS_CHANGE, webhooks.enable),
        rows.act(f"{one}/disable", Action.WEBHOOKS_CHANGE, webhooks.disable),
        rows.act(f"{one}/test", Action.WEBHOOKS_SEND, webhooks.test),
        rows.act(f"{one}/redeliver", Action.WEBHOOKS_SEND, webhooks.redeliver_range),
        rows.act(f"{one}/reveal", Action.WEBHOOKS_SECRET, webhooks.reveal),
        rows.look(f"{one}/rotate", Action.WEBHOOKS_SECRET, webhooks.confirm_rotation),
        rows.act(f"{one}/rotate", Action.WEBHOOKS_SECRET, webhooks.rotate),
        rows.look(f"{one}/remove", Action.WEBHOOKS_SECRET, webhooks.confirm_removal),
        rows.act(f"{one}/remove", Action.WEBHOOKS_SECRET, webhooks.remove),
        rows.look("/events", Action.WEBHOOKS_READ, events.list),
        rows.look("/events/{event_id}", Action.WEBHOOKS_READ, events.show),
        rows.act("/events/{event_id}/redeliver", Action.WEBHOOKS_SEND, events.redeliver),
    ]
