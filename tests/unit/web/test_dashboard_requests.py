"""What an act answers whose line in the audit log is missing, or stands there twice."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from starlette.requests import Request
from starlette.responses import Response
from structlog.testing import capture_logs

from gstable_server.web.dashboard.requests import MISWRITTEN, audited

pytestmark = pytest.mark.anyio


@dataclass
class Visit:
    """As the guard lets one through."""

    request: Request


async def test_what_was_done_is_not_said_to_have_failed() -> None:
    async def silent(_visit: Visit) -> Response:
        return Response(status_code=303)

    visit = Visit(Request({"type": "http", "path": "/dashboard/test/links", "headers": []}))
    with capture_logs() as told:
        assert (await audited(silent)(visit)).status_code == 303
    assert [(one["event"], one["log_level"], one["notes"]) for one in told] == [
        (MISWRITTEN, "error", [])
    ]
