"""The merchant API: every route goes through the same few steps, in this order (spec 15).

Route, authentication, rate limit, permission, body shape; then one transaction with the
operation and, under an idempotency key, its stored answer; then the envelope.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError

from gstable_server.api.auth import KeyRing, bearer_secret, require_turn
from gstable_server.api.envelope import Answer, refused, success, success_body
from gstable_server.api.exchange import (
    ClientGone,
    Receive,
    Scope,
    Send,
    exchange_of,
    header_values,
    read_body,
    respond,
    wire_path,
)
from gstable_server.api.key_uses import KeyUses
from gstable_server.api.request_log import is_polled, shown_path
from gstable_server.api.strict_json import parse_object
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import MalformedId
from gstable_server.kernel.scopes import comes_from, permits, resource_of
from gstable_server.kernel.tenant import Access, Caller
from gstable_server.plumbing import idempotency
from gstable_server.plumbing.client_address import client_address
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.limits import RateLimiter, address_subject
from gstable_server.plumbing.problems import refusal
from gstable_server.plumbing.route import Call, OpenRoute, PathValues, Route

PREFIXES = ("/api/v1", "/payment/v1")
AnyRoute = TypeVar("AnyRoute", Route, OpenRoute)


class RouteTable(Generic[AnyRoute]):
    """Finds a route by method and path, as the path was sent: an encoded slash divides nothing."""

    def __init__(self, routes: Iterable[AnyRoute]) -> None:
        self._fixed: dict[str, dict[str, AnyRoute]] = {}
        self._open: dict[int, list[tuple[tuple[str, ...], dict[str, AnyRoute]]]] = {}
        for route in routes:
            methods = self._methods(route.path)
            assert route.method not in methods, f"{route.method} {route.path} is listed twice"
            methods[route.method] = route

    def _methods(self, path: str) -> dict[str, AnyRoute]:
        if "{" not in path:
            return self._fixed.setdefault(path, {})
        parts = tuple(path.split("/"))
        rows = self._open.setdefault(len(parts), [])
        for known, methods in rows:
            if known == parts:
                return methods
        rows.append((parts, {}))
        return rows[-1][1]

    def find(self, method: str, path: str) -> tuple[AnyRoute | None, PathValues, list[str]]:
        """The route and its path values; without one, the methods that the path does allow."""
        methods = self._fixed.get(path)
        if methods is not None and method in methods:
            return methods[method], {}, []
        allowed = set(methods or ())
        sent = path.split("/")
        for parts, open_methods in self._open.get(len(sent), ()):
            values = _matched(parts, sent)
            if values is None:
                continue
            if method in open_methods:
                return open_methods[method], values, []
            allowed.update(open_methods)
        return None, {}, sorted(allowed)


def _matched(parts: tuple[str, ...], sent: list[str]) -> dict[str, str] | None:
    values = {}
    for part, segment in zip(parts, sent, strict=True):
        if part.startswith("{"):
            if not segment:
                return None
            values[part[1:-1]] = unquote(segment)
        elif part != segment:
            return None
    return values


@dataclass(frozen=True, slots=True)
class _Request:
    """A request whose caller and form are known to be right."""

    route: Route
    caller: Caller
    values: PathValues
    body: BaseModel | None
    raw: bytes
    path: str

    async def operate(self, tx: Tx) -> bytes:
        call = Call(tx=tx, caller=self.caller, path=self.values, body=self.body)
        return success_body(await self.route.handler(call))


class MerchantApi:
    """An ASGI application, to be mounted under each of ``PREFIXES``."""

    def __init__(
        self,
        db: Database,
        routes: Iterable[Route],
        *,
        keys: KeyRing,
        key_limiter: RateLimiter,
        body_bytes_max: int,
    ) -> None:
        self._db = db
        self._table = RouteTable(routes)
        self._keys = keys
        self._uses = KeyUses(db)
        self._key_limiter = key_limiter
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except Refused as problem:
            answer = refused(problem)
        except MalformedId as problem:
            # An identifier of the wrong form that an operation did not take for "not found".
            answer = refused(Refused(Code.FIELD_INVALID, str(problem)))
        except ClientGone:
            return
        await respond(scope, send, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path = wire_path(scope).removeprefix(scope["root_path"])
        route, values, allowed = self._table.find(scope["method"], path)
        if route is None:
            return unknown(scope["method"], allowed)
        exchange_of(scope).route = f"{route.method} {route.path}"
        caller = await self._admit(scope, route, values)
        if route.method == "GET":
            async with self._db.read() as tx:
                call = Call(tx=tx, caller=caller, path=values, body=None)
                return success(success_body(await route.handler(call)))
        raw = await read_body(scope, receive, self._body_bytes_max)
        body = parsed(route.body, raw)
        request = _Request(route, caller, values, body, raw, path)
        return await self._operated(request, header_values(scope, b"idempotency-key"))

    async def _admit(self, scope: Scope, route: Route, values: PathValues) -> Caller:
        subject = address_subject(client_address(scope))
        caller = await self._keys.caller(bearer_secret(scope), subject)
        exchange = exchange_of(scope)
        exchange.caller = caller
        if not is_polled(route):
            exchange.logged_path = shown_path(route, values)
        require_turn(self._key_limiter.take(caller.key_id))
        if route.access is Access.WRITE and caller.access is not Access.WRITE:
            raise Refused(Code.KEY_LACKS_PERMISSION)
        if caller.scopes is not None:
            resource = resource_of(route.path)
            if not permits(caller.scopes, resource, route.access):
                raise Refused(Code.KEY_LACKS_PERMISSION, f"needs {resource}:{route.access}")
        if not comes_from(client_address(scope), caller.addresses):
            raise Refused(Code.KEY_LACKS_PERMISSION, "not from this address")
        self._uses.note(caller.key_id, client_address(scope))
        return caller

    async def _operated(self, request: _Request, keys: list[bytes]) -> Answer:
        if not keys:
            return success(await self._db.run(request.operate))
        if len(keys) != 1:
            raise invalid_field("Idempotency-Key", "must be sent once")
        body, replayed = await self._db.run(
            idempotency.once,
            request.caller.key_id,
            idempotency.parse_key(keys[0].decode("latin-1")),
            idempotency.request_hash(request.route.method, request.path, request.raw),
            request.operate,
        )
        return success(body, ((b"idempotency-replayed", b"true"),) if replayed else ())


def parsed(model: type[BaseModel] | None, raw: bytes) -> BaseModel | None:
    """The body that a route asks for. Raises ``Refused`` (400101) for any other."""
    sent: Mapping[str, Any] = parse_object(raw) if raw else {}
    if model is None:
        for name in sent:
            raise invalid_field(name[:64], "is not a known field")
        return None
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise refusal(error, model, sent) from None


def unknown(method: str, allowed: list[str]) -> Answer:
    """The answer where no route has that path, or none that method."""
    if not allowed:
        return refused(Refused(Code.ROUTE_UNKNOWN, "there is no such route"))
    problem = Refused(Code.METHOD_NOT_ALLOWED, f"{method[:16]} is not allowed here")
    return refused(problem, ((b"allow", ", ".join(allowed).encode()),))
