"""One request and its answer on the wire: what is read from it, and how it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gstable_server.api.envelope import HEADERS_OF_ALL, Answer
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.tenant import Caller

Scope = Any
Receive = Any
Send = Any

_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS_OF_ALL.items()]
_EXCHANGE = "gstable.exchange"


@dataclass(slots=True)
class Exchange:
    """What the log of a request says beside what HTTP knows; filled on the way.

    ``logged_path``: what the merchant's log shows; empty for what is not kept there. ``route``:
    method and path as they are declared, without what the request put into them.
    """

    request_id: str
    caller: Caller | None = None
    logged_path: str = ""
    route: str = ""
    code: int | None = None
    detail: str = ""


class ClientGone(Exception):
    """The client hung up before its body was complete; there is nobody to answer."""


def begin_exchange(scope: Scope, request_id: str) -> Exchange:
    """Attach a new exchange to the connection's scope."""
    exchange = Exchange(request_id)
    scope[_EXCHANGE] = exchange
    return exchange


def exchange_of(scope: Scope) -> Exchange:
    """The exchange that ``begin_exchange`` attached."""
    found = scope[_EXCHANGE]
    assert isinstance(found, Exchange)
    return found


async def respond(scope: Scope, send: Send, answer: Answer) -> None:
    """Send ``answer`` as JSON."""
    exchange = exchange_of(scope)
    exchange.code, exchange.detail = answer.code, answer.detail
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [
                *_HEADERS,
                (b"content-length", str(len(answer.body)).encode()),
                *answer.headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": answer.body})


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Every value of the header ``name`` (lower case), in the order sent."""
    return [value for key, value in scope["headers"] if key == name]


def wire_path(scope: Scope) -> str:
    """The path as it was sent, percent signs and all, without the query."""
    raw = scope.get("raw_path")
    return raw.split(b"?", 1)[0].decode("latin-1") if raw is not None else str(scope["path"])


async def read_body(scope: Scope, receive: Receive, bytes_max: int) -> bytes:
    """The whole body, ``b""`` if there is none.

    Raises ``Refused`` for more than ``bytes_max`` bytes (413, without reading on), for another
    content type than JSON and for an encoded body; ``ClientGone`` when it ends too early.
    """
    declared = header_values(scope, b"content-length")
    if declared and declared[0].isdigit() and int(declared[0]) > bytes_max:
        raise _too_large(bytes_max)
    chunks: list[bytes] = []
    total = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        total += len(chunk)
        if total > bytes_max:
            raise _too_large(bytes_max)
        chunks.append(chunk)
        more = message.get("more_body", False)
    if total:
        _require_json(scope)
    return b"".join(chunks)


def _too_large(bytes_max: int) -> Refused:
    return Refused(Code.BODY_TOO_LARGE, f"body must have at most {bytes_max} bytes")


def _require_json(scope: Scope) -> None:
    kinds = header_values(scope, b"content-type")
    kind, _, parameters = (kinds[0] if len(kinds) == 1 else b"").partition(b";")
    if kind.strip().lower() != b"application/json":
        raise invalid_field("Content-Type", "must be application/json")
    charset = parameters.strip().lower().replace(b'"', b"")
    if charset not in {b"", b"charset=utf-8"}:
        raise invalid_field("Content-Type", "must say no charset other than utf-8")
    if any(value.lower() != b"identity" for value in header_values(scope, b"content-encoding")):
        raise invalid_field("Content-Encoding", "must not be used")
