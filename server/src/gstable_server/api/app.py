"""The web server's mount list: merchant API under both prefixes, public API, documents, health."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.routing import Route as WebRoute
from starlette.types import ASGIApp

from gstable_server.api import docs, openapi
from gstable_server.api.auth import KeyRing
from gstable_server.api.edge import Apology, Edge
from gstable_server.api.envelope import (
    HEADERS_OF_ALL,
    Answer,
    refused,
    success,
    success_body,
    unready,
)
from gstable_server.api.exchange import Receive, Scope, Send, exchange_of, respond
from gstable_server.api.merchant import PREFIXES, MerchantApi
from gstable_server.api.open import AGENT_PREFIX, OpenDoor, OwnHost
from gstable_server.kernel.errors import Code, Refused
from gstable_server.plumbing.client_address import NO_PROXIES, TrustedProxies
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.health import Health, database_check
from gstable_server.plumbing.limits import RateLimiter
from gstable_server.plumbing.request_log import RequestLog
from gstable_server.plumbing.route import Json, OpenRoute, Route


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Requests per second and in a burst, per API key and per client address; bytes of a body.

    The defaults are those of spec 15.
    """

    key_rate: float = 100
    key_burst: int = 200
    address_rate: float = 20
    address_burst: int = 60
    body_bytes_max: int = 512 * 1024


class _Enveloped:
    """An ASGI endpoint whose whole answer is one envelope."""

    def __init__(self, answer: Callable[[], Awaitable[Answer]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await respond(scope, send, await self._answer())


class _Door(Mount):
    """Everything below a prefix, also a path with an encoded line break, which Starlette's own
    pattern leaves to the routes behind it."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app=app)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


def create_app(
    db: Database,
    route_lists: Sequence[Sequence[Route]],
    *,
    capabilities: Callable[[], Json],
    health: Health | None = None,
    limits: ApiLimits | None = None,
    public_url: str = "",
    agent_routes: Sequence[OpenRoute] = (),
    agent_host: str | None = None,
    extra_routes: Sequence[BaseRoute] = (),
    turn_away: Callable[[Request, int], Response] | None = None,
    request_log: RequestLog | None = None,
    apologize: Apology | None = None,
    proxies: TrustedProxies = NO_PROXIES,
) -> Starlette:
    """The ASGI application of the ``api`` process.

    ``capabilities`` gives the data of the public capability matrix (spec 8); ``health`` says
    whether this process can do its work, by default whether the database answers;
    ``agent_routes`` are the AI payment protocol, at the host ``agent_host`` too (spec 15);
    ``extra_routes`` are mounted behind everything of the API, for example the pages;
    ``turn_away`` makes the page for people whose address asks too often, given the seconds to wait;
    ``request_log`` gets requests with a good key; ``apologize`` the console's page of a fault;
    ``proxies`` are believed about where a request comes from.
    """
    limits = limits or ApiLimits()
    routes = [route for rows in route_lists for route in rows]
    public_limiter = RateLimiter(limits.address_rate, limits.address_burst)
    keys = KeyRing(db, public_limiter)
    key_limiter, body_max = RateLimiter(limits.key_rate, limits.key_burst), limits.body_bytes_max
    merchant = MerchantApi(db, routes, keys=keys, key_limiter=key_limiter, body_bytes_max=body_max)
    agents = OpenDoor(db, agent_routes, body_bytes_max=body_max)
    own_host = [Middleware(OwnHost, host=agent_host)] if agent_host else []
    document = openapi.document(routes, public_url, agent_routes)
    app = Starlette(
        routes=[
            *(_Door(prefix, app=merchant) for prefix in PREFIXES),
            _Door(AGENT_PREFIX, app=agents),
            _get("/public/api/v1/capabilities/all", lambda: _answered(capabilities())),
            *health_routes(health or Health([database_check(db)])),
            *docs.routes(document),
            *extra_routes,
        ],
        middleware=[
            *own_host,
            Middleware(
                Edge,
                ids=db.ids,
                public_limiter=public_limiter,
                turn_away=turn_away,
                request_log=request_log,
                apologize=apologize,
                proxies=proxies,
            ),
        ],
        exception_handlers={HTTPException: _not_served},
    )
    app.router.redirect_slashes = False
    return app


def _get(path: str, answer: Callable[[], Awaitable[Answer]]) -> WebRoute:
    return WebRoute(path, _Enveloped(answer), methods=["GET"])


async def _answered(data: Json) -> Answer:
    return success(success_body(data))


def health_routes(health: Health) -> list[WebRoute]:
    """Is this process alive, which any answer proves, and can it do its work."""
    return [
        _get("/health/live", lambda: _answered({"status": "ok"})),
        _get("/health/ready", lambda: _ready(health)),
    ]


async def _ready(health: Health) -> Answer:
    """200 while it can do its work, else 503, which takes this server out of a balancer."""
    report = await health.report()
    return await _answered(report.as_json()) if report.is_ready else unready(report.as_json())


async def _not_served(request: Request, problem: Exception) -> Response:
    """Starlette's own refusals (no such route, wrong method) in the envelope."""
    assert isinstance(problem, HTTPException)
    if problem.status_code == 404:
        refusal = Refused(Code.ROUTE_UNKNOWN, "there is no such route")
    elif problem.status_code == 405:
        refusal = Refused(Code.METHOD_NOT_ALLOWED, f"{request.method[:16]} is not allowed here")
    else:
        refusal = Refused(Code.FIELD_INVALID, problem.detail)
    answer = refused(refusal)
    exchange_of(request.scope).code = answer.code
    return Response(
        answer.body,
        status_code=problem.status_code,
        headers={**HEADERS_OF_ALL, **(problem.headers or {})},
    )
