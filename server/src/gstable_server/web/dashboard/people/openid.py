"""Signing in with another server, if one is set up: the way there and the way back."""

from __future__ import annotations

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gstable_server.accounts.members import identities
from gstable_server.accounts.members.identities import ANSWERED_WITHIN, TOKEN_LENGTH
from gstable_server.accounts.members.model import LoginRefused
from gstable_server.kernel.errors import Code, Refused
from gstable_server.plumbing.config import Settings
from gstable_server.plumbing.openid import OpenId, OpenIdRefused, openid_of
from gstable_server.plumbing.sealing import sealer_of
from gstable_server.plumbing.stamps import Stamps
from gstable_server.web.base import PAGE_HEADERS
from gstable_server.web.dashboard.guard import HOME, Guard, SignIn, browser_of
from gstable_server.web.dashboard.speech import N_

log = structlog.get_logger(__name__)

OPENID = f"{HOME}/openid"
COOKIE = "gstable-openid"
STAMPED = "sign-in with another server"
FAILED = N_("Signing in there did not work")
NOT_BELIEVED = N_("What came back could not be checked. Begin again from the sign-in page.")
NOBODY = N_(
    "Nobody of this dashboard has your e-mail address there, or it is not verified there. Ask an "
    "owner or admin of your team to invite that very address."
)


def sign_in_of(settings: Settings) -> SignIn:
    """What proving who somebody is takes, from the settings. Raises ``SettingsInvalid``."""
    return SignIn(sealer_of(settings), openid_of(settings, f"{OPENID}/return"))


class OtherServer:
    """The two doors. Both are links and not forms, because a form may lead to no other site."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.stamps = Stamps(guard.desk.signer.derived_key(STAMPED))

    def _openid(self) -> OpenId:
        """Raises ``Refused`` (404) where no other server is set up."""
        if self.guard.openid is None:
            raise Refused(Code.ROUTE_UNKNOWN)
        return self.guard.openid

    async def go(self, _request: Request) -> Response:
        """Asking costs the database nothing, because anybody may."""
        openid = self._openid()
        letters, now = self.db.ids.token(TOKEN_LENGTH), self.db.clock.now()
        token = identities.token_of(self.stamps, letters, now)
        try:
            place = await openid.question(token)
        except OpenIdRefused as problem:
            return self._refused(problem)
        response = RedirectResponse(place, 303, headers=PAGE_HEADERS)
        self.guard.cookies.keep(response, COOKIE, token, int(ANSWERED_WITHIN.total_seconds()))
        return response

    async def come_back(self, request: Request) -> Response:
        """The browser lets go of the question, so that an answer counts once whatever it says."""
        openid, token = self._openid(), self.guard.cookies.of(request, COOKIE)
        now = self.db.clock.now()
        try:
            if not identities.is_asked(self.stamps, token, now):
                raise OpenIdRefused("this browser was asked nothing, or too long ago")
            identity = await openid.identity(token, dict(request.query_params), now)
            login = await self.db.run(
                identities.login,
                self.stamps,
                token,
                identity,
                browser_of(request),
                self.guard.token_of(request),
            )
        except OpenIdRefused as problem:
            return self._refused(problem)
        if isinstance(login, LoginRefused):
            response = self.guard.notice(FAILED, NOBODY, status=403)
        else:
            response = self.guard.welcome(login)
        self.guard.cookies.keep(response, COOKIE, "", 0)
        return response

    def _refused(self, problem: OpenIdRefused) -> Response:
        log.warning("signing in with another server was refused", why=str(problem))
        response = self.guard.notice(FAILED, NOT_BELIEVED, status=403)
        self.guard.cookies.keep(response, COOKIE, "", 0)
        return response
