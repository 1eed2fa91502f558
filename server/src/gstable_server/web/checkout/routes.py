"""The payer's pages and what their forms and script call (spec 7 and 15).

Reading needs only the unguessable address; acting needs a request from our own page, and for a
session its client code. Nothing here decides whether a payment happened.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import TypeVar
from urllib.parse import urlencode

import segno
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gstable_server.kernel.address import address_from_hex
from gstable_server.kernel.errors import Code, Passing, Refused
from gstable_server.plumbing.db import Database, Tx
from gstable_server.routing.model import RouteOption, Way
from gstable_server.sessions import operations as sessions
from gstable_server.sessions import paying
from gstable_server.sessions.deposits import operations as deposits
from gstable_server.sessions.deposits.model import DepositView
from gstable_server.sessions.model import Session
from gstable_server.sessions.operations import Desk
from gstable_server.web.base import PAGE_HEADERS, Pages, allow_connecting, allow_framing, packed
from gstable_server.web.checkout.deposit import (
    DepositSection,
    deposit_json,
    deposit_section,
    refund_address,
)
from gstable_server.web.checkout.gathering import (
    Known,
    gather,
    heights,
    networks_of,
    status_of,
)
from gstable_server.web.checkout.link_routes import LinkDoor
from gstable_server.web.checkout.notices import (
    BUSY,
    ELSEWHERE,
    FAILED,
    LATER,
    Notices,
)
from gstable_server.web.checkout.noting import note_language
from gstable_server.web.checkout.prepared import authorized_json, prepared_json, relay_json
from gstable_server.web.checkout.presenter import PayPage, pay_page, settlement_view
from gstable_server.web.checkout.status import Status
from gstable_server.web.checkout.turns import Act, Turns
from gstable_server.web.checkout.visits import Visits
from gstable_server.web.checkout.walletconnect import Relay
from gstable_server.web.checkout.wire import (
    AuthorizeInput,
    DepositInput,
    NetworkInput,
    PrepareInput,
)
from gstable_server.web.checkout.words import in_words
from gstable_server.web.language import N_, Words, asked_language
from gstable_server.web.requests import FORM, JSON, has_type, is_same_origin, read_body, read_form

Handler = Callable[[Request], Awaitable[Response]]
Options = Callable[[Desk, Session, datetime], tuple[RouteOption, ...]]
SomeInput = TypeVar("SomeInput", PrepareInput, AuthorizeInput, DepositInput, NetworkInput)

NOT_FOUND = frozenset({Code.LINK_NOT_FOUND, Code.SESSION_NOT_FOUND})
NOTHING_HERE = N_("Nothing here")
OUT_OF_DATE = N_("This page is out of date. Reload it and try again.")


def routes(
    db: Database,
    desk: Desk,
    pages: Pages,
    notices: Notices | None = None,
    turns: Turns | None = None,
    visits: Visits | None = None,
    relay: Relay | None = None,
) -> list[BaseRoute]:
    """Every address that a payer's browser asks for, except the static files. Who gives ``visits``
    writes what they count; with ``relay`` payers may connect a wallet of another device."""
    checkout = _Checkout(db, desk, pages, notices or Notices(pages), turns or Turns(), relay)
    door = LinkDoor(db, desk, pages, checkout.notices, checkout.turns, visits or Visits(db))
    return [
        *door.routes(checkout.as_page),
        Route("/pay/{session_id}", checkout.as_page(checkout.pay), methods=["GET"]),
        Route("/pay/{session_id}/status", checkout.as_answer(checkout.status), methods=["GET"]),
        Route("/pay/{session_id}/prepare", checkout.as_answer(checkout.prepare), methods=["POST"]),
        Route(
            "/pay/{session_id}/authorize", checkout.as_answer(checkout.authorize), methods=["POST"]
        ),
        Route("/pay/{session_id}/deposit", checkout.deposit, methods=["POST"]),
        Route("/pay/{session_id}/network", checkout.as_answer(checkout.network), methods=["POST"]),
    ]


def problem(text: str, http_status: int, retry_after: int | None = None) -> Response:
    waits = {"retry-after": str(retry_after)} if retry_after else {}
    return JSONResponse({"problem": text}, http_status, headers={**PAGE_HEADERS, **waits})


def _status(refused: Refused) -> int:
    if refused.code in NOT_FOUND:
        return 404
    return 429 if refused.code is Code.TOO_MANY_REQUESTS else 409


@dataclass(frozen=True, slots=True)
class _Checkout:
    """The handlers, with what they work on."""

    db: Database
    desk: Desk
    pages: Pages
    notices: Notices
    turns: Turns
    relay: Relay | None

    def as_answer(self, handler: Handler) -> Handler:
        """Troubles as JSON for the page's script: ``{"problem": "<a sentence for the payer>"}``."""

        @wraps(handler)
        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except Refused as refused:
                text = in_words(refused, self.pages.words(request))
                return problem(text, _status(refused), refused.retry_after)
            except Passing as later:
                text = self.pages.words(request).gettext(LATER)
                return problem(text, 503, later.retry_after or 1)

        return answer

    def as_page(self, handler: Handler) -> Handler:
        """Troubles as a page for the payer."""

        @wraps(handler)
        async def answer(request: Request) -> Response:
            words, show = self.pages.words(request), self.notices.show
            try:
                response = await handler(request)
            except Refused as refused:
                status = _status(refused)
                text = in_words(refused, words)
                title = {404: NOTHING_HERE, 429: BUSY}.get(status, FAILED)
                response = show(request, words, title, text, status, refused.retry_after)
            except Passing as later:
                text, wait = words.gettext(LATER), later.retry_after or 1
                response = show(request, words, BUSY, text, 503, wait)
            self.pages.languages.remember(request, response)
            return packed(request, response)

        return answer

    # --- sessions ---------------------------------------------------------------------------------

    async def pay(self, request: Request) -> Response:
        async with self.db.read() as tx:
            known = await self._known(tx, request)
            words = self.pages.words(request, known.branding.default_language)
            page = self._pay_page(known, await self._status(tx, known, words), words)
        section = self._deposit_section(known, request, words)
        response = self.pages.page(
            "checkout/templates/pay.html",
            language=words,
            page=page,
            deposit=section,
            relay=self.relay if page.status.phase == "open" else None,
            query=asked_language(request),
            keep=_kept(request),
        )
        self.notices.remember(request, known.branding.frame_origins)
        response = allow_framing(response, known.branding.frame_origins)
        if self.relay is not None and page.status.phase == "open":
            response = allow_connecting(response, self.relay.origin)
        return response

    async def network(self, request: Request) -> Response:
        """What a network says, for a page whose wallet is on another device."""
        asked = await self._input(request, NetworkInput)
        if isinstance(asked, Response):
            return asked
        session_id = sessions.session_id_of(request.path_params["session_id"])
        self.turns.take(Act.NETWORK, request, session_id)
        async with self.db.read() as tx:
            session = (await self._known(tx, request)).view.session
        if self.relay is None or session.client_code != asked.client_code:
            raise Refused(Code.SESSION_NOT_FOUND)
        answer = await self.relay.answer(self.desk.networks, session.tenant.mode, asked)
        return JSONResponse(answer, headers=PAGE_HEADERS)

    async def status(self, request: Request) -> Response:
        async with self.db.read() as tx:
            known = await self._known(tx, request)
            words = self.pages.words(request, known.branding.default_language)
            shown = await self._status(tx, known, words)
            cause = request.query_params.get("relay", "")
            session_id = known.view.session.session_id
            sent = await paying.relayed(tx, session_id, cause) if cause else None
        answer = {**shown.to_json(), "relay": relay_json(sent)}
        return JSONResponse(answer, headers=PAGE_HEADERS)

    async def prepare(self, request: Request) -> Response:
        """The signed terms and what the payer's wallet has to do."""
        choice = await self._input(request, PrepareInput)
        if isinstance(choice, Response):
            return choice
        session_id = sessions.session_id_of(request.path_params["session_id"])
        self.turns.take(Act.PREPARE, request, session_id)
        prepared = await self.db.run(
            paying.prepare,
            self.desk,
            session_id,
            client_code=choice.client_code,
            token_id=choice.token_id,
            way=Way(choice.way),
            payer=address_from_hex(choice.payer),
            payer_email=choice.payer_email,
        )
        await self.db.run(note_language, self.pages.languages, request, prepared.session)
        words = self.pages.words(request)
        answer = prepared_json(prepared, self.desk.networks, words)
        return JSONResponse(answer, headers=PAGE_HEADERS)

    async def authorize(self, request: Request) -> Response:
        """What follows the payer's signature: we send the payment, or the wallet does."""
        signed = await self._input(request, AuthorizeInput)
        if isinstance(signed, Response):
            return signed
        session_id = sessions.session_id_of(request.path_params["session_id"])
        self.turns.take(Act.AUTHORIZE, request, session_id)
        authorized = await self.db.run(
            paying.authorize,
            self.desk,
            session_id,
            client_code=signed.client_code,
            digest=bytes.fromhex(signed.digest[2:]),
            way=Way(signed.way),
            payer=address_from_hex(signed.payer),
            signature=bytes.fromhex(signed.signature[2:]),
        )
        return JSONResponse(authorized_json(authorized), headers=PAGE_HEADERS)

    async def _input(self, request: Request, form: type[SomeInput]) -> SomeInput | Response:
        """What the page's script sent, or the answer to what no page of ours sends."""
        if not is_same_origin(request, self.desk.public_url) or not has_type(request, JSON):
            return problem(self.pages.words(request).gettext(ELSEWHERE), 403)
        try:
            return form.model_validate_json(await read_body(request))
        except ValidationError:
            return problem(self.pages.words(request).gettext(OUT_OF_DATE), 400)

    async def _known(self, tx: Tx, request: Request) -> Known:
        session_id = sessions.session_id_of(request.path_params["session_id"])
        known = (await gather(tx, self.desk, [session_id])).get(session_id)
        if known is None:
            raise Refused(Code.SESSION_NOT_FOUND)
        return known

    async def _status(self, tx: Tx, known: Known, words: Words) -> Status:
        found = await heights(tx, networks_of(known))
        return status_of(known, self.desk, found, tx.now, words)

    async def deposit(self, request: Request) -> Response:
        """The address of the session's own: as JSON, or for a form on its page."""
        if has_type(request, FORM):
            return await self.as_page(self._deposit_form)(request)
        return await self.as_answer(self._deposit_answer)(request)

    async def _deposit_answer(self, request: Request) -> Response:
        choice = await self._input(request, DepositInput)
        if isinstance(choice, Response):
            return choice
        view, option = await self._open_deposit(request, choice)
        return JSONResponse(deposit_json(view, option), headers=PAGE_HEADERS)

    async def _deposit_form(self, request: Request) -> Response:
        """Works without a script: the address is shown on the page that follows."""
        if not is_same_origin(request, self.desk.public_url):
            return self.notices.elsewhere(request)
        fields = {name: value for name, value in (await read_form(request)).items() if value}
        try:
            choice = DepositInput.model_validate(fields)
        except ValidationError:
            words = self.pages.words(request)
            return self.notices.show(request, words, FAILED, words.gettext(OUT_OF_DATE), 400)
        view, option = await self._open_deposit(request, choice)
        query = asked_language(request, deposit=option.token.token_id)
        target = f"/pay/{view.session.session_id}{query}#deposit"
        return RedirectResponse(target, 303, headers=PAGE_HEADERS)

    async def _open_deposit(
        self, request: Request, choice: DepositInput
    ) -> tuple[DepositView, RouteOption]:
        session_id = sessions.session_id_of(request.path_params["session_id"])
        self.turns.take(Act.DEPOSIT, request, session_id)
        opened = await self.db.run(
            deposits.open_deposit,
            self.desk,
            session_id,
            client_code=choice.client_code,
            token_id=choice.token_id,
            refund_to=refund_address(choice.refund_to),
            payer_email=choice.payer_email,
        )
        await self.db.run(note_language, self.pages.languages, request, opened[0].session)
        return opened

    def _deposit_section(self, known: Known, request: Request, words: Words) -> DepositSection:
        options: tuple[RouteOption, ...] = ()
        if known.deposit is None:
            options = self._offered(deposits.options, known.view.session)
        chosen = request.query_params.get("deposit", "")
        return deposit_section(options, known.deposit, chosen, words)

    def _pay_page(self, known: Known, shown: Status, words: Words) -> PayPage:
        session = known.view.session
        url = f"{self.desk.public_url}/pay/{session.session_id}"
        offered = self._offered(paying.options, session)
        networks = self.desk.networks
        settlement = networks.find_token(session.settlement_token, session.tenant.mode)
        return pay_page(
            known.view,
            [(one, paying.ways_of(self.desk, one)) for one in offered],
            shown,
            words,
            branding=known.branding,
            signer=self.desk.signer.address,
            settlement=settlement_view(settlement, networks) if settlement else None,
            url=url,
            qr=segno.make(url, error="m").svg_data_uri(border=2),
        )

    def _offered(self, options: Options, session: Session) -> tuple[RouteOption, ...]:
        """None where the operator took the settlement token away: the page still has to show."""
        try:
            return options(self.desk, session, self.db.clock.now())
        except Refused:
            return ()


def _kept(request: Request) -> str:
    """What else the address says, for links to the same page in another language."""
    chosen = request.query_params.get("deposit", "")[:100]
    return "&" + urlencode({"deposit": chosen}) if chosen else ""
