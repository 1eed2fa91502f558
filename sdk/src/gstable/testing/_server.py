"""The door of the fake: from a request to an answer, in the platform's order of checks.

Route, key, permission, body, then the operation, and under an idempotency key its stored answer.
Source: specification sections 2 and 15.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from json import JSONDecodeError, JSONDecoder
from typing import Any
from urllib.parse import urlsplit

from gstable._transport import Request, Response
from gstable.testing._clock import FakeClock
from gstable.testing._fields import joined
from gstable.testing._log import Log
from gstable.testing._refusals import Refused, invalid
from gstable.testing._routes import Call, Route
from gstable.testing._world import packed, token

PREFIXES = ("/api/v1", "/payment/v1")
PUBLIC_PREFIX = "/public/api/v1"
BODY_BYTES_MAX = 512 * 1024
KEPT_SECONDS = 24 * 3600
KEY_LENGTH_MAX = 255


@dataclass(frozen=True)
class Key:
    """An API key: `secret` as callers send it. `writes`: may do everything."""

    secret: str
    writes: bool
    key_id: str


@dataclass(frozen=True)
class _Kept:
    digest: bytes
    data: bytes
    at: int


class Server:
    """Answers requests; nothing of it is shared between two fakes."""

    def __init__(
        self,
        clock: FakeClock,
        keys: Iterable[Key],
        rows: Iterable[Route],
        public_rows: Iterable[Route],
        log: Log,
    ) -> None:
        self._clock = clock
        self._keys = {key.secret: key for key in keys}
        self._rows = tuple(rows)
        self._public_rows = tuple(public_rows)
        self._log = log
        self._kept: dict[tuple[str, str], _Kept] = {}

    def answer(self, request: Request) -> Response:
        """What the platform would answer."""
        request_id = f"req_{token(24)}"
        headers = {"content-type": "application/json", "x-request-id": request_id}
        try:
            data, more = self._answered(request, request_id)
        except Refused as refused:
            body = {"code": refused.code, "message": refused.message, "data": None}
            if refused.status == 401:
                headers["www-authenticate"] = "Bearer"
            return Response(refused.status, headers, packed(body))
        body_bytes = b'{"code":0,"message":"success","data":' + data + b"}"
        return Response(200, {**headers, **more}, body_bytes)

    def _answered(self, request: Request, request_id: str) -> tuple[bytes, Mapping[str, str]]:
        path = urlsplit(request.url).path
        if path.startswith(PUBLIC_PREFIX):
            route, values = _find(
                self._public_rows, request.method, path.removeprefix(PUBLIC_PREFIX)
            )
            return packed(route.handler(Call(values, None, writes=False))), {}
        prefix = next((one for one in PREFIXES if path.startswith(one + "/")), None)
        if prefix is None:
            raise _no_route()
        inner = path.removeprefix(prefix)
        route, values = _find(self._rows, request.method, inner)
        headers = {name.lower(): value for name, value in request.headers.items()}
        key = self._caller(headers)
        answer = (200, 0)
        try:
            return self._admitted(request, route, values, key, headers)
        except Refused as refused:
            answer = (refused.status, refused.code)
            raise
        finally:
            # Whoever follows a feed would else follow itself.
            if "/feed/" not in route.path:
                self._log.note(request_id, key.key_id, request.method, inner, answer)

    def _admitted(
        self,
        request: Request,
        route: Route,
        values: Mapping[str, str],
        key: Key,
        headers: Mapping[str, str],
    ) -> tuple[bytes, Mapping[str, str]]:
        if not route.is_open and not key.writes:
            raise Refused(200102, status=403)
        if route.check is None:
            return packed(route.handler(Call(values, None, key.writes))), {}
        raw = request.body or b""
        if len(raw) > BODY_BYTES_MAX:
            raise Refused(400101, f"body must have at most {BODY_BYTES_MAX} bytes", status=413)
        call = Call(values, route.check(_parsed(raw, headers), ""), key.writes)
        if "idempotency-key" not in headers:
            return packed(route.handler(call)), {}
        return self._once(route, call, key, headers["idempotency-key"], raw)

    def _caller(self, headers: Mapping[str, str]) -> Key:
        if "authorization" not in headers:
            raise Refused(200101, "send exactly one Authorization header", status=401)
        scheme, _, secret = headers["authorization"].partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Refused(200101, "send Authorization: Bearer <key>", status=401)
        if secret not in self._keys:
            raise Refused(200101, status=401)
        return self._keys[secret]

    def _once(
        self, route: Route, call: Call, key: Key, given: str, raw: bytes
    ) -> tuple[bytes, Mapping[str, str]]:
        """The operation's answer, or the one kept of its first run. Refusals are not kept."""
        if not 1 <= len(given) <= KEY_LENGTH_MAX or not (given.isascii() and given.isprintable()):
            bounds = f"must be 1 to {KEY_LENGTH_MAX} printable ASCII characters"
            raise invalid("Idempotency-Key", bounds)
        digest = sha256(f"{route.method} {route.path}\n".encode() + raw).digest()
        kept = self._kept.get((key.secret, given))
        if kept is not None and self._clock.now - kept.at < KEPT_SECONDS:
            if kept.digest != digest:
                raise Refused(400102)
            return kept.data, {"idempotency-replayed": "true"}
        data = packed(route.handler(call))
        self._kept[key.secret, given] = _Kept(digest, data, self._clock.now)
        return data, {}


def _no_route() -> Refused:
    return Refused(400101, "there is no such route", status=404)


def _find(rows: Iterable[Route], method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    is_known = False
    for route in rows:
        values = route.matched(path)
        if values is not None:
            if route.method == method:
                return route, values
            is_known = True
    if is_known:
        raise Refused(400101, f"{method} is not allowed here", status=405)
    raise _no_route()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise invalid(name, "appears twice")
        seen.add(name)
    return dict(pairs)


@dataclass(frozen=True)
class _Constant:
    """NaN or an infinity, which is no JSON."""

    text: str


_DECODER = JSONDecoder(object_pairs_hook=_object, parse_constant=_Constant)


def _require_json(value: object, at: str) -> None:
    if isinstance(value, _Constant):
        raise invalid(at or "body", f"must not be {value.text}")
    if isinstance(value, dict):
        for name, inner in value.items():
            _require_json(inner, joined(at, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            _require_json(inner, f"{at}[{position}]")


def _parsed(raw: bytes, headers: Mapping[str, str]) -> object:
    if not raw:
        return {}
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise invalid("Content-Type", "must be application/json")
    try:
        value = _DECODER.decode(raw.decode())
    except UnicodeDecodeError as problem:
        raise invalid("body", f"is not UTF-8 at byte {problem.start}") from None
    except JSONDecodeError as problem:
        place = f"line {problem.lineno} column {problem.colno}"
        raise invalid("body", f"is not valid JSON at {place}") from None
    _require_json(value, "")
    if not isinstance(value, dict):
        raise invalid("body", "must be a JSON object")
    return value
