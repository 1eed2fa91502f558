"""``GET /dashboard/<mode>/live``: which sessions are new or changed, as Server-Sent Events (HTML
Standard, 9.2). ``event: sessions`` carries a list of identifiers; ``event: end`` says that the
browser is to ask no more.

A page names the place in its merchant's feed at which it was made (``after``), and a browser that
lost its connection the last one that it was told (``Last-Event-ID``): what came since is told
first, so that nothing between page and stream, or between two streams, goes unheard."""

from __future__ import annotations

import asyncio
import json

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gstable_server.kernel.errors import Passing, Refused
from gstable_server.plumbing.event_log import position_from_text
from gstable_server.web.base import PAGE_HEADERS
from gstable_server.web.checkout.events import AGE_SECONDS, COMMENT_SECONDS, SEND_SECONDS
from gstable_server.web.checkout.events import STREAM_HEADERS as HEADERS
from gstable_server.web.dashboard.guard import Guard, Visit
from gstable_server.web.news import MerchantNews, Watch

RETRY_MILLISECONDS = 5000


class LivePages:
    """The handler of the stream."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    async def stream(self, visit: Visit) -> Response:
        news, request = self.guard.news, visit.request
        heard = request.headers.get("last-event-id") or request.query_params.get("after", "")
        known = position_from_text(heard)
        try:
            watch = await news.open(self.guard.token_of(request), visit.tenant, known)
        except Refused:
            return Response(status_code=429, headers=PAGE_HEADERS)
        except Passing as later:
            headers = {**PAGE_HEADERS, "retry-after": str(later.retry_after or 1)}
            return Response(status_code=503, headers=headers)
        return _Stream(news, watch)


class _Stream(Response):
    """The answer that goes on until the login is over, the browser is gone, or it is old."""

    def __init__(self, news: MerchantNews, watch: Watch) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        self._news = news
        self._watch = watch
        self.raw_headers = MutableHeaders(HEADERS).raw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watching = asyncio.create_task(_until_gone(receive, self._watch))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._follow(send)
        except TimeoutError:
            # Whoever does not read is let go.
            return
        finally:
            self._news.leave(self._watch)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _follow(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        old_at = loop.time() + AGE_SECONDS
        text = f"retry: {RETRY_MILLISECONDS}\n\n"
        while not self._watch.is_ended and loop.time() < old_at:
            await _write(send, text)
            changed = await self._watch.next(COMMENT_SECONDS)
            # Without data it is no event, and the browser keeps the place all the same.
            text = f"id: {self._watch.position}\n"
            text += f"event: sessions\ndata: {json.dumps(changed)}\n\n" if changed else "\n"
        is_over = self._watch.is_ended and not self._watch.may_ask_again
        last = "event: end\ndata:\n\n" if is_over else text
        await _write(send, last, more=False)


async def _write(send: Send, text: str, *, more: bool = True) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": text.encode(), "more_body": more})


async def _until_gone(receive: Receive, watch: Watch) -> None:
    """Notice that the browser hung up: nothing else tells a stream that has nothing to send."""
    while (await receive())["type"] != "http.disconnect":
        pass
    watch.end()
