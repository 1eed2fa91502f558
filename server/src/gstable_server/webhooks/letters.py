"""An event as merchants see it: one rendering, for deliveries and for the events API."""

from __future__ import annotations

from gstable_server.kernel.clock import wire_time
from gstable_server.plumbing.events import StoredEvent
from gstable_server.webhooks import wire
from gstable_server.webhooks.model import EVENT_TYPES

_subscribable = frozenset(EVENT_TYPES)


def letter(stored: StoredEvent) -> wire.Envelope:
    """The envelope (spec 9 Delivery, spec 15 Webhooks). The payload is as it was rendered at the
    moment of the event, whatever became of the object since."""
    return {
        "eventId": str(stored.event_id),
        "eventType": stored.event.type,
        "businessType": stored.event.business_type,
        "occurrence": wire_time(stored.occurred_at),
        "isSubscribable": stored.event.type in _subscribable,
        "payload": stored.event.payload,
        "sequence": stored.sequence,
        "apiVersion": wire.API_VERSION,
    }
