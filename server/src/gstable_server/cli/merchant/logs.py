"""``logs tail``: the merchant's own requests, as they are answered."""

from __future__ import annotations

from collections.abc import Sequence

from gstable import LogEntry
from gstable_server.cli.merchant.connection import open_client
from gstable_server.cli.merchant.following import follow
from gstable_server.cli.merchant.output import print_json, print_line
from gstable_server.kernel.paging import SIZE_MAX


async def tail(last: int, *, on_and_on: bool, as_json: bool) -> None:
    """Print the last requests and, with ``on_and_on``, each that follows, until interrupted."""
    async with open_client() as client:

        async def ask(behind: str) -> tuple[Sequence[LogEntry], str]:
            found = await client.log.feed(behind, SIZE_MAX)
            return found.entries, found.cursor

        before = await client.log.feed("tail", last)
        for entry in before.entries:
            _show(entry, as_json=as_json)
        if on_and_on:
            async for entry in follow(ask, before.cursor):
                _show(entry, as_json=as_json)


def _show(entry: LogEntry, *, as_json: bool) -> None:
    if as_json:
        print_json(entry)
        return
    style = "green" if entry.code == 0 else "red"
    answer = str(entry.status) if entry.code in {0, None} else f"{entry.status} {entry.code}"
    print_line(
        (entry.time, "dim"),
        (answer, style),
        (f"{entry.duration_ms} ms", ""),
        (f"{entry.method} {entry.path}", "bold"),
        (entry.request_id, "dim"),
    )
