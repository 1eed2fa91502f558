"""Whose request it is, and that what it did was written down."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.members.model import Browser
from gstable_server.web.requests import client_address


class _Visit(Protocol):
    @property
    def request(self) -> Request: ...


V = TypeVar("V", bound=_Visit)


def form_token(login_token: str, merchant_id: str) -> str:
    """What the forms of this login carry. It follows from the cookie, which no other site can
    read, and does not reveal it; and from the merchant, so that a form that was opened for one
    cannot act for another that the browser was switched to meanwhile."""
    said = f"dashboard form {merchant_id}"
    return hmac.new(login_token.encode(), said.encode(), hashlib.sha256).hexdigest()


def browser_of(request: Request) -> Browser:
    """Where somebody signs in from."""
    return Browser(client_address(request), request.headers.get("user-agent", ""))


def audited(handler: Callable[[V], Awaitable[Response]]) -> Callable[[V], Awaitable[Response]]:
    """An act that is done and not written down once is a bug, wherever it is made: it fails the
    first time that anybody tries it."""

    @wraps(handler)
    async def counted(visit: V) -> Response:
        with audit.counted() as written:
            response = await handler(visit)
        if response.status_code < 400:
            path = visit.request.url.path
            words = [note.what for note in written.notes]
            assert len(words) == 1, f"{path} is to be written down once, and was as {words}"
        return response

    return counted
