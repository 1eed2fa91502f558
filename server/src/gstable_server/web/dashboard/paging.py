"""Which page of which list the address asks for."""

from __future__ import annotations

from collections.abc import Container

from gstable_server.kernel.errors import Refused
from gstable_server.kernel.paging import Page, page_from_path
from gstable_server.web.dashboard.guard import Visit

PAGE_SIZE = 25
QUERY_LENGTH_MAX = 100


def page_of(visit: Visit) -> Page:
    """The page that the address asks for; the first where it asks for none that could be."""
    try:
        return page_from_path(visit.request.query_params.get("page", "1"), str(PAGE_SIZE))
    except Refused:
        return Page(1, PAGE_SIZE)


def looked_for(visit: Visit, statuses: Container[str]) -> tuple[str, str]:
    """The text that is searched for and the status that is asked for, "" for any."""
    query = visit.request.query_params
    # NUL is in no text of PostgreSQL.
    text = query.get("q", "").replace("\0", "").strip()[:QUERY_LENGTH_MAX]
    status = query.get("status", "")
    return text, status if status in statuses else ""
