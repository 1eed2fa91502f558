"""The pages of payment links: choosing what to pay, and opening a session for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gstable_server.accounts.branding import operations as brandings
from gstable_server.accounts.branding.model import Branding
from gstable_server.catalog import operations as catalog
from gstable_server.catalog.model import Product
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import LinkId, ProductId, id_or_none
from gstable_server.kernel.money import MicroUsd
from gstable_server.links import operations as links
from gstable_server.links.model import LinkType, PaymentLink, with_quantities
from gstable_server.plumbing.db import Database, Tx
from gstable_server.routing import operations as routing
from gstable_server.sessions import operations as sessions
from gstable_server.sessions import paying
from gstable_server.sessions.model import Session
from gstable_server.sessions.operations import Desk
from gstable_server.web.base import PAGE_HEADERS, Pages, allow_framing
from gstable_server.web.checkout.amounts import AmountError
from gstable_server.web.checkout.gathering import gather, status_of
from gstable_server.web.checkout.link_page import (
    NO_PROBLEMS,
    Bounds,
    LinkForm,
    Problems,
    link_page,
    problems_of,
)
from gstable_server.web.checkout.notices import Notices
from gstable_server.web.checkout.noting import note_language
from gstable_server.web.checkout.turns import Act, Turns
from gstable_server.web.checkout.visits import Visits
from gstable_server.web.language import Words, asked_language
from gstable_server.web.requests import FORM, has_type, is_same_origin, read_form

Handler = Callable[[Request], Awaitable[Response]]
"""What answers a request, or raises ``Refused`` for a page that says so."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A link with all that its page is made of, but what the payer filled in. ``products`` only
    of one whose amount the payer names: their common prices are its suggestions."""

    link: PaymentLink
    branding: Branding
    products: dict[ProductId, Product]
    bounds: Bounds | None


@dataclass(frozen=True, slots=True)
class LinkDoor:
    """The handlers, with what they work on."""

    db: Database
    desk: Desk
    pages: Pages
    notices: Notices
    turns: Turns
    visits: Visits

    def routes(self, as_page: Callable[[Handler], Handler]) -> list[BaseRoute]:
        """``as_page`` makes a page of what a handler refuses."""
        return [
            Route("/link/{link_id}", as_page(self.link), methods=["GET"]),
            Route("/link/{link_id}", as_page(self.choose), methods=["POST"]),
            Route("/link/{link_id}/open", as_page(self.open), methods=["POST"]),
            Route("/pay/{session_id}/again", as_page(self.again), methods=["POST"]),
        ]

    async def link(self, request: Request) -> Response:
        async with self.db.read() as tx:
            known = await self._known(tx, _link_id(request))
        self.visits.count(request, known.link.link_id)
        return self._page(request, known, LinkForm(), NO_PROBLEMS, 200)

    async def choose(self, request: Request) -> Response:
        """The page with another quantity and what that comes to; nothing is opened. The buttons
        for more and fewer send the form here, by themselves or by the page's script."""
        if not _is_ours(request, self.desk):
            return self.notices.elsewhere(request)
        form = LinkForm.sent(await read_form(request))
        async with self.db.read() as tx:
            known = await self._known(tx, _link_id(request))
        problems, form = NO_PROBLEMS, form.stepped(known.link)
        try:
            with_quantities(known.link, form.chosen)
        except Refused as refused:
            words = self._words(request, known.branding)
            problems = problems_of(refused, form, known.link, known.bounds, words)
        return self._page(request, known, form, problems, 200)

    async def open(self, request: Request) -> Response:
        """Open a session and go to its page. A wrong entry shows the form again."""
        if not _is_ours(request, self.desk):
            return self.notices.elsewhere(request)
        form = LinkForm.sent(await read_form(request))
        link_id = _link_id(request)
        self.turns.take(Act.OPEN, request, link_id)
        try:
            session = await self.db.run(self._open, link_id, form)
        except (Refused, AmountError) as trouble:
            async with self.db.read() as tx:
                known = await self._known(tx, link_id)
            words = self._words(request, known.branding)
            problems = problems_of(trouble, form, known.link, known.bounds, words)
            return self._page(request, known, form, problems, 422)
        return await self._to(request, session)

    async def _open(self, tx: Tx, link_id: LinkId, form: LinkForm) -> Session:
        link = with_quantities(await links.require_open(tx, link_id), form.chosen)
        amount: MicroUsd | None = None
        if link.link_type is LinkType.CUSTOM:
            amount = form.wanted
        return await sessions.open_from_link(
            tx, self.desk, link, amount=amount, payer_email=form.email or None
        )

    async def again(self, request: Request) -> Response:
        """A fresh session with the choice of one whose time is over: amount, quantities, e-mail.

        They are read from the old session and not from the page, which anybody with its address
        may open and which does not tell the e-mail. Where the link does not offer that choice any
        more, its own page says so.
        """
        if not _is_ours(request, self.desk):
            return self.notices.elsewhere(request)
        code = (await read_form(request)).get("clientCode", "")
        session_id = sessions.session_id_of(request.path_params["session_id"])
        async with self.db.read() as tx:
            known = (await gather(tx, self.desk, [session_id])).get(session_id)
            now = tx.now
        if known is None:
            raise Refused(Code.SESSION_NOT_FOUND)
        old, words = known.view.session, self._words(request, known.branding)
        paying.require_client_code(old, code)
        # Asked as the page was, so that its button does what it says.
        if not status_of(known, self.desk, {}, now, words).may_start_again:
            return _redirect(request, f"/pay/{session_id}")
        self.turns.take(Act.OPEN, request, old.business_id)
        try:
            session = await self.db.run(self._open_again, old)
        except Refused:
            return _redirect(request, f"/link/{old.business_id}")
        return await self._to(request, session)

    async def _open_again(self, tx: Tx, old: Session) -> Session:
        link = await links.require_open(tx, LinkId(old.business_id))
        wanted: dict[str, int] = {item.line_item_id: item.quantity for item in old.line_items}
        amount = old.amount if link.link_type is LinkType.CUSTOM else None
        return await sessions.open_from_link(
            tx,
            self.desk,
            with_quantities(link, wanted),
            amount=amount,
            payer_email=old.payer_email,
        )

    async def _to(self, request: Request, session: Session) -> Response:
        """To the page of a fresh session."""
        await self.db.run(note_language, self.pages.languages, request, session)
        return _redirect(request, f"/pay/{session.session_id}")

    async def _known(self, tx: Tx, link_id: LinkId) -> _Known:
        link = await links.view(tx, link_id)
        ids = [item.product_id for item in link.line_items if item.product_id]
        is_custom = link.link_type is LinkType.CUSTOM
        return _Known(
            link=link,
            branding=await brandings.branding(tx, link.tenant.merchant_id),
            products=await catalog.shown(tx, link.tenant, ids) if is_custom else {},
            bounds=self._bounds(link),
        )

    def _bounds(self, link: PaymentLink) -> Bounds | None:
        """None too where the operator took the settlement token away."""
        token = self.desk.networks.find_token(link.settlement_token, link.tenant.mode)
        return routing.bounds(self.desk.market, token) if token else None

    def _words(self, request: Request, branding: Branding) -> Words:
        return self.pages.words(request, branding.default_language)

    def _page(
        self, request: Request, known: _Known, form: LinkForm, problems: Problems, http_status: int
    ) -> Response:
        words = self._words(request, known.branding)
        shown = link_page(
            known.link, known.branding, known.products, known.bounds, form, problems, words
        )
        response = self.pages.page(
            "checkout/templates/link.html",
            status=410 if shown.is_archived and http_status == 200 else http_status,
            language=words,
            link=shown,
            form=form,
            problems=problems,
            query=asked_language(request),
        )
        self.notices.remember(request, shown.branding.frame_origins)
        return allow_framing(response, shown.branding.frame_origins)


def _is_ours(request: Request, desk: Desk) -> bool:
    return is_same_origin(request, desk.public_url) and has_type(request, FORM)


def _redirect(request: Request, path: str) -> Response:
    target = path + asked_language(request)
    return RedirectResponse(target, 303, headers=PAGE_HEADERS)


def _link_id(request: Request) -> LinkId:
    link_id = id_or_none(LinkId, request.path_params["link_id"])
    if link_id is None:
        raise Refused(Code.LINK_NOT_FOUND)
    return link_id
