"""Who is at the dashboard's door, and what a request must carry to change anything.

A request that changes something has to come from a page of this server, as the browser says, and
carry a token that only the pages of the same login know. The two forms that come before a login,
first run and signing in, have no login to be bound to: there the browser's word stands alone.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import wraps
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.members import factors, passkeys
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members.model import (
    LOGIN_LIFETIME,
    By,
    Login,
    LoginRefused,
    Member,
    Presence,
)
from gstable_server.accounts.members.passkeys import Party
from gstable_server.accounts.model import Merchant
from gstable_server.accounts.payouts.operations import Policy
from gstable_server.chain.rpc import Rpc
from gstable_server.kernel.errors import Code, Passing, Refused
from gstable_server.kernel.ids import MemberId
from gstable_server.kernel.roles import FRESH, Action, may
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.client_address import client_address
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.openid import OpenId
from gstable_server.plumbing.sealing import Sealer
from gstable_server.sessions.operations import Desk
from gstable_server.web.base import PAGE_HEADERS, Pages
from gstable_server.web.dashboard import cookies, tongues
from gstable_server.web.dashboard.cookies import Cookies
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.keeping import TEXT_BYTES_MAX, Keeping
from gstable_server.web.dashboard.menu import menu_for
from gstable_server.web.dashboard.requests import AlreadyDone, audited
from gstable_server.web.dashboard.requests import browser_of as browser_of
from gstable_server.web.dashboard.requests import form_token as form_token
from gstable_server.web.dashboard.speech import N_, speaking, spoken
from gstable_server.web.dashboard.words import (
    DONE,
    ELSEWHERE,
    GONE,
    LATER,
    NOT_FOUND,
    NOT_YOURS,
    OLD_PAGE,
    UNDO,
    WRONG_PASSWORD,
    in_words,
    wait_text,
)
from gstable_server.web.news import MerchantNews
from gstable_server.web.requests import (
    FORM,
    UPLOAD,
    has_type,
    is_followed_here,
    is_from_elsewhere,
    is_same_origin,
    read_form,
    read_upload,
)

HOME = "/dashboard"
LOGIN = f"{HOME}/login"
FORM_TOKEN = "formToken"  # noqa: S105
CODE = f"{HOME}/code"
TYPED = "/typed"
"""Where what was typed is shown after signing in again."""
PAYOUT_DELAY = timedelta(hours=24)
CONFIRM = "confirmPassword"
CONFIRM_CODE = "confirmCode"
CONFIRM_PASSKEY = "confirmPasskey"
CONFIRM_FORM = Form((CONFIRM, CONFIRM_CODE))
TEMPLATES = "dashboard/templates"

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is signed in, to do ``action``, which their role permits.
    ``entries`` are the form's fields, if it has one, and ``files`` what came with it."""

    request: Request
    action: Action
    presence: Presence
    merchant: Merchant
    tenant: Tenant
    form_token: str
    entries: Mapping[str, str]
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def member(self) -> Member:
        """Who is signed in, in the team whose pages are shown."""
        return self.presence.member

    @property
    def by(self) -> By:
        """Who acts, for what is written down about it."""
        return By(self.member, client_address(self.request))

    def may(self, action: str) -> bool:
        """Whether the member's role permits ``action``; for what pages offer."""
        return may(self.member.role, Action(action))

    @property
    def base(self) -> str:
        """Where the pages of this mode are: ``/dashboard/test`` or ``/dashboard/live``."""
        return f"{HOME}/{self.tenant.mode}"


Handler = Callable[[Request], Awaitable[Response]]
VisitHandler = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class SignIn:
    """What proving who somebody is takes, as this server was set up: ``sealer`` opens the secrets
    of authenticator apps, ``openid`` is another server that people may sign in with."""

    sealer: Sealer | None = None
    openid: OpenId | None = None


NO_CHAINS: Mapping[str, Rpc] = MappingProxyType({})
"""Where no node is asked, contract wallets prove nothing and are warned of by nobody."""
PLAIN = SignIn()
"""By password and passkey only."""


class Guard:
    """Lets requests through to the dashboard's handlers, and renders what those show."""

    def __init__(
        self,
        db: Database,
        desk: Desk,
        pages: Pages,
        *,
        sends_mail: bool = False,
        payout_delay: timedelta = PAYOUT_DELAY,
        news: MerchantNews | None = None,
        sign_in: SignIn = SignIn(),
        chains: Mapping[str, Rpc] = NO_CHAINS,
    ) -> None:
        self.chains = chains
        self.sealer, self.openid = sign_in.sealer, sign_in.openid
        self.party = Party.of(desk.public_url)
        self.payouts = Policy(payout_delay, sends_mail, desk.public_url)
        self.db = db
        self.sends_mail = sends_mail
        self.desk = desk
        self.pages = pages
        self.news = news or MerchantNews(db)
        self.cookies = Cookies(desk.public_url)
        self.keeping = Keeping(self.cookies)

    @property
    def default_mode(self) -> Mode:
        """Live, unless this installation has test networks only."""
        return Mode.LIVE if self.desk.networks.of(Mode.LIVE) else Mode.TEST

    # --- doors ------------------------------------------------------------------------------------

    def door(self, handler: Handler) -> Handler:
        """For people who have not signed in."""

        async def checked(request: Request) -> Response:
            if request.method == "POST" and not self._is_ours(request, FORM):
                return self.notice(N_("This did not work"), ELSEWHERE, status=403)
            return await handler(request)

        return self._in_words(checked)

    def look(self, action: Action, handler: VisitHandler) -> Handler:
        """For members whose role permits ``action``, to see something."""

        async def checked(request: Request) -> Response:
            visit = await self._visit(request, action, {})
            if visit is None:
                return _to(LOGIN)
            if request.url.path == visit.base and self.keeping.of(request):
                return _to(f"{visit.base}{TYPED}")
            return await handler(visit) if visit.may(action) else self._not_yours()

        return self._in_words(checked)

    def act(self, action: Action, handler: VisitHandler, *, is_audited: bool = True) -> Handler:
        """For members whose role permits ``action``, to change something."""
        done = audited(handler) if is_audited else handler

        async def checked(request: Request) -> Response:
            if not self._is_ours(request, FORM):
                return self.notice(N_("This did not work"), ELSEWHERE, status=403)
            entries = await read_form(request)
            try:
                visit = await self._visit(request, action, entries)
                if visit is None:
                    return self._kept(request, entries, _to(LOGIN))
                return await self._let_through(visit, done)
            except Passing:
                return self._kept(request, entries, self._later())

        return self._in_words(checked)

    def upload(
        self, action: Action, handler: VisitHandler, bytes_max: int, *, is_audited: bool = True
    ) -> Handler:
        """The same by a form that may carry files."""
        assert action not in FRESH, "files cannot be sent again with the password"
        done = audited(handler) if is_audited else handler

        async def checked(request: Request) -> Response:
            if not self._is_ours(request, UPLOAD):
                return self.notice(N_("This did not work"), ELSEWHERE, status=403)
            entries: Mapping[str, str] = {}
            try:
                # Whoever is not signed in sends nothing large.
                visit = await self._visit(request, action, {})
                if visit is None:
                    return self._kept(request, await _small(request), _to(LOGIN))
                if visit.may(action):
                    entries, files = await read_upload(request, bytes_max)
                    visit = replace(visit, entries=entries, files=files)
                return await self._let_through(visit, done)
            except Passing:
                return self._kept(request, entries or await _small(request), self._later())

        return self._in_words(checked)

    def _kept(self, request: Request, entries: Mapping[str, str], response: Response) -> Response:
        """A form of our own page that was not carried out: what was typed is there afterwards, on
        the first page."""
        self.keeping.keep(request, response, entries)
        return response

    async def _let_through(self, visit: Visit, handler: VisitHandler) -> Response:
        """If the form is of a page of this very login."""
        if not visit.may(visit.action):
            return self._not_yours()
        given = visit.entries.get(FORM_TOKEN, "")
        if not hmac.compare_digest(given.encode(), visit.form_token.encode()):
            refused = self.notice(N_("This did not work"), OLD_PAGE, status=403)
            return self._kept(visit.request, visit.entries, refused)
        if visit.action in FRESH and not visit.presence.is_fresh(self.db.clock.now()):
            answer = await self._confirmed(visit)
            if answer is not None:
                return answer
        response = await handler(visit)
        self.keeping.forget(visit.request, response)
        return response

    async def _confirmed(self, visit: Visit) -> Response | None:
        """None if the password came with the form and is right; else the page that asks for it.
        The form's own fields come back with it, so nothing that was typed is lost."""
        login_id = visit.presence.login_id
        if CONFIRM not in visit.entries and CONFIRM_PASSKEY not in visit.entries:
            return await self._ask(visit, CONFIRM_FORM, 403)
        if self.party is not None and visit.entries.get(CONFIRM_PASSKEY):
            token, credential = self.token_of(visit.request), visit.entries[CONFIRM_PASSKEY]
            refused = await self.db.run(
                members.confirm_by_passkey, self.party, visit.by, login_id, token, credential
            )
        else:
            password, code = visit.entries.get(CONFIRM, ""), visit.entries.get(CONFIRM_CODE, "")
            refused = await self.db.run(
                members.confirm, visit.by, login_id, password, code, self.sealer
            )
        if refused is None:
            return None
        text = wait_text(refused.retry_after) if refused.retry_after else WRONG_PASSWORD
        return await self._ask(visit, CONFIRM_FORM.marked(CONFIRM, text), _status_of(refused))

    async def _ask(self, visit: Visit, form: Form, status: int) -> Response:
        member_id, token = visit.member.member_id, self.token_of(visit.request)
        async with self.db.begin() as tx:
            has_factor = await factors.is_on(tx, member_id)
            passkey = await self.passkey_question(tx, token, member_id)
        own = {FORM_TOKEN, CONFIRM, CONFIRM_CODE, CONFIRM_PASSKEY}
        kept = [
            (name, text)
            for name, text in visit.entries.items()
            if name not in own and not name.startswith("password")
        ]
        path = visit.request.url.path
        return self.show(
            visit,
            "confirm.html",
            "",
            status=status,
            form=form,
            kept=kept,
            path=path,
            has_factor=has_factor,
            passkey=passkey,
        )

    async def passkey_question(self, tx: Tx, token: str, member_id: MemberId) -> str:
        """What the browser of ``token`` asks a passkey of that person, "" if there is none."""
        if self.party is None or not await passkeys.of_member(tx, member_id):
            return ""
        return await passkeys.begin_proof(tx, self.party, token, member_id)

    def _not_yours(self) -> Response:
        return self.notice(N_("Not for your role"), NOT_YOURS, status=403)

    async def do(
        self,
        visit: Visit,
        note: Callable[[R], Note],
        operation: Callable[Concatenate[Tx, P], Awaitable[R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run ``operation`` and write into the audit log what ``note`` says of its result, both in
        one transaction."""

        async def recorded(tx: Tx) -> R:
            result = await operation(tx, *args, **kwargs)
            mode = visit.tenant.mode.value if "mode" in visit.request.path_params else ""
            await audit.record(tx, visit.by.actor, visit.action, note(result), mode)
            return result

        return await self.db.run(recorded)

    def _is_ours(self, request: Request, content_type: str) -> bool:
        return is_same_origin(request, self.desk.public_url) and has_type(request, content_type)

    def _in_words(self, handler: Handler) -> Handler:
        """Troubles as a page."""

        @wraps(handler)
        async def answer(request: Request) -> Response:
            words = self.pages.console_languages.of(request)
            with speaking(words):
                response = await self._answer(request, handler)
            # Who is signed in chooses by links of our own: what a link of another site set in the
            # cookie would count as theirs on the next page.
            if not (self.token_of(request) and is_from_elsewhere(request)):
                self.pages.console_languages.remember(request, response)
            return response

        return answer

    async def _answer(self, request: Request, handler: Handler) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            if refused.code in NOT_FOUND:
                return self.missing()
            status = 429 if refused.code is Code.TOO_MANY_REQUESTS else 422
            return self.notice(N_("This did not work"), in_words(refused), status=status)
        except AlreadyDone as again:
            response = self.notice(N_("Already done"), again.text, status=409)
            self.keeping.forget(request, response)
            return response
        except Passing:
            return self._later()

    # --- logins -----------------------------------------------------------------------------------

    def token_of(self, request: Request) -> str:
        """What the browser holds of its login, "" if it holds nothing."""
        return self.cookies.of(request, cookies.LOGIN)

    async def _visit(
        self, request: Request, action: Action, entries: Mapping[str, str]
    ) -> Visit | None:
        mode = _mode(request, self.default_mode)
        token = self.token_of(request)
        if not token:
            return None
        async with self.db.begin() as tx:
            presence = await members.presence_of(tx, token)
            if presence is None:
                return None
            merchant = await accounts.merchant(tx, presence.member.merchant_id)
            is_ours = is_followed_here(request, self.desk.public_url)
            languages = self.pages.console_languages
            await tongues.settle(tx, request, presence.member, languages, is_ours=is_ours)
        tenant = Tenant(merchant.merchant_id, mode)
        token = form_token(token, merchant.merchant_id)
        return Visit(request, action, presence, merchant, tenant, token, entries)

    def welcome(self, login: Login) -> Response:
        """Hand a fresh login to the browser and go to the first page, or to where the code of the
        second factor is typed."""
        response = _to(CODE if login.awaits_code else f"{HOME}/{self.default_mode}")
        seconds = int(LOGIN_LIFETIME.total_seconds())
        self.cookies.keep(response, cookies.LOGIN, login.token, seconds)
        return response

    def farewell(self) -> Response:
        """Take the login from the browser."""
        response = _to(LOGIN)
        self.cookies.keep(response, cookies.LOGIN, "", 0)
        return response

    # --- answers ----------------------------------------------------------------------------------

    def show(
        self, visit: Visit, template: str, section: str, *, status: int = 200, **context: Any
    ) -> Response:
        """A page inside the console's frame; ``section`` is its place in the menu."""
        networks = self.desk.networks.of(visit.tenant.mode)
        return self.pages.page(
            f"{TEMPLATES}/{template}",
            status=status,
            language=spoken(),
            visit=visit,
            section=section,
            menu=menu_for(visit.may),
            searches=visit.may(Action.SESSIONS_READ),
            tongues=self.pages.console_languages.all,
            mode=visit.tenant.mode.value,
            has_networks=bool(networks),
            done=DONE.get(visit.request.query_params.get("done", ""), ""),
            undo=_undo(visit),
            **context,
        )

    def outside(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """A page for people who have not signed in."""
        path = f"{TEMPLATES}/{template}"
        return self.pages.page(path, status=status, language=spoken(), **context)

    def notice(self, title: str, text: str, *, status: int) -> Response:
        """A page that says why nothing was done; both texts are marked, or in words already."""
        return self.outside("notice.html", status=status, title=title, text=text)

    def _later(self) -> Response:
        return self.notice(N_("Please try again"), LATER, status=503)

    def missing(self) -> Response:
        return self.notice(N_("Nothing here"), GONE, status=404)


def onward(visit: Visit, path: str) -> Response:
    """After a form: go to ``path`` below the mode's pages, which shows what was made."""
    return _to(f"{visit.base}{path}")


def done(visit: Visit, path: str, word: str) -> Response:
    """After a form: go to ``path`` below the mode's pages, which says what was done."""
    return _to(f"{visit.base}{path}?done={word}")


def _undo(visit: Visit) -> str:
    """Where a form takes back what was just done to the object of this page; "" if nowhere."""
    verb, action = UNDO.get(visit.request.query_params.get("done", ""), ("", Action.SELF))
    return f"{visit.request.url.path}/{verb}" if verb and visit.may(action) else ""


def _status_of(refused: LoginRefused) -> int:
    return 429 if refused.retry_after else 422


def _mode(request: Request, default: Mode) -> Mode:
    """The mode that the address names. Refuses an address that names none of ours."""
    text = request.path_params.get("mode")
    if text is None:
        return default
    if text not in set(Mode):
        raise Refused(Code.ROUTE_UNKNOWN)
    return Mode(text)


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, headers=PAGE_HEADERS)


async def _small(request: Request) -> Mapping[str, str]:
    """The fields of a form that may carry files, unless it carries large ones."""
    length = request.headers.get("content-length", "")
    is_small = length.isdigit() and int(length) <= TEXT_BYTES_MAX
    return (await read_upload(request, TEXT_BYTES_MAX))[0] if is_small else {}
