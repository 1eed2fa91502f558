"""The list of sessions, and the one box that finds whatever somebody has of a payment."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from gstable_server.kernel.ids import EventId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing import event_log
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.event_log import Position
from gstable_server.sessions import news
from gstable_server.sessions.lists import operations as lists
from gstable_server.sessions.lists.model import Asked, Found, Kind, Place, understood
from gstable_server.sessions.model import Flag, SessionState
from gstable_server.web.dashboard.guard import Guard, Visit, onward
from gstable_server.web.dashboard.payments.session_filter import (
    ANY_FLAG,
    LENGTH_MAX,
    Typed,
    choices,
    place,
    typed,
)
from gstable_server.web.dashboard.payments.session_presenter import listed
from gstable_server.web.dashboard.presenter import SESSION_BADGES
from gstable_server.web.dashboard.speech import moment
from gstable_server.web.dashboard.words import FLAGS

PAGE_SIZE = 25
OWN_PAGES = {
    Kind.LINK: "/links/{}",
    Kind.PRODUCT: "/products/{}",
    Kind.REFUND: "/refunds/{}",
    Kind.INFLOW: "/unusual/{}",
    Kind.ACCOUNT: "/accounts/{}",
    Kind.WEBHOOK: "/webhooks/{}",
}
"""What has a page of its own; who asks for another merchant's finds nothing there."""


class Browsing:
    """The handlers of both."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.networks = guard.desk.networks

    async def sessions(self, visit: Visit) -> Response:
        asked = typed(visit, self.networks)
        tenant = visit.tenant
        async with self.db.read() as tx:
            made_at = await news.position(tx)
            found = await lists.browse(
                tx, self.networks, tenant, asked.wanted, place(visit), PAGE_SIZE
            )
        return self._list(visit, asked, found, made_at)

    def _list(self, visit: Visit, asked: Typed, found: Found, made_at: Position) -> Response:
        tokens, names = choices(self.networks, visit.tenant.mode)
        unfiltered = not asked.is_set and place(visit) is None
        return self.guard.show(
            visit,
            "sessions.html",
            "sessions",
            made_at=made_at,
            sessions=[listed(view, self.networks) for view in found.views],
            form=asked.form,
            is_set=asked.is_set,
            is_empty=unfiltered and not found.views,
            more_filters=any(
                asked.form.value(name)
                for name in ("token", "network", "min", "max", "from", "to", "link", "product")
            )
            or bool(asked.form.errors),
            states=[(one.value, SESSION_BADGES[one].text) for one in SessionState],
            flags=[(one.value, FLAGS[one]) for one in Flag],
            any_flag=ANY_FLAG,
            tokens=[(one, one) for one in tokens],
            networks=names,
            query=asked.query(),
            newer=_beside(asked, found.newer),
            older=_beside(asked, found.older),
            newest=asked.query() if place(visit) else "",
            is_deep=place(visit) is not None,
            looked_back_to=moment(found.looked_back_to) if found.looked_back_to else "",
        )

    async def search(self, visit: Visit) -> Response:
        """Straight to what was found where it is one thing; else the list of what may be meant."""
        text = visit.request.query_params.get("q", "")
        asked = understood(text)
        if asked is None:
            return onward(visit, "/sessions")
        async with self.db.read() as tx:
            path = await _page_of(tx, visit.tenant, asked)
        if path is None and asked.kind is Kind.REQUEST and visit.may("logs.read"):
            path = f"/requests?q={asked.text}"
        if path is None:
            path = f"/sessions?{urlencode({'q': text[:LENGTH_MAX]})}"
        return onward(visit, path)


def _beside(asked: Typed, beside: Place | None) -> str:
    """The query of the page that begins at that place, "" where there is none."""
    return asked.query(**{beside.way.value: beside.session_id}) if beside else ""


async def _page_of(tx: Tx, tenant: Tenant, asked: Asked) -> str | None:
    """The page of the one thing that an identifier names, None where it names none of ours."""
    if asked.kind in OWN_PAGES:
        return OWN_PAGES[asked.kind].format(asked.text)
    views = None
    if asked.kind is Kind.EVENT:
        found = await event_log.find(tx, tenant, EventId(asked.text))
        views = understood(found.event.object_id) if found else None
        if views is not None and views.kind in OWN_PAGES:
            return OWN_PAGES[views.kind].format(views.text)
    elif asked.kind in {Kind.SESSION, Kind.PAYMENT}:
        views = asked
    if views is None:
        return None
    if views.kind is Kind.PAYMENT:
        session_id = await lists.session_of_payment(tx, tenant, views.text)
    else:
        session_id = await lists.own_session(tx, tenant, views.text)
    if session_id is None:
        return None
    mark = f"#{asked.text}" if asked.kind is Kind.EVENT else ""
    return f"/sessions/{session_id}{mark}"
