"""The merchant API of holds."""

from __future__ import annotations

from gstable_server.kernel.tenant import Access
from gstable_server.plumbing.route import Call, Json, Route
from gstable_server.sessions import wire as session_wire
from gstable_server.sessions.holds import operations, wire
from gstable_server.sessions.operations import Desk

TAGS = ("Checkout sessions",)


class _Holds:
    """The handlers, with the desk that sold."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def capture(self, call: Call) -> Json:
        view = await operations.capture(call.tx, self.desk, call.caller.tenant, call.body)
        return session_wire.render(view, self.desk.public_url)

    async def void(self, call: Call) -> Json:
        view = await operations.void(call.tx, self.desk, call.caller.tenant, call.body)
        return session_wire.render(view, self.desk.public_url)


def routes(desk: Desk) -> list[Route]:
    """Capture and void of what is held."""
    holds = _Holds(desk)
    return [
        Route(
            "POST",
            "/session/checkout/capture",
            holds.capture,
            "Capture a part of what is held, or all that remains",
            Access.WRITE,
            session_wire.SessionJson,
            wire.CaptureSession,
            TAGS,
        ),
        Route(
            "POST",
            "/session/checkout/void",
            holds.void,
            "Give back to the payer all that is still held",
            Access.WRITE,
            session_wire.SessionJson,
            wire.VoidSession,
            TAGS,
        ),
    ]
