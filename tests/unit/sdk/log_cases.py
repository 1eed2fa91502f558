"""The calls of the request log, with what they send and read."""

from typing import Any

from gstable import LogFeed
from tests.unit.sdk.cases import Case

ENTRY: dict[str, Any] = {
    "time": "2026-01-02 03:04:05",
    "requestId": "req_1",
    "keyId": "key_1",
    "method": "POST",
    "path": "/product/create",
    "status": 200,
    "code": 0,
    "durationMs": 4,
}
LOG_CASES = [
    Case(
        "log.feed",
        lambda c: c.log.feed(),
        "/log/feed/start/100",
        None,
        {"entries": [], "cursor": "7"},
        LogFeed(entries=(), cursor="7"),
    ),
    Case(
        "log.feed, later",
        lambda c: c.log.feed("7", 2),
        "/log/feed/7/2",
        None,
        {"entries": [ENTRY, {**ENTRY, "status": 0, "code": None}], "cursor": "9"},
        {"entries": [ENTRY, {**ENTRY, "status": 0, "code": None}], "cursor": "9"},
    ),
]
