"""Where an invitation's link leads."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import By, Invitation, Presence
from gstable_server.accounts.model import Merchant
from gstable_server.kernel.errors import Code, Refused
from gstable_server.plumbing.client_address import client_address
from gstable_server.web.base import PAGE_HEADERS
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import HOME, Guard, browser_of
from gstable_server.web.dashboard.words import PASSWORDS_DIFFER
from gstable_server.web.requests import read_form

JOIN = f"{HOME}/join"
JOIN_FORM = Form(("password", "passwordAgain"))


class Joining:
    """The handlers of an invitation's page. The link is the proof that the e-mail address is the
    visitor's: who is new chooses a password, who is known has to be signed in."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db

    async def show(self, request: Request) -> Response:
        return await self._page(request, JOIN_FORM)

    async def _page(self, request: Request, form: Form, status: int = 200) -> Response:
        async with self.db.begin() as tx:
            found, merchant, is_known = await team.invitation_of(tx, _token(request))
            presence = await members.presence_of(tx, self.guard.token_of(request))
        return self._shown(request, form, status, found, merchant, _step(found, is_known, presence))

    def _shown(
        self,
        request: Request,
        form: Form,
        status: int,
        found: Invitation,
        merchant: Merchant,
        step: str,
    ) -> Response:
        return self.guard.outside(
            "join.html",
            status=status,
            form=form,
            invitation=found,
            merchant=merchant,
            path=request.url.path,
            step=step,
        )

    async def join(self, request: Request) -> Response:
        entries = await read_form(request)
        token = _token(request)
        async with self.db.begin() as tx:
            found, _, is_known = await team.invitation_of(tx, token)
            presence = await members.presence_of(tx, self.guard.token_of(request))
        if is_known:
            if presence is None or presence.member.email != found.email:
                return await self._page(request, JOIN_FORM, 403)
            by = By(presence.member, client_address(request))
            await self.db.run(team.join, token, by, presence.login_id)
            home = f"{HOME}/{self.guard.default_mode}/team?done=joined"
            return RedirectResponse(home, 303, headers=PAGE_HEADERS)
        password = entries.get("password", "")
        if password != entries.get("passwordAgain", ""):
            form = JOIN_FORM.marked("passwordAgain", PASSWORDS_DIFFER)
            return await self._page(request, form, 422)
        try:
            login = await self.db.run(team.join_anew, token, password, browser_of(request))
        except Refused as refused:
            if refused.code is not Code.FIELD_INVALID:
                raise
            return await self._page(request, JOIN_FORM.refused(refused), 422)
        return self.guard.welcome(login)


def _step(found: Invitation, is_known: bool, presence: Presence | None) -> str:
    """What the visitor has to do: be somebody ``new``, ``sign-in`` first, or only ``join``."""
    if not is_known:
        return "new"
    is_theirs = presence is not None and presence.member.email == found.email
    return "join" if is_theirs else "sign-in"


def _token(request: Request) -> str:
    token: str = request.path_params["token"]
    return token
