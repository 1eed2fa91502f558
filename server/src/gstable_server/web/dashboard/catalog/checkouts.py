"""Payment pages for one payer, made by hand: an open bill, an agreed price (spec 6)."""

from __future__ import annotations

from starlette.responses import Response

from gstable_server.accounts.audit.model import Note
from gstable_server.catalog import operations as catalog
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.model import SessionState, SessionView
from gstable_server.web.dashboard.catalog import checkout_forms, qr
from gstable_server.web.dashboard.catalog.building import Building, By
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.presenter import session_row
from gstable_server.web.dashboard.speech import moment, said

SECTION = "sessions"


class Checkouts:
    """The handlers of the form and of the page to hand on."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.desk = guard.desk
        self.building = Building(guard)

    async def new(self, visit: Visit) -> Response:
        return await self._show(visit, checkout_forms.FORM)

    async def _show(
        self, visit: Visit, form: Form, status: int = 200, *, more: bool = False
    ) -> Response:
        rows = checkout_forms.lines_of(form)
        async with self.db.read() as tx:
            choices = await self.building.choices(tx, visit, rows, By.SESSIONS)
        form = choices.begun(form)
        shown = min(max(len(rows) + more, 1), checkout_forms.LINES_MAX)
        lifetimes = [(key, said(words)) for key, (_time, words) in checkout_forms.LIFETIMES.items()]
        return self.guard.show(
            visit,
            "checkout_new.html",
            SECTION,
            status=status,
            form=form,
            choices=choices,
            lifetimes=lifetimes,
            lines=range(shown),
            can_have_more=shown < checkout_forms.LINES_MAX,
        )

    async def more(self, visit: Visit) -> Response:
        """The form with a line more; nothing is stored."""
        return await self._show(visit, checkout_forms.sent(visit.entries), more=True)

    async def create(self, visit: Visit) -> Response:
        form = checkout_forms.sent(visit.entries)
        try:
            made = await self.guard.do(visit, _created, self._create, visit, form)
        except Refused as refused:
            return await self._show(visit, form.refused(refused), 422)
        return done(visit, f"/sessions/{made.session.session_id}/page", "session-created")

    async def _create(self, tx: Tx, visit: Visit, form: Form) -> SessionView:
        named = [row["productId"] for row in checkout_forms.lines_of(form)]
        products = await catalog.list_by_ids(tx, visit.tenant, named)
        request = checkout_forms.request(form, products, tx.now)
        return await sessions.create_checkout(tx, self.desk, visit.tenant, request)

    async def page(self, visit: Visit) -> Response:
        """The address and the QR code to hand to the payer."""
        session_id = sessions.session_id_of(visit.request.path_params["session_id"])
        async with self.db.read() as tx:
            view = await sessions.detail(tx, visit.tenant, session_id)
        url = self._url(session_id)
        return self.guard.show(
            visit,
            "checkout_page.html",
            SECTION,
            row=session_row(view),
            url=url,
            qr=qr.on_page(url),
            is_open=view.session.state is SessionState.INITIALIZED,
            expires_at=moment(view.session.expires_at),
        )

    async def qr_png(self, visit: Visit) -> Response:
        session_id = sessions.session_id_of(visit.request.path_params["session_id"])
        async with self.db.read() as tx:
            await sessions.detail(tx, visit.tenant, session_id)
        return qr.as_file(self._url(session_id), "png", session_id)

    def _url(self, session_id: SessionId) -> str:
        return f"{self.desk.public_url}/pay/{session_id}"


def _created(view: SessionView) -> Note:
    session = view.session
    after = {"amountMicroUsd": str(session.amount), "account": str(session.account_id)}
    return Note("session.created", session.session_id, after=after)
