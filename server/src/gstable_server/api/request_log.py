"""``/log/feed``: a merchant's own requests, as its developer follows them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from typing_extensions import TypedDict

from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.paging import page_from_path
from gstable_server.kernel.tenant import Access, Tenant
from gstable_server.plumbing import request_log
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.request_log import Numbered
from gstable_server.plumbing.route import Call, Json, PathValues, Route

START = "start"
BEGIN = "begin"
TAIL = "tail"
_SEQUENCE = re.compile(r"[0-9]{1,18}")
# Identifiers and numbers. What has another form may be anything, also a key that was pasted
# by mistake: keys begin like identifiers, but with other letters.
_SHOWN = re.compile(r"(?:acc|evt|lnk|prd|rfd|sess|wkid)_[A-Za-z0-9_]{1,64}|[0-9]{1,9}")
_FEED = re.compile(r"/\w+/feed/\{cursor\}/\{size\}")


class LogEntry(TypedDict):
    """One request: ``time`` in UTC, ``code`` null where the answer had none, ``status`` 0 where
    the client went away."""

    time: str
    requestId: str
    keyId: str
    method: str
    path: str
    status: int
    code: int | None
    durationMs: int


class LogFeed(TypedDict):
    entries: list[LogEntry]
    cursor: str


def shown_path(route: Route, values: PathValues) -> str:
    """The path of a request as the log shows it, without the API's prefix."""
    path = route.path
    for name, value in values.items():
        if _SHOWN.fullmatch(value):
            path = path.replace(f"{{{name}}}", value)
    return path


def is_polled(route: Route) -> bool:
    """True for what programs ask every second; the log would show little else."""
    return _FEED.fullmatch(route.path) is not None


async def _feed(call: Call) -> Json:
    size = page_from_path("1", call.path["size"]).size
    found, cursor = await _read(call.tx, call.caller.tenant, call.path["cursor"], size)
    return {"entries": [_render(one) for one in found], "cursor": cursor}


async def _read(tx: Tx, tenant: Tenant, cursor: str, size: int) -> tuple[Sequence[Numbered], str]:
    if cursor == START:
        return (), str(await request_log.last_sequence(tx, tenant))
    if cursor == TAIL:
        found = await request_log.newest(tx, tenant, size)
        since = 0
    elif cursor == BEGIN or _SEQUENCE.fullmatch(cursor):
        since = 0 if cursor == BEGIN else int(cursor)
        found = await request_log.after(tx, tenant, since, size)
    else:
        raise invalid_field("cursor", f"must be {BEGIN}, {START}, {TAIL} or one that was answered")
    return found, str(found[-1][0] if found else since)


def _render(numbered: Numbered) -> LogEntry:
    _, request = numbered
    return {
        "time": wire_time(request.at),
        "requestId": request.request_id,
        "keyId": request.key_id,
        "method": request.method,
        "path": request.path,
        "status": request.status,
        "code": request.code,
        "durationMs": request.duration_ms,
    }


def routes() -> list[Route]:
    """The rows that ``api`` mounts."""
    return [
        Route(
            "GET",
            "/log/feed/{cursor}/{size}",
            _feed,
            "Read the requests of the last 7 days after a cursor, oldest first: `begin`, `start` "
            "(now), `tail` (the last ones), or the cursor of the answer before",
            Access.READ,
            LogFeed,
            None,
            ("Request log",),
        )
    ]
