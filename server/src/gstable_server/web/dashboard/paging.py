"""Which page of a list the address asks for."""

from __future__ import annotations

from gstable_server.kernel.errors import Refused
from gstable_server.kernel.paging import Page, page_from_path
from gstable_server.web.dashboard.guard import Visit

PAGE_SIZE = 25


def page_of(visit: Visit) -> Page:
    """The page that the address asks for; the first where it asks for none that could be."""
    try:
        return page_from_path(visit.request.query_params.get("page", "1"), str(PAGE_SIZE))
    except Refused:
        return Page(1, PAGE_SIZE)
