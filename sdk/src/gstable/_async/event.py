"""Events as they were told. Source: specification sections 9 and 15, Webhooks.

The same events, in the same form, that webhook endpoints receive; see `gstable.webhooks`.
"""

from collections.abc import AsyncIterator

from gstable import _parse
from gstable._async.paging import iterate
from gstable._async.requester import AsyncRequester
from gstable._body import body, path
from gstable._event import Event, EventFeed, event, event_feed
from gstable._models import EventDelivery, Page, Redelivery


class AsyncEventNamespace:
    """`client.event`. Every method raises `GStableError`; 300201 where there is no such event."""

    def __init__(self, requester: AsyncRequester) -> None:
        self._requester = requester

    async def list(self, page: int = 1, size: int = 20) -> Page[Event]:
        """One page, newest first. `page` from 1; `size` 1 to 100."""
        return await self._requester.get(
            path("/event/list/{page}/{size}", page=page, size=size),
            _parse.page_of("events", event),
        )

    def iterate(self, size: int = 100) -> AsyncIterator[Event]:
        """Every event, newest first, fetched in pages of `size`."""
        return iterate(self.list, lambda found: found.event_id, size)

    async def detail(self, event_id: str) -> Event:
        """One event, with the object as it was when it happened."""
        route = path("/event/detail/{event_id}", event_id=event_id)
        return await self._requester.get(route, _parse.one(event))

    async def feed(self, cursor: str = "start", size: int = 100) -> EventFeed:
        """The next events behind `cursor`, oldest first, up to `size` (1 to 100).

        `cursor`: `start` for what happens from now on (no events, only a cursor), `begin` for all
        there ever was, then the `cursor` of the answer before. No event is skipped, also one
        whose transaction ends late.
        """
        route = path("/event/feed/{cursor}/{size}", cursor=cursor, size=size)
        return await self._requester.get(route, _parse.one(event_feed))

    async def deliveries(self, event_id: str) -> tuple[EventDelivery, ...]:
        """Where the event was sent, and each attempt with its answer."""
        route = path("/event/deliveries/{event_id}", event_id=event_id)
        return await self._requester.get(route, _parse.one(_parse.event_deliveries))

    async def resend(
        self,
        event_id: str,
        *,
        webhook_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Redelivery:
        """Send the event again, under the same event id: to `webhook_id`, whether it subscribes
        or not, or to every endpoint that it was or would be sent to. Raises `GStableError` 300101,
        300201."""
        return await self._requester.post(
            "/event/resend",
            body(event_id=event_id, webhook_id=webhook_id),
            _parse.one(_parse.redelivery),
            idempotency_key,
        )

    async def resend_range(
        self,
        webhook_id: str,
        *,
        since: int,
        until: int,
        idempotency_key: str | None = None,
    ) -> Redelivery:
        """Send again to one endpoint what it subscribes to and what happened in that time, at a
        pace that it can bear. `since` (inclusive), `until` (exclusive): Unix seconds. Raises
        `GStableError` 300101."""
        return await self._requester.post(
            "/event/resend/range",
            body(webhook_id=webhook_id, since=since, until=until),
            _parse.one(_parse.redelivery),
            idempotency_key,
        )
