"""What is a member's own: where they are signed in, and which businesses they work for."""

from __future__ import annotations

import segno
from starlette.responses import RedirectResponse, Response

from gstable_server.accounts.members import factors, forgotten, passkeys, team
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members.model import LoginRow
from gstable_server.accounts.members.totp import secret_text, uri
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import LoginId
from gstable_server.web.base import PAGE_HEADERS
from gstable_server.web.dashboard.address import id_of
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import LOGIN, Guard, Visit, done, onward
from gstable_server.web.dashboard.people.people_presenter import BrowserRow, passkey_row
from gstable_server.web.dashboard.requests import AlreadyDone
from gstable_server.web.dashboard.speech import N_, moment
from gstable_server.web.dashboard.words import (
    PASSWORDS_DIFFER,
    WRONG_PASSWORD,
    of_role,
    wait_text,
)

BUSINESS_FORM = Form(("name",))
PASSWORD_FORM = Form(("passwordNow", "password", "passwordAgain"))
FACTOR_FORM = Form(("code",))
ISSUER = "GStable"
NO_FACTOR = N_("No app was asked for codes any more.")


class Security:
    """The handlers of the page."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db

    async def show(self, visit: Visit) -> Response:
        return await self._page(visit, BUSINESS_FORM)

    async def _page(
        self,
        visit: Visit,
        form: Form,
        status: int = 200,
        *,
        problem: str = "",
        password_form: Form = PASSWORD_FORM,
    ) -> Response:
        async with self.db.read() as tx:
            logins = await members.logins_of(tx, visit.member.member_id)
            teams = await team.teams_of(tx, visit.member.member_id)
            has_factor = await factors.has_app(tx, visit.member.member_id)
            own_keys = await passkeys.of_member(tx, visit.member.member_id)
            codes_left = await factors.codes_left(tx, visit.member.member_id)
        return self.guard.show(
            visit,
            "security.html",
            "security",
            status=status,
            form=form,
            problem=problem,
            password_form=password_form,
            has_factor=has_factor,
            codes_left=codes_left,
            has_sealer=self.guard.sealer is not None,
            has_party=self.guard.party is not None,
            passkeys=[passkey_row(one) for one in own_keys],
            logins=[_row(visit, one) for one in logins],
            teams=[
                (merchant.merchant_id, merchant.name, member.role.value)
                for member, merchant in teams
            ],
        )

    async def end(self, visit: Visit) -> Response:
        login_id = id_of(visit, LoginId, "login_id")
        await self.db.run(members.end_login, visit.by, login_id)
        return done(visit, "/security", "login-ended")

    async def end_others(self, visit: Visit) -> Response:
        await self.db.run(members.end_other_logins, visit.by, visit.presence.login_id)
        return done(visit, "/security", "logins-ended")

    async def change_password(self, visit: Visit) -> Response:
        entries = visit.entries
        if entries.get("password", "") != entries.get("passwordAgain", ""):
            form = PASSWORD_FORM.marked("passwordAgain", PASSWORDS_DIFFER)
            return await self._page(visit, BUSINESS_FORM, 422, password_form=form)
        try:
            wait = await self.db.run(
                forgotten.change,
                visit.by,
                visit.presence.login_id,
                entries.get("passwordNow", ""),
                entries.get("password", ""),
            )
        except Refused as refused:
            form = PASSWORD_FORM.refused(refused)
            return await self._page(visit, BUSINESS_FORM, 422, password_form=form)
        if wait is None:
            return done(visit, "/security", "password-changed")
        text = wait_text(wait) if wait else WRONG_PASSWORD
        form = PASSWORD_FORM.marked("passwordNow", text)
        return await self._page(visit, BUSINESS_FORM, 429 if wait else 422, password_form=form)

    # --- the second factor ------------------------------------------------------------------------

    async def begin_factor(self, visit: Visit) -> Response:
        await self.db.run(factors.begin, visit.by, self.guard.sealer)
        return onward(visit, "/security/factor")

    async def show_factor(self, visit: Visit) -> Response:
        return await self._factor_page(visit, FACTOR_FORM)

    async def _factor_page(self, visit: Visit, form: Form, status: int = 200) -> Response:
        async with self.db.read() as tx:
            secret = await factors.pending(tx, visit.by, self.guard.sealer)
        if secret is None:
            return onward(visit, "/security")
        picture = segno.make(uri(secret, ISSUER, visit.member.email), error="m")
        return self.guard.show(
            visit,
            "factor.html",
            "security",
            status=status,
            form=form,
            secret=secret_text(secret),
            picture=picture.svg_data_uri(scale=5, border=2, dark="#000", light="#fff"),
        )

    async def turn_factor_on(self, visit: Visit) -> Response:
        """The recovery codes are in this very answer and nowhere again."""
        try:
            code = visit.entries.get("code", "")
            codes = await self.db.run(factors.turn_on, visit.by, code, self.guard.sealer)
        except Refused as refused:
            return await self._factor_page(visit, FACTOR_FORM.refused(refused), 422)
        return self.guard.show(visit, "factor_on.html", "security", codes=codes, by_passkey=False)

    async def turn_factor_off(self, visit: Visit) -> Response:
        if not await self.db.run(factors.turn_off, visit.by):
            raise AlreadyDone(NO_FACTOR)
        return done(visit, "/security", "factor-off")

    async def leave(self, visit: Visit) -> Response:
        try:
            await self.db.run(team.leave, visit.by)
        except Refused as refused:
            return await self._page(visit, BUSINESS_FORM, 422, problem=of_role(refused))
        return RedirectResponse(LOGIN, 303, headers=PAGE_HEADERS)

    async def switch(self, visit: Visit) -> Response:
        merchant_id = visit.entries.get("merchantId", "")
        await self.db.run(team.switch, visit.by, visit.presence.login_id, merchant_id)
        return done(visit, "/security", "switched")

    async def create_merchant(self, visit: Visit) -> Response:
        form = BUSINESS_FORM.filled(visit.entries)
        login_id, name = visit.presence.login_id, form.value("name")
        try:
            await self.db.run(team.create_merchant, visit.by, login_id, name)
        except Refused as refused:
            return await self._page(visit, form.refused(refused), 422)
        return done(visit, "/security", "merchant-created")


def _row(visit: Visit, one: LoginRow) -> BrowserRow:
    return BrowserRow(
        login_id=one.login_id,
        browser=one.browser,
        address=one.address,
        opened_at=moment(one.created_at),
        seen_at=moment(one.last_seen_at),
        is_this=one.login_id == visit.presence.login_id,
    )
