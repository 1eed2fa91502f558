"""The page where a merchant says how it looks to payers, and how they reach it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from starlette.responses import Response

from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.branding import logo
from gstable_server.accounts.branding import operations as brandings
from gstable_server.accounts.branding.colours import (
    CONTRAST_MIN,
    DARK,
    LIGHT,
    Colour,
    Ground,
    contrast,
    shades,
)
from gstable_server.accounts.branding.model import Branding, Change, Corners, differences
from gstable_server.kernel.errors import Code, Refused
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.speech import N_, moment, said

FORM = Form((*brandings.FIELDS, logo.FIELD, "withoutLogo"))
SETTINGS = {
    "displayName": N_("Name"),
    "logo": N_("Logo"),
    "accent": N_("Colour"),
    "corners": N_("Corners"),
    "supportEmail": N_("E-mail for questions"),
    "supportUrl": N_("Help page"),
    "termsUrl": N_("Terms and returns"),
    "defaultLanguage": N_("Language"),
    "frameOrigins": N_("Sites with a frame"),
}
CHOOSE_AGAIN = N_("Choose the picture again: it was not saved yet.")
NOTHING = "–"
UPLOAD_BYTES_MAX = logo.BYTES_MAX + 64 * 1024


@dataclass(frozen=True, slots=True)
class ShadeView:
    """What becomes of the accent in one colour scheme."""

    scheme: str
    colour: str
    is_own: bool
    ratio: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One setting that somebody changed."""

    field: str
    before: str
    after: str
    actor: str
    at: str


class BrandingPage:
    """The handlers of the page."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        # A large picture takes so much memory that some of them at once would end the process.
        self._drawing = asyncio.Lock()

    async def show(self, visit: Visit) -> Response:
        async with self.db.read() as tx:
            held = await brandings.branding(tx, visit.tenant.merchant_id)
        return await self._page(visit, held, replace(FORM, values=held.entries))

    async def _page(self, visit: Visit, held: Branding, form: Form, status: int = 200) -> Response:
        async with self.db.read() as tx:
            changes = await brandings.changes(tx, visit.tenant.merchant_id)
        return self.guard.show(
            visit,
            "branding.html",
            "branding",
            status=status,
            form=form,
            branding=held,
            shades=_shades(held.theme.accent),
            corners=[one.value for one in Corners],
            payer_languages=self.guard.pages.languages.all,
            logo_megabytes=logo.BYTES_MAX // 1024**2,
            changes=[row for change in changes for row in _rows(change)],
        )

    async def save(self, visit: Visit) -> Response:
        """All or nothing: with anything wrong the page shows every entry again, but no file, which
        a page cannot put back into its field."""
        given = visit.files.get(logo.FIELD)
        form = FORM.filled(visit.entries)
        try:
            drawn = None if given is None else await self._drawn(given)
            before = await self.db.run(brandings.branding, visit.tenant.merchant_id)
            await self.guard.do(
                visit,
                lambda after: _note(before, after),
                brandings.save,
                visit.tenant.merchant_id,
                visit.entries,
                actor=visit.member.email,
                logo=drawn,
                without_logo=bool(visit.entries.get("withoutLogo")),
            )
        except Refused as refused:
            if refused.code is not Code.FIELD_INVALID:
                raise
            return await self._again(visit, form.refused(refused), 422)
        return done(visit, "/branding", "branding-saved")

    async def preview(self, visit: Visit) -> Response:
        """How it would look; nothing is saved."""
        form = FORM.filled(visit.entries)
        try:
            wanted = brandings.parse(visit.entries)
        except Refused as refused:
            return await self._again(visit, form.refused(refused), 422)
        return await self._again(visit, form, 200, wanted)

    async def _drawn(self, picture: bytes) -> bytes:
        async with self._drawing:
            return await asyncio.to_thread(logo.redraw, picture)

    async def _again(
        self, visit: Visit, form: Form, status: int, wanted: Branding | None = None
    ) -> Response:
        """The form with what was entered; ``wanted`` is shown instead of what is held."""
        async with self.db.read() as tx:
            held = await brandings.branding(tx, visit.tenant.merchant_id)
        if visit.files and not form.error(logo.FIELD):
            form = form.marked(logo.FIELD, CHOOSE_AGAIN)
        shown = replace(wanted, logo_id=held.logo_id) if wanted else held
        return await self._page(visit, shown, form, status)


def _note(before: Branding, after: Branding) -> Note:
    changed = differences(before, after)
    return Note(
        "branding.changed",
        "branding",
        {one.field: one.before or "" for one in changed},
        {one.field: one.after or "" for one in changed},
    )


def _rows(change: Change) -> tuple[ChangeView, ...]:
    at = moment(change.at)
    return tuple(
        ChangeView(
            said(SETTINGS[one.field]), one.before or NOTHING, one.after or NOTHING, change.actor, at
        )
        for one in change.fields
    )


def _shades(accent: Colour | None) -> tuple[ShadeView, ...]:
    if accent is None:
        return ()
    return (_shade("light", accent, LIGHT), _shade("dark", accent, DARK))


def _shade(scheme: str, accent: Colour, ground: Ground) -> ShadeView:
    used = shades(accent, ground)
    ratio = contrast(used.accent, used.on_accent)
    assert ratio >= CONTRAST_MIN
    # Rounded down: 4.49 must not read as 4.5.
    tenths = int(ratio * 10)
    text = f"{tenths // 10}.{tenths % 10}"
    return ShadeView(scheme, str(used.accent), used.accent == accent, text)
