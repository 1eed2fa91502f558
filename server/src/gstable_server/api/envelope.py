"""The one form of every answer: ``{"code", "message", "data"}`` (spec 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gstable_server.kernel.errors import Code, Refused
from gstable_server.plumbing.json_text import encode_json

Header = tuple[bytes, bytes]

_SUCCESS = b'{"code":0,"message":"success","data":'
# Answers belong to one caller at one moment, and are never pages.
HEADERS_OF_ALL = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished HTTP answer; ``code`` is the envelope's and ``detail`` what its message says
    behind the code's own text, both for the log."""

    status: int
    code: int
    body: bytes
    headers: tuple[Header, ...] = ()
    detail: str = ""


def success_body(data: Any) -> bytes:
    """The envelope around ``data``, as bytes."""
    return _SUCCESS + encode_json(data) + b"}"


def success(body: bytes, headers: tuple[Header, ...] = ()) -> Answer:
    """An answer from a body that ``success_body`` made, now or when it was stored."""
    return Answer(200, 0, body, headers)


def refused(refusal: Refused, headers: tuple[Header, ...] = ()) -> Answer:
    """The answer for a refusal, with ``Retry-After`` where waiting helps."""
    code = refusal.code
    if refusal.retry_after is not None:
        headers = (*headers, (b"retry-after", str(refusal.retry_after).encode()))
    if code.status == 401:
        headers = (*headers, (b"www-authenticate", b"Bearer"))
    if code is Code.BODY_TOO_LARGE:
        # The rest of the body is not read, so the connection cannot carry another request.
        headers = (*headers, (b"connection", b"close"))
    body = encode_json({"code": code.number, "message": refusal.message, "data": None})
    return Answer(code.status, code.number, body, headers, refusal.detail)


def unready(data: Any) -> Answer:
    """503 with what is wrong: the one answer of ours that has both a fault's code and data."""
    code = Code.INTERNAL
    body = encode_json({"code": code.number, "message": code.message, "data": data})
    return Answer(503, code.number, body)


def internal(status: int = 500, retry_after: int | None = None) -> Answer:
    """Our own fault: 999999 and never a word of the cause, which is in the log."""
    refusal = Refused(Code.INTERNAL, retry_after=retry_after)
    answer = refused(refusal)
    return Answer(status, answer.code, answer.body, answer.headers)
