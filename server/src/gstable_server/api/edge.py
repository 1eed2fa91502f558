"""The outermost layer of every request: its id, its log line, and an answer for every failure."""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from gstable_server.api.auth import require_turn
from gstable_server.api.envelope import Answer, internal, refused
from gstable_server.api.exchange import (
    Exchange,
    Receive,
    Scope,
    Send,
    begin_exchange,
    exchange_of,
    header_values,
    respond,
)
from gstable_server.kernel.errors import Code, Passing, Refused
from gstable_server.kernel.ids import IdMint
from gstable_server.plumbing import metrics, tracing
from gstable_server.plumbing.client_address import (
    FORWARDED_FOR,
    NO_PROXIES,
    TrustedProxies,
    client_address,
)
from gstable_server.plumbing.limits import RateLimiter, address_subject
from gstable_server.plumbing.request_log import LoggedRequest, RequestLog, without_secrets

log = structlog.get_logger(__name__)

REQUEST_ID_LENGTH = 24
EVENT_STREAM = b"text/event-stream"
# Doors without a key: what is behind them is counted per client address (spec 15, Rate limits).
PAGE_DOORS = ("/link/", "/pay/", "/receipt/")
PUBLIC_DOORS = ("/public/", *PAGE_DOORS, "/aipay/", "/x402/")
CONSOLE_DOOR = ("/dashboard",)
Apology = Callable[[Request, str], Response]
"""Makes a page for what failed by a fault of ours, given the id of the request."""


class _Sending:
    """Adds the request id to an answer on its way out, and remembers its status."""

    __slots__ = ("_request_id", "_send", "status", "streams_since")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id.encode()
        self.status: int | None = None
        self.streams_since: float | None = None
        """When the head of an answer without an end of its own was sent."""

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.get("headers", ())
            message["headers"] = [*headers, (b"x-request-id", self._request_id)]
            if (b"content-type", EVENT_STREAM) in headers:
                self.streams_since = time.perf_counter()
        await self._send(message)


class Edge:
    """ASGI middleware. A request id sent by the client is not taken over: logs stay ours."""

    def __init__(
        self,
        app: Receive,
        *,
        ids: IdMint,
        public_limiter: RateLimiter,
        turn_away: Callable[[Request, int], Response] | None = None,
        request_log: RequestLog | None = None,
        apologize: Apology | None = None,
        proxies: TrustedProxies = NO_PROXIES,
    ) -> None:
        self._app = app
        self._proxies = proxies
        self._apologize = apologize
        self._turn_away = turn_away
        self._ids = ids
        self._public_limiter = public_limiter
        self._request_log = request_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        forwarded = header_values(scope, FORWARDED_FOR)
        if forwarded:
            # Nobody behind this asks for the port.
            scope["client"] = (self._proxies.client_of(client_address(scope), forwarded), 0)
        exchange = begin_exchange(scope, "req_" + self._ids.token(REQUEST_ID_LENGTH))
        structlog.contextvars.bind_contextvars(request_id=exchange.request_id)
        sending = _Sending(send, exchange.request_id)
        try:
            with tracing.span("request") as span:
                await self._serve(scope, receive, sending)
                if exchange.route:
                    span.rename(exchange.route)
                span.note(request_id=exchange.request_id, status=sending.status or 0)
        finally:
            milliseconds = ((sending.streams_since or time.perf_counter()) - started) * 1000
            metrics.request_answered(sending.status, milliseconds / 1000)
            _log(scope, exchange, sending.status, milliseconds)
            if self._request_log is not None:
                _keep(self._request_log, scope, exchange, sending.status, milliseconds)

    async def _serve(self, scope: Scope, receive: Receive, sending: _Sending) -> None:
        try:
            if scope["path"].startswith(PUBLIC_DOORS):
                subject = address_subject(client_address(scope))
                wait = self._public_limiter.take(subject)
                if wait is not None and self._turn_away is not None and _shows(scope, PAGE_DOORS):
                    exchange_of(scope).code = Code.TOO_MANY_REQUESTS.number
                    await self._turn_away(Request(scope), wait)(scope, receive, sending)
                    return
                require_turn(wait)
            await self._app(scope, receive, sending)
        except Refused as problem:
            await self._fail(scope, sending, refused(problem))
        except Passing as problem:
            log.warning("request failed for now", reason=str(problem))
            await self._fail(scope, sending, internal(retry_after=problem.retry_after or 1))
        except Exception:
            log.exception("request failed")
            await self._fail(scope, sending, internal())

    async def _fail(self, scope: Scope, sending: _Sending, answer: Answer) -> None:
        """Answer, unless half an answer is out already: then only hanging up is honest."""
        if sending.status is not None:
            raise ConnectionAbortedError("the answer broke off")
        is_ours = answer.code == Code.INTERNAL.number
        if self._apologize is None or not is_ours or not _shows(scope, CONSOLE_DOOR):
            await respond(scope, sending, answer)
            return
        exchange = exchange_of(scope)
        exchange.code = answer.code
        page = self._apologize(Request(scope), exchange.request_id)
        page.raw_headers.extend(answer.headers)
        await page(scope, _nothing, sending)


async def _nothing() -> MutableMapping[str, Any]:
    """What is left to read for an answer that asks for nothing more."""
    return {"type": "http.disconnect"}


def _shows(scope: Scope, doors: tuple[str, ...]) -> bool:
    """Whether a person asks at one of ``doors``, who is told in a page of their language."""
    accepted = b",".join(header_values(scope, b"accept"))
    return scope["path"].startswith(doors) and b"text/html" in accepted


def _log(scope: Scope, exchange: Exchange, status: int | None, milliseconds: float) -> None:
    # Never the query and never a header: those are where keys get pasted by mistake.
    log.info(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=status,
        code=exchange.code,
        ms=round(milliseconds, 2),
        key_id=exchange.caller.key_id if exchange.caller else None,
    )


def _keep(
    request_log: RequestLog,
    scope: Scope,
    exchange: Exchange,
    status: int | None,
    milliseconds: float,
) -> None:
    """Add it to the log of the merchant whose key it came with; nobody else may see it."""
    if exchange.caller is None or not exchange.logged_path:
        return
    request_log.add(
        LoggedRequest(
            tenant=exchange.caller.tenant,
            key_id=exchange.caller.key_id,
            request_id=exchange.request_id,
            at=request_log.now(),
            method=scope["method"],
            path=exchange.logged_path,
            status=status or 0,
            code=exchange.code,
            duration_ms=round(milliseconds),
            detail=without_secrets(exchange.detail),
        )
    )
