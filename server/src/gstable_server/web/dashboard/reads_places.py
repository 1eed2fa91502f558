"""The places of what is looked for, exported and logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gstable_server.kernel.roles import Action
from gstable_server.web.dashboard.browsing import Browsing
from gstable_server.web.dashboard.exports import Exports
from gstable_server.web.dashboard.guard import Guard, VisitHandler
from gstable_server.web.dashboard.refunds import Sessions
from gstable_server.web.dashboard.request_pages import Requests

T = TypeVar("T")
Row = Callable[[str, Action, VisitHandler], T]


def reads_places(guard: Guard, look: Row[T], act: Row[T]) -> list[T]:
    """Rows of the table of routes."""
    browsing, exports, sessions = Browsing(guard), Exports(guard), Sessions(guard)
    requests = Requests(guard)
    return [
        look("/requests", Action.LOGS_READ, requests.list),
        look("/requests/{request_id}", Action.LOGS_READ, requests.show),
        look("/sessions", Action.SESSIONS_READ, browsing.sessions),
        look("/search", Action.SESSIONS_READ, browsing.search),
        act("/sessions/{session_id}/cancel", Action.SESSIONS_CANCEL, sessions.cancel),
        look("/exports", Action.EXPORTS_READ, exports.show),
        act("/exports/{what}", Action.EXPORTS_READ, exports.make),
    ]
