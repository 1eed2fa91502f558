"""Doors without a key: the same steps as the merchant API, but for the key (spec 15).

Route, body shape, and then the handler, which judges what the body itself proves. Requests were
counted per client address at the edge.
"""

from __future__ import annotations

from collections.abc import Iterable

from gstable_server.api.envelope import Answer, refused, success, success_body
from gstable_server.api.exchange import (
    ClientGone,
    Receive,
    Scope,
    Send,
    exchange_of,
    read_body,
    respond,
    wire_path,
)
from gstable_server.api.merchant import RouteTable, parsed, unknown
from gstable_server.kernel.errors import Refused
from gstable_server.plumbing.client_address import client_address
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.limits import address_subject
from gstable_server.plumbing.route import OpenCall, OpenRoute

AGENT_PREFIX = "/aipay/api/v1"


class OpenDoor:
    """An ASGI application, to be mounted under a prefix that the edge counts as public."""

    def __init__(self, db: Database, routes: Iterable[OpenRoute], *, body_bytes_max: int) -> None:
        self._db = db
        self._table = RouteTable(routes)
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except Refused as problem:
            answer = refused(problem)
        except ClientGone:
            return
        await respond(scope, send, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path = wire_path(scope).removeprefix(scope["root_path"])
        route, values, allowed = self._table.find(scope["method"], path)
        if route is None:
            return unknown(scope["method"], allowed)
        exchange_of(scope).route = f"{route.method} {route.path}"
        body = None
        if route.method == "POST":
            body = parsed(route.body, await read_body(scope, receive, self._body_bytes_max))
        address = address_subject(client_address(scope))
        call = OpenCall(db=self._db, path=values, body=body, address=address)
        return success(success_body(await route.handler(call)))


class OwnHost:
    """ASGI middleware: what is asked of ``host`` under ``/api/v1`` is asked of ``prefix``.

    The merchant API has the same paths (spec 1, route clash); whoever calls the agents' own host
    name means theirs.
    """

    def __init__(self, app: Receive, *, host: str, prefix: str = AGENT_PREFIX) -> None:
        self._app = app
        self._host = host.lower().encode()
        self._door = prefix.removesuffix("/api/v1")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_meant(scope):
            path, raw_path = scope["path"], scope.get("raw_path")
            scope = {
                **scope,
                "path": self._door + path,
                "raw_path": self._door.encode() + raw_path if raw_path else None,
            }
        await self._app(scope, receive, send)

    def _is_meant(self, scope: Scope) -> bool:
        if not scope["path"].startswith("/api/v1/"):
            return False
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        return len(hosts) == 1 and hosts[0].lower().partition(b":")[0] == self._host
