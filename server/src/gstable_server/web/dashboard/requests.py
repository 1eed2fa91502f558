"""Whose request it is, and that what it did was written down."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Protocol, TypeVar

import structlog
from starlette.requests import Request
from starlette.responses import Response

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.members.model import Browser
from gstable_server.plumbing.client_address import client_address

log = structlog.get_logger(__name__)

MISWRITTEN = "an act was not written into the audit log once"


class AlreadyDone(Exception):
    """Somebody did it before, perhaps the same person a moment ago: nothing is done or written down
    once more. ``text``, marked, says so."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


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


def once(note: Note, text: str) -> Callable[[bool], Note]:
    """What is written down of an act that says whether it changed anything. Raises
    ``AlreadyDone`` with ``text`` where it did not."""

    def noted(is_changed: bool) -> Note:
        if not is_changed:
            raise AlreadyDone(text)
        return note

    return noted


def browser_of(request: Request) -> Browser:
    """Where somebody signs in from."""
    return Browser(client_address(request), request.headers.get("user-agent", ""))


def audited(handler: Callable[[V], Awaitable[Response]]) -> Callable[[V], Awaitable[Response]]:
    """An act that is done and not written down once is a bug, wherever it is made: every test that
    tries it fails. A person who tries it gets the answer all the same: it was done, and who is told
    otherwise does it again."""

    @wraps(handler)
    async def counted(visit: V) -> Response:
        with audit.counted() as written:
            response = await handler(visit)
        if response.status_code < 400 and not written.is_once:
            words = [note.what for _, note in written.notes]
            log.error(MISWRITTEN, path=visit.request.url.path, notes=words)
        return response

    return counted
