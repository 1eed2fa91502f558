"""``events``: list, show, tail, resend, resend-range."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from fnmatch import fnmatchcase

from gstable import AsyncClient, Event
from gstable_server.cli.merchant.connection import open_client
from gstable_server.cli.merchant.following import follow
from gstable_server.cli.merchant.output import (
    Column,
    clean,
    console,
    print_details,
    print_json,
    print_line,
    print_table,
    wire,
)
from gstable_server.kernel.paging import SIZE_MAX

COLUMNS = (
    Column("Happened, UTC"),
    Column("Event", whole=True),
    Column("Type"),
    Column("About", wide=True, whole=True),
)


def object_of(event: Event) -> str:
    """The identifier of what the event is about; empty for an event about nothing."""
    noun = event.business_type.rpartition("_")[2]
    about = event.payload.get(f"{noun}Data")
    return str(about.get(f"{noun}Id", "")) if isinstance(about, Mapping) else ""


def is_wanted(event: Event, patterns: Sequence[str]) -> bool:
    """Whether its type is one of ``patterns``, such as ``session.paid`` or ``session.*``; every
    event is without any."""
    return not patterns or any(fnmatchcase(event.event_type, one) for one in patterns)


async def show_list(page: int, size: int, *, everything: bool, as_json: bool) -> None:
    """Print one page, or all events, newest first."""
    async with open_client() as client:
        if everything:
            await _show_all(client, as_json=as_json)
            return
        found = await client.event.list(page, size)
    if as_json:
        print_json(found)
        return
    print_table(COLUMNS, map(_cells, found.items))
    shown = (found.page - 1) * found.size + len(found.items)
    if shown < found.total and found.items:
        print(f"{shown} of {found.total}; more with --page {found.page + 1} or --all")


async def _show_all(client: AsyncClient, *, as_json: bool) -> None:
    async for event in client.event.iterate(SIZE_MAX):
        _show_line(event, as_json=as_json)


def _cells(event: Event) -> Sequence[str]:
    return event.occurrence, event.event_id, event.event_type, object_of(event)


def _show_line(event: Event, *, as_json: bool) -> None:
    if as_json:
        print_json(event)
    else:
        print_line((event.occurrence, "dim"), (event.event_id, ""), (event.event_type, "bold"))


async def show_one(event_id: str, *, as_json: bool) -> None:
    """Print an event with its payload, and where it was sent."""
    async with open_client() as client:
        event = await client.event.detail(event_id)
        deliveries = await client.event.deliveries(event_id)
    if as_json:
        print_json({**wire(event), "deliveries": wire(deliveries)})
        return
    print_line((event.event_id, "bold"), (event.event_type, "bold"), (event.occurrence, "dim"))
    console().print_json(clean(json.dumps(wire(event.payload), ensure_ascii=False)), indent=2)
    for delivery in deliveries:
        print_details(delivery)


async def tail(patterns: Sequence[str], last: int, *, as_json: bool) -> None:
    """Print the last events, then each that happens, until interrupted."""
    async with open_client() as client:
        # The cursor first: what happens between the two answers is in both, and told once.
        cursor = (await client.event.feed("start")).cursor
        before = (await client.event.list(1, last)).items if last else ()
        for event in reversed(before):
            if is_wanted(event, patterns):
                _show_line(event, as_json=as_json)
        known = {event.event_id for event in before}
        async for event in feed(client, cursor):
            if event.event_id not in known and is_wanted(event, patterns):
                _show_line(event, as_json=as_json)


async def feed(client: AsyncClient, cursor: str) -> AsyncIterator[Event]:
    """Every event behind ``cursor``, for ever."""

    async def ask(behind: str) -> tuple[Sequence[Event], str]:
        found = await client.event.feed(behind, SIZE_MAX)
        return found.events, found.cursor

    async for event in follow(ask, cursor):
        yield event


async def resend(event_id: str, webhook_id: str | None, *, as_json: bool) -> None:
    """Have an event delivered again, to one endpoint or to all that it was sent to."""
    async with open_client() as client:
        found = await client.event.resend(event_id, webhook_id=webhook_id)
    _show_redelivery(found.messages, as_json=as_json)


async def resend_range(webhook_id: str, since: int, until: int, *, as_json: bool) -> None:
    """Have an endpoint told again what happened in that time (Unix seconds, without ``until``)."""
    async with open_client() as client:
        found = await client.event.resend_range(webhook_id, since=since, until=until)
    _show_redelivery(found.messages, as_json=as_json)


def _show_redelivery(messages: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"success": True, "messages": messages})
    else:
        print(f"{messages} {'delivery' if messages == 1 else 'deliveries'} on the way")
