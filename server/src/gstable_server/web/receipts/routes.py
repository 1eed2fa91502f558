"""``/receipt/<sessionId>`` as a page, ``.pdf`` and ``.json``, and the key of the latter.

Whoever has the address may read the receipt, as with the session's page. It says what is known at
the moment of asking, so nothing of it is kept by caches.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gstable_server.chain import statements
from gstable_server.kernel.errors import Code, Passing, Refused
from gstable_server.plumbing.db import Database
from gstable_server.receipts import operations as receipts
from gstable_server.receipts import wire
from gstable_server.receipts.model import Receipt
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.operations import Desk
from gstable_server.web.base import PAGE_HEADERS, Pages, packed
from gstable_server.web.language import ENGLISH, N_, Words, asked_language
from gstable_server.web.receipts.press import Press
from gstable_server.web.receipts.sheet import Sheet, sheet

KEYS_PATH = "/.well-known/jwks.json"
NOTHING_HERE = N_("Nothing here")
NO_RECEIPT = N_("There is no receipt, because nothing has been paid yet.")
TRY_AGAIN = N_("Please try again")
BUSY = N_("This server is busy. Please try again in a moment.")
# Anybody may check a receipt, from any page: there is nothing in these but what the address shows.
OPEN_HEADERS = {**PAGE_HEADERS, "access-control-allow-origin": "*"}

Handler = Callable[[Request], Awaitable[Response]]


def routes(db: Database, desk: Desk, pages: Pages, press: Press) -> list[BaseRoute]:
    """Everything about receipts that needs no login."""
    doors = _Receipts(db, desk, pages, press)
    path = "/receipt/{session_id}"
    return [
        Route(f"{path}.pdf", doors.as_page(doors.pdf), methods=["GET"]),
        Route(f"{path}.json", doors.token, methods=["GET"]),
        Route(path, doors.as_page(doors.page), methods=["GET"]),
        Route(KEYS_PATH, doors.keys, methods=["GET"]),
    ]


class _NotPaid(Exception):
    """There is no receipt of this session, or no such session."""


class _Receipts:
    """The handlers, with what they work on."""

    def __init__(self, db: Database, desk: Desk, pages: Pages, press: Press) -> None:
        self.db = db
        self.desk = desk
        self.pages = pages
        self.press = press

    def as_page(self, handler: Handler) -> Handler:
        """Troubles as a page."""

        @wraps(handler)
        async def answer(request: Request) -> Response:
            words = self.pages.words(request)
            title, text, status, wait = NOTHING_HERE, NO_RECEIPT, 404, 0
            try:
                return await handler(request)
            except _NotPaid:
                pass
            except Passing as later:
                title, text, status, wait = TRY_AGAIN, BUSY, 503, later.retry_after or 1
            response = self.pages.notice(
                words.gettext(title), words.gettext(text), status=status, language=words
            )
            if wait:
                response.headers["retry-after"] = str(wait)
            return response

        return answer

    async def page(self, request: Request) -> Response:
        held = await self._receipt(request)
        words = self.pages.words(request, held.merchant.default_language)
        path = f"/receipt/{held.session.session_id}"
        response = self.pages.page(
            "receipts/templates/receipt.html",
            language=words,
            sheet=self._sheet(held, words),
            branding=held.merchant,
            path=path,
        )
        return packed(request, response)

    async def pdf(self, request: Request) -> Response:
        """In English where there is no font for the page's language; and where there is none for
        what was bought, the page, which the browser prints with its own."""
        held = await self._receipt(request)
        words = self.pages.words(request, held.merchant.default_language)
        for one in dict.fromkeys((words, self.pages.languages.words(ENGLISH))):
            at = held.session.paid_at or held.as_of
            content = await self.press.set(self._sheet(held, one), one, at)
            if content is not None:
                name = f"receipt-{held.session.session_id[-8:]}.pdf"
                return Response(
                    content,
                    media_type="application/pdf",
                    headers={**PAGE_HEADERS, "content-disposition": f'inline; filename="{name}"'},
                )
        target = request.url.path.removesuffix(".pdf") + asked_language(request)
        return RedirectResponse(target, 303, headers=PAGE_HEADERS)

    async def token(self, request: Request) -> Response:
        """The receipt for programs: what it says, and the same signed."""
        try:
            held = await self._receipt(request)
        except _NotPaid:
            return JSONResponse({"problem": NO_RECEIPT}, 404, headers=OPEN_HEADERS)
        except Passing:
            return JSONResponse({"problem": BUSY}, 503, headers=OPEN_HEADERS)
        claims = wire.render(held, self.desk.public_url)
        token = statements.signed(self.desk.signer, wire.TYPE, claims)
        answer = {"receipt": claims, "token": token, "keys": f"{self.desk.public_url}{KEYS_PATH}"}
        return JSONResponse(answer, headers=OPEN_HEADERS)

    async def keys(self, _request: Request) -> Response:
        headers = {**OPEN_HEADERS, "cache-control": "public, max-age=3600"}
        return JSONResponse(statements.key_set(self.desk.signer), headers=headers)

    async def _receipt(self, request: Request) -> Receipt:
        try:
            session_id = sessions.session_id_of(request.path_params["session_id"])
            async with self.db.read() as tx:
                held = await receipts.receipt(tx, self.desk, session_id)
        except Refused as refused:
            if refused.code is not Code.SESSION_NOT_FOUND:
                raise
            held = None
        if held is None:
            raise _NotPaid
        return held

    def _sheet(self, held: Receipt, words: Words) -> Sheet:
        return sheet(held, words, f"{self.desk.public_url}/receipt/{held.session.session_id}")
