"""What the address of a page names and asks for: an object, a page of a list, a filter."""

from __future__ import annotations

from collections.abc import Container
from typing import TypeVar

from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import Id, id_or_none
from gstable_server.kernel.paging import Page, page_from_path
from gstable_server.web.dashboard.guard import Visit

PAGE_SIZE = 25
QUERY_LENGTH_MAX = 100
NEWEST = 2**62
"""Before this number is everything."""
NUMBER_LENGTH_MAX = 18

AnyId = TypeVar("AnyId", bound=Id)


def id_of(visit: Visit, id_type: type[AnyId], name: str) -> AnyId:
    """The identifier that stands in the place ``{name}`` of the address. Refuses what can be none:
    there is nothing there."""
    found = id_or_none(id_type, visit.request.path_params[name])
    if found is None:
        raise Refused(Code.ROUTE_UNKNOWN)
    return found


def number_before(visit: Visit) -> int:
    """Below which number the page that the address asks for begins."""
    text = visit.request.query_params.get("before", "")
    is_number = text.isascii() and text.isdigit() and len(text) <= NUMBER_LENGTH_MAX
    return int(text) if is_number else NEWEST


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
