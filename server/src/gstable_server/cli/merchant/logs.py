"""``logs tail``: the merchant's own requests, as they are answered."""

from __future__ import annotations

from collections.abc import Sequence

from gstable import LogEntry
from gstable_server.cli.merchant.connection import open_client
from gstable_server.cli.merchant.following import follow
from gstable_server.cli.merchant.output import WIDE_COLUMNS, console, print_json, print_line
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
    """One line that fits into 80 columns, for a request that went well; what went wrong is told
    with the id that the operator asks for."""
    if as_json:
        print_json(entry)
        return
    went_well = entry.code in {0, None} and entry.status == 200
    answer = str(entry.status) if went_well else f"{entry.status} {entry.code or ''}".strip()
    parts = [
        (entry.time[11:], "dim"),
        (answer, "green" if went_well else "red"),
        (f"{entry.duration_ms:>4} ms", "dim"),
        (f"{entry.method} {entry.path}", "bold"),
    ]
    if not went_well or console().width >= WIDE_COLUMNS:
        parts.append((entry.request_id, "dim"))
    print_line(*parts)
