"""What comes beside the password: the code of the second factor, and a forgotten password."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gstable_server.accounts.members import factors, forgotten
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members.model import LoginRefused
from gstable_server.kernel.errors import Code, Refused
from gstable_server.plumbing.client_address import client_address
from gstable_server.web.base import PAGE_HEADERS
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import HOME, LOGIN, Guard, browser_of
from gstable_server.web.dashboard.words import (
    KEY_LOST,
    PASSWORDS_DIFFER,
    WRONG_CODE,
    WRONG_PASSKEY,
    wait_text,
)
from gstable_server.web.requests import read_form

FORGOTTEN = f"{HOME}/forgotten"
RESET = f"{HOME}/reset"
CODE_FORM = Form(("code",))
FORGOTTEN_FORM = Form(("email",))
RESET_FORM = Form(("password", "passwordAgain"))


class SecondDoors:
    """The handlers of the code's page, and of what helps who forgot a password."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db

    async def code_page(self, request: Request) -> Response:
        return await self._show_code(request, CODE_FORM)

    async def _show_code(self, request: Request, form: Form, status: int = 200) -> Response:
        token = self.guard.token_of(request)
        async with self.db.begin() as tx:
            presence = await members.half_presence_of(tx, token) if token else None
            passkey, has_app = "", True
            if presence is not None:
                member_id = presence.member.member_id
                passkey = await self.guard.passkey_question(tx, token, member_id)
                has_app = await factors.has_app(tx, member_id)
        return self.guard.outside(
            "code.html", status=status, form=form, passkey=passkey, has_app=has_app
        )

    async def show_passkey(self, request: Request) -> Response:
        """The passkey in place of the code, behind the password."""
        entries, party = await read_form(request), self.guard.party
        if party is None:
            raise Refused(Code.ROUTE_UNKNOWN)
        token, credential = self.guard.token_of(request), entries.get("credential", "")
        login = await self.db.run(
            members.show_passkey, party, token, credential, browser_of(request)
        )
        if login is None:
            return RedirectResponse(LOGIN, 303, headers=PAGE_HEADERS)
        if isinstance(login, LoginRefused):
            form = replace(CODE_FORM, problem=WRONG_PASSKEY)
            return await self._show_code(request, form, 422)
        return self.guard.welcome(login)

    async def type_code(self, request: Request) -> Response:
        entries = await read_form(request)
        token = self.guard.token_of(request)
        login = await self.db.run(
            members.type_code,
            token,
            entries.get("code", ""),
            browser_of(request),
            self.guard.sealer,
        )
        if login is None:
            return RedirectResponse(LOGIN, 303, headers=PAGE_HEADERS)
        if not isinstance(login, LoginRefused):
            return self.guard.welcome(login)
        if not login.retry_after:
            text = KEY_LOST if login.is_key_lost else WRONG_CODE
            return await self._show_code(request, CODE_FORM.marked("code", text), 422)
        form = CODE_FORM.marked("code", wait_text(login.retry_after))
        response = await self._show_code(request, form, 429)
        response.headers["retry-after"] = str(login.retry_after)
        return response

    # --- forgotten passwords ----------------------------------------------------------------------

    async def forgotten_page(self, _request: Request) -> Response:
        return self._show_forgotten(FORGOTTEN_FORM)

    def _show_forgotten(self, form: Form, status: int = 200, *, is_asked: bool = False) -> Response:
        return self.guard.outside(
            "forgotten.html",
            status=status,
            form=form,
            is_asked=is_asked,
            sends_mail=self.guard.sends_mail,
        )

    async def ask(self, request: Request) -> Response:
        """The same answer whoever's address it is. The link is of this server's own address, never
        of what the request says that it is."""
        form = FORGOTTEN_FORM.filled(await read_form(request))
        if not self.guard.sends_mail:
            return self._show_forgotten(form)
        link = f"{self.guard.desk.public_url}{RESET}"
        try:
            await self.db.run(forgotten.ask, form.value("email"), client_address(request), link)
        except Refused as refused:
            return self._show_forgotten(form.refused(refused), 422)
        return self._show_forgotten(form, is_asked=True)

    async def reset_page(self, request: Request) -> Response:
        async with self.db.begin() as tx:
            if not await forgotten.is_usable(tx, request.path_params["token"]):
                raise Refused(Code.ROUTE_UNKNOWN)
        return self._show_reset(request, RESET_FORM)

    def _show_reset(self, request: Request, form: Form, status: int = 200) -> Response:
        return self.guard.outside("reset.html", status=status, form=form, path=request.url.path)

    async def reset(self, request: Request) -> Response:
        entries = await read_form(request)
        password = entries.get("password", "")
        if password != entries.get("passwordAgain", ""):
            form = RESET_FORM.marked("passwordAgain", PASSWORDS_DIFFER)
            return self._show_reset(request, form, 422)
        token = request.path_params["token"]
        try:
            await self.db.run(forgotten.reset, token, password, client_address(request))
        except Refused as refused:
            if refused.code is not Code.FIELD_INVALID:
                raise
            return self._show_reset(request, RESET_FORM.refused(refused), 422)
        return RedirectResponse(LOGIN, 303, headers=PAGE_HEADERS)
