"""First run, signing in and signing out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members.model import Login, LoginRefused
from gstable_server.kernel.errors import Refused
from gstable_server.plumbing.client_address import client_address
from gstable_server.plumbing.db import Tx
from gstable_server.web.base import PAGE_HEADERS
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import HOME, LOGIN, Guard, Visit, browser_of
from gstable_server.web.dashboard.speech import N_
from gstable_server.web.dashboard.words import (
    HAS_OWNER,
    PASSWORDS_DIFFER,
    WRONG_LOGIN,
    wait_text,
)
from gstable_server.web.requests import read_form

SETUP = f"{HOME}/setup"
SETUP_FORM = Form(("name", "email", "password", "passwordAgain"))
LOGIN_FORM = Form(("email", "password"))


class Doors:
    """The handlers for people who have not signed in, and for leaving."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db

    async def home(self, request: Request) -> Response:
        """Where ``/dashboard`` leads: first run, signing in, or the first page."""
        async with self.db.begin() as tx:
            if await members.owner_is_wanted(tx):
                place = SETUP
            elif await members.presence_of(tx, self.guard.token_of(request)):
                place = f"{HOME}/{self.guard.default_mode}"
            else:
                place = LOGIN
        return RedirectResponse(place, 303, headers=PAGE_HEADERS)

    # --- first run --------------------------------------------------------------------------------

    async def setup(self, _request: Request) -> Response:
        async with self.db.read() as tx:
            if not await members.owner_is_wanted(tx):
                return self.guard.missing()
        return self._show_setup(SETUP_FORM)

    async def register(self, request: Request) -> Response:
        """Make the visitor the owner and sign them in; of several at once, the first."""
        async with self.db.read() as tx:
            if not await members.owner_is_wanted(tx):
                return self.guard.missing()
        entries = await read_form(request)
        form = SETUP_FORM.filled(entries)
        if entries.get("password", "") != entries.get("passwordAgain", ""):
            return self._show_setup(form.marked("passwordAgain", PASSWORDS_DIFFER), 422)
        try:
            login = await self.db.run(self._register, request, entries)
        except Refused as refused:
            if refused.detail.startswith("owner "):
                return self.guard.notice(N_("Too late"), HAS_OWNER, status=404)
            return self._show_setup(form.refused(refused), 422)
        return self._answer(login, LOGIN_FORM)

    async def _register(
        self, tx: Tx, request: Request, entries: dict[str, str]
    ) -> Login | LoginRefused:
        email, password = entries.get("email", ""), entries.get("password", "")
        await members.register_owner(
            tx, entries.get("name", ""), email, password, client_address(request)
        )
        return await self._login(tx, request, email, password)

    def _show_setup(self, form: Form, status: int = 200) -> Response:
        return self.guard.outside("setup.html", status=status, form=form)

    # --- signing in and out -----------------------------------------------------------------------

    async def login_page(self, request: Request) -> Response:
        async with self.db.read() as tx:
            if await members.owner_is_wanted(tx):
                return RedirectResponse(SETUP, 303, headers=PAGE_HEADERS)
        return self._show_login(LOGIN_FORM, is_kept=self.guard.keeping.of(request) is not None)

    async def login(self, request: Request) -> Response:
        entries = await read_form(request)
        login = await self.db.run(
            self._login, request, entries.get("email", ""), entries.get("password", "")
        )
        return self._answer(login, LOGIN_FORM.filled(entries))

    async def _login(
        self, tx: Tx, request: Request, email: str, password: str
    ) -> Login | LoginRefused:
        return await members.login(
            tx,
            email=email,
            password=password,
            browser=browser_of(request),
            previous_token=self.guard.token_of(request),
        )

    def _answer(self, login: Login | LoginRefused, form: Form) -> Response:
        if isinstance(login, Login):
            return self.guard.welcome(login)
        if login.retry_after == 0:
            return self._show_login(form.marked("password", WRONG_LOGIN), 422)
        response = self._show_login(form.marked("password", wait_text(login.retry_after)), 429)
        response.headers["retry-after"] = str(login.retry_after)
        return response

    def _show_login(self, form: Form, status: int = 200, *, is_kept: bool = False) -> Response:
        has_party = self.guard.party is not None
        openid = self.guard.openid.client.name if self.guard.openid else ""
        return self.guard.outside(
            "login.html",
            status=status,
            form=form,
            is_kept=is_kept,
            has_party=has_party,
            openid=openid,
        )

    async def typed(self, visit: Visit) -> Response:
        """What was typed when the login before this one ended, with a button that sends it."""
        kept = self.guard.keeping.of(visit.request)
        if kept is None or "drop" in visit.request.query_params:
            response: Response = RedirectResponse(visit.base, 303, headers=PAGE_HEADERS)
            self.guard.keeping.forget(visit.request, response)
            return response
        return self.guard.show(visit, "typed.html", "", kept=kept)

    async def logout(self, visit: Visit) -> Response:
        token = self.guard.token_of(visit.request)
        await self.db.run(members.logout, token)
        self.guard.news.end_login(token)
        return self.guard.farewell()
