"""Pages of the lists, as the path names them: ``/<list>/:page/:size`` (spec 2, Pagination)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gstable_server.kernel.errors import invalid_field

SIZE_MAX = 100
PAGE_MAX = 10**9
"""Far past the end of any list, and small enough that the offset fits the database's bigint."""

_NUMBER = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Page:
    """``number`` counts from 1; a page past the end is an empty list (spec 15, Field limits)."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        """How many objects come before this page."""
        return (self.number - 1) * self.size


def page_from_path(page: str, size: str) -> Page:
    """The two path segments as a page. Raises ``Refused`` (400101) naming the segment."""
    return Page(_bounded("page", page, PAGE_MAX), _bounded("size", size, SIZE_MAX))


def _bounded(field: str, text: str, maximum: int) -> int:
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= maximum:
        raise invalid_field(field, f"must be a whole number between 1 and {maximum}")
    return int(text)
