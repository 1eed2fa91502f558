"""``GET /pay/<sessionId>/events``: the page's status as Server-Sent Events (HTML Standard, 9.2).

Each message carries what ``/status`` answers, the first one at once. After the last one comes
``event: end``. A browser that asks again by itself for what is over is answered with 204, which
ends its asking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gstable_server.kernel.errors import Code, Passing, Refused
from gstable_server.plumbing.client_address import client_address
from gstable_server.plumbing.limits import address_subject
from gstable_server.sessions import operations as sessions
from gstable_server.web.base import PAGE_HEADERS, Pages
from gstable_server.web.checkout.live import Live, News, Page

log = structlog.get_logger(__name__)

COMMENT_SECONDS = 15.0
"""Proxies close what is silent for longer; a browser that went away is noticed by it, too."""
SEND_SECONDS = 30.0
"""Whoever does not read for so long is let go."""
AGE_SECONDS = 3600.0
"""Then the browser asks anew, perhaps another process."""
RETRY_MILLISECONDS = 2000
STREAM_HEADERS = {
    **PAGE_HEADERS,
    "content-type": "text/event-stream",
    # Reverse proxies would collect the messages otherwise (nginx's own header).
    "x-accel-buffering": "no",
}
RELAY_LENGTH_MAX = 200
"""Longer than any name of a payment that we send: what is cut would be none of them."""


def routes(live: Live, pages: Pages) -> list[BaseRoute]:
    """The stream of one session."""

    async def events(request: Request) -> Response:
        if request.method == "HEAD":
            return Response(headers=STREAM_HEADERS)
        try:
            page, news = await live.open(
                sessions.session_id_of(request.path_params["session_id"]),
                words=pages.words(request),
                relay=request.query_params.get("relay", "")[:RELAY_LENGTH_MAX],
                address=address_subject(client_address(request)),
            )
        except Refused as refused:
            return _none(404 if refused.code is Code.SESSION_NOT_FOUND else 429)
        except Passing as later:
            return _none(503, {"retry-after": str(later.retry_after or 1)})
        if news.is_last and request.headers.get("last-event-id") == news.news_id:
            live.leave(page)
            return _none(204)
        return _Stream(live, page, news)

    return [Route("/pay/{session_id}/events", events, methods=["GET"])]


def _none(http_status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Without a body, because no script can read what an EventSource was refused with."""
    return Response(status_code=http_status, headers={**PAGE_HEADERS, **(headers or {})})


class _Stream(Response):
    """The answer that goes on until the session is over, the browser is gone, or it is old."""

    def __init__(self, live: Live, page: Page, first: News) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        self._live = live
        self._page = page
        self._first = first
        self.raw_headers = MutableHeaders(STREAM_HEADERS).raw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watching = asyncio.create_task(_until_gone(receive, self._page))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._follow(send)
        except TimeoutError:
            log.info("a page that does not read was let go")
        finally:
            self._live.leave(self._page)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _follow(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        old_at = loop.time() + AGE_SECONDS
        news: News | None = self._first
        text = f"retry: {RETRY_MILLISECONDS}\n\n"
        while True:  # bounded: by the stream's age
            text += _message(news) if news else ": still here\n\n"
            async with asyncio.timeout(SEND_SECONDS):
                await _write(send, text)
            if (news and news.is_last) or loop.time() > old_at:
                break
            news, text = await self._page.next(COMMENT_SECONDS), ""
            if self._page.is_ended:
                break
        async with asyncio.timeout(SEND_SECONDS):
            await _write(send, "", more=False)


def _message(news: News) -> str:
    text = f"id: {news.news_id}\ndata: {news.data}\n\n"
    return f"{text}event: end\ndata:\n\n" if news.is_last else text


async def _write(send: Send, text: str, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": more})


async def _until_gone(receive: Receive, page: Page) -> None:
    """Notice that the browser hung up: nothing else tells a stream that has nothing to send."""
    while (await receive())["type"] != "http.disconnect":
        pass
    page.end()
