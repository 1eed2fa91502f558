"""The log of the merchant's own requests."""

from dataclasses import dataclass

from gstable.testing._clock import FakeClock, wire_time
from gstable.testing._refusals import invalid
from gstable.testing._routes import Call, Route, get
from gstable.testing._world import Page


@dataclass
class Log:
    """`entries`: every answered request that came with a good key, oldest first."""

    clock: FakeClock
    entries: list[dict[str, object]]

    def note(
        self, request_id: str, key_id: str, method: str, path: str, answer: tuple[int, int]
    ) -> None:
        """Keep one request. `answer`: HTTP status and code."""
        status, code = answer
        self.entries.append(
            {
                "time": wire_time(self.clock.now),
                "requestId": request_id,
                "keyId": key_id,
                "method": method,
                "path": path,
                "status": status,
                "code": code,
                "durationMs": 0,
            }
        )

    def routes(self) -> list[Route]:
        return [get("/log/feed/{cursor}/{size}", self._feed)]

    def _feed(self, call: Call) -> object:
        size = Page.of({"page": "1", "size": call.values["size"]}).size
        end = len(self.entries)
        begin = _position(call.values["cursor"], size, end)
        found = self.entries[begin : begin + size]
        return {"entries": found, "cursor": str(begin + len(found))}


def _position(cursor: str, size: int, end: int) -> int:
    named = {"start": end, "begin": 0, "tail": max(end - size, 0)}
    if cursor in named:
        return named[cursor]
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise invalid("cursor", "must be begin, start, tail or one that was answered")
    return min(int(cursor), end)
