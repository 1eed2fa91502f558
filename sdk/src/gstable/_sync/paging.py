# Generated from _async/paging.py by sdk/scripts/unasync.py. Do not edit.
# isort: skip_file
# fmt: off
"""Walks a paged list item by item."""

from collections.abc import Iterator, Callable
from typing import TypeVar

from gstable._models import Page

Item = TypeVar("Item")


def iterate(
    fetch: Callable[[int, int], Page[Item]],
    identify: Callable[[Item], str],
    size: int,
) -> Iterator[Item]:
    """Every item, newest first, one request per `size` items.

    Objects made meanwhile push older ones to the next page; those are not given twice. Ends at
    the last page, or at a page that brings nothing new.
    """
    number = 1
    previous: frozenset[str] = frozenset()
    while True:  # bounded: by the list's total, and by a page that brings nothing new
        page = fetch(number, size)
        current = frozenset(identify(item) for item in page.items)
        for item in page.items:
            if identify(item) not in previous:
                yield item
        if number * page.size >= page.total or current <= previous:
            return
        previous = current
        number += 1
