"""Signing in by a passkey, and keeping one's own."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members import passkeys
from gstable_server.accounts.members.model import LoginRefused
from gstable_server.accounts.members.passkeys import ANSWERED_WITHIN, TOKEN_LENGTH, Party
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import PasskeyId
from gstable_server.plumbing.stamps import Stamps
from gstable_server.web.dashboard.address import id_of
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import HOME, Guard, Visit, browser_of, done, onward
from gstable_server.web.dashboard.words import WRONG_PASSKEY
from gstable_server.web.requests import read_form

PASSKEY = f"{HOME}/passkey"
COOKIE = "gstable-passkey"
STAMPED = "sign-in by passkey"
SIGN_IN_FORM = Form(("credential",))
ADD_FORM = Form(("name", "credential"))


class Passkeys:
    """The handlers of the door, and of the pages below one's own sign-ins."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.stamps = Stamps(guard.desk.signer.derived_key(STAMPED))

    def _party(self) -> Party:
        """Raises ``Refused`` (404) where browsers make no passkeys for this server's address."""
        if self.guard.party is None:
            raise Refused(Code.ROUTE_UNKNOWN)
        return self.guard.party

    # --- the door ---------------------------------------------------------------------------------

    async def sign_in_page(self, _request: Request) -> Response:
        return self._ask(SIGN_IN_FORM)

    def _ask(self, form: Form, status: int = 200) -> Response:
        """The page with a new question, which only this browser can answer; asking costs the
        database nothing, because anybody may."""
        letters, now = self.db.ids.token(TOKEN_LENGTH), self.db.clock.now()
        token = passkeys.sign_in_token(self.stamps, letters, now)
        options = passkeys.sign_in_options(self._party(), token)
        response = self.guard.outside("passkey.html", status=status, form=form, options=options)
        self.guard.cookies.keep(response, COOKIE, token, int(ANSWERED_WITHIN.total_seconds()))
        return response

    async def sign_in(self, request: Request) -> Response:
        entries = await read_form(request)
        login = await self.db.run(
            members.login_by_passkey,
            self._party(),
            self.stamps,
            token=self.guard.cookies.of(request, COOKIE),
            credential=entries.get("credential", ""),
            browser=browser_of(request),
            previous_token=self.guard.token_of(request),
        )
        if isinstance(login, LoginRefused):
            return self._ask(replace(SIGN_IN_FORM, problem=WRONG_PASSKEY), 422)
        response = self.guard.welcome(login)
        self.guard.cookies.keep(response, COOKIE, "", 0)
        return response

    # --- one's own --------------------------------------------------------------------------------

    async def begin(self, visit: Visit) -> Response:
        self._party()
        await self.db.run(passkeys.begin_registration, self.guard.token_of(visit.request))
        return onward(visit, "/security/passkeys/new")

    async def new(self, visit: Visit) -> Response:
        return await self._page(visit, ADD_FORM)

    async def _page(self, visit: Visit, form: Form, status: int = 200) -> Response:
        token = self.guard.token_of(visit.request)
        async with self.db.read() as tx:
            options = await passkeys.registration_options(tx, self._party(), visit.by, token)
        if options is None:
            return onward(visit, "/security")
        return self.guard.show(
            visit, "passkey_new.html", "security", status=status, form=form, options=options
        )

    async def add(self, visit: Visit) -> Response:
        """Recovery codes, where there were none, are in this very answer and nowhere again."""
        form, token = ADD_FORM.filled(visit.entries), self.guard.token_of(visit.request)
        made = await self.db.run(
            passkeys.register,
            self._party(),
            visit.by,
            token,
            visit.entries.get("credential", ""),
            form.value("name"),
        )
        if isinstance(made, Refused):
            # What was asked is used up, and the page asks anew.
            await self.db.run(passkeys.begin_registration, token)
            name, _, _ = made.detail.partition(" ")
            shown = form if name == "name" else Form(("name",), form.values)
            return await self._page(visit, shown.refused(made), 422)
        if made:
            return self.guard.show(visit, "factor_on.html", "security", codes=made, by_passkey=True)
        return done(visit, "/security", "passkey-added")

    async def rename(self, visit: Visit) -> Response:
        name = visit.entries.get("name", "")
        await self.db.run(passkeys.rename, visit.by, id_of(visit, PasskeyId, "passkey_id"), name)
        return done(visit, "/security", "passkey-renamed")

    async def remove(self, visit: Visit) -> Response:
        await self.db.run(passkeys.remove, visit.by, id_of(visit, PasskeyId, "passkey_id"))
        return done(visit, "/security", "passkey-removed")
