"""What a merchant looks at: sessions and their money, links, products."""

from __future__ import annotations

from starlette.responses import Response

from gstable_server.accounts import operations as accounts
from gstable_server.catalog import operations as catalog
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.paging import Page, page_from_path
from gstable_server.links import operations as links
from gstable_server.links.operations import Shop
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.model import SessionState
from gstable_server.sessions.unmatched import operations as unmatched
from gstable_server.web.dashboard.guard import Guard, Visit
from gstable_server.web.dashboard.presenter import (
    SESSION_BADGES,
    link_row,
    pager,
    product_row,
    session_row,
)

PAGE_SIZE = 25
LATEST = 5


class Lists:
    """The handlers of the pages that only show."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.desk = guard.desk

    async def overview(self, visit: Visit) -> Response:
        async with self.db.read() as tx:
            counts = await sessions.count_by_state(tx, visit.tenant)
            _, latest = await sessions.list_sessions(tx, visit.tenant, None, Page(1, LATEST))
            unusual = await unmatched.list_inflows(tx, tenant=visit.tenant)
            held = await accounts.list_accounts(tx, visit.tenant)
            keys = await accounts.list_keys(tx, visit.tenant)
        return self.guard.show(
            visit,
            "overview.html",
            "",
            counts=[(state.value, SESSION_BADGES[state], counts[state]) for state in SessionState],
            latest=[session_row(view) for view in latest],
            unusual=len(unusual),
            has_accounts=bool(held),
            has_keys=any(key.revoked_at is None for key in keys),
        )

    async def sessions(self, visit: Visit) -> Response:
        page, state = _page(visit), _state(visit)
        async with self.db.read() as tx:
            count, views = await sessions.list_sessions(tx, visit.tenant, state, page)
        return self.guard.show(
            visit,
            "sessions.html",
            "sessions",
            sessions=[session_row(view) for view in views],
            states=[(one.value, SESSION_BADGES[one].text) for one in SessionState],
            state=state.value if state else "",
            pager=pager(page.number, page.size, len(views), count),
        )

    async def products(self, visit: Visit) -> Response:
        page = _page(visit)
        async with self.db.read() as tx:
            count, products = await catalog.list_products(tx, visit.tenant, page)
        return self.guard.show(
            visit,
            "products.html",
            "products",
            products=[product_row(product) for product in products],
            pager=pager(page.number, page.size, len(products), count),
        )

    async def links(self, visit: Visit) -> Response:
        page = _page(visit)
        shop = Shop(self.desk.networks, self.desk.public_url)
        async with self.db.read() as tx:
            count, views = await links.list_links(tx, shop, visit.tenant, page)
        return self.guard.show(
            visit,
            "links.html",
            "links",
            links=[link_row(view) for view in views],
            pager=pager(page.number, page.size, len(views), count),
        )


def _page(visit: Visit) -> Page:
    """The page that the address asks for; the first where it asks for none that could be."""
    try:
        return page_from_path(visit.request.query_params.get("page", "1"), str(PAGE_SIZE))
    except Refused:
        return Page(1, PAGE_SIZE)


def _state(visit: Visit) -> SessionState | None:
    text = visit.request.query_params.get("state", "")
    return SessionState(text) if text in set(SessionState) else None
