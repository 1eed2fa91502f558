"""The merchant API of checkout sessions (spec 6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gstable_server.catalog.wire import SuccessJson
from gstable_server.kernel.paging import page_from_path
from gstable_server.kernel.tenant import Access
from gstable_server.plumbing.route import Call, Json, Route
from gstable_server.sessions import advancing, operations, wire
from gstable_server.sessions.model import SessionState
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds import wire as refund_wire

TAGS = ("Checkout sessions",)
LISTS: dict[str, SessionState | None] = {
    "all": None,
    "paid": SessionState.PAID,
    "settling": SessionState.SETTLING,
    "completed": SessionState.COMPLETED,
    "cancelled": SessionState.CANCELLED,
    "settlement/pending": SessionState.SETTLEMENT_PENDING,
}


class _Sessions:
    """The handlers, with the desk that they sell at."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def create(self, call: Call) -> Json:
        view = await operations.create_checkout(call.tx, self.desk, call.caller.tenant, call.body)
        return wire.render(view, self.desk.public_url)

    async def cancel(self, call: Call) -> Json:
        session_id = operations.session_id_of(call.body.session_id)
        await operations.cancel(call.tx, self.desk, call.caller.tenant, session_id)
        return SuccessJson(success=True)

    async def advance(self, call: Call) -> Json:
        session_id = operations.session_id_of(call.body.session_id)
        await advancing.advance(call.tx, call.caller.tenant, session_id, call.body.seconds)
        return SuccessJson(success=True)

    async def detail(self, call: Call) -> Json:
        session_id = operations.session_id_of(call.path["sessionId"])
        view = await operations.detail(call.tx, call.caller.tenant, session_id)
        given_back = await refunds.of_view(call.tx, view)
        return refund_wire.render_detail(view, given_back, self.desk.public_url)

    def list_in(self, state: SessionState | None) -> Callable[[Call], Awaitable[Json]]:
        async def handler(call: Call) -> Json:
            page = page_from_path(call.path["page"], call.path["size"])
            total, views = await operations.list_sessions(call.tx, call.caller.tenant, state, page)
            return wire.render_page(total, page, views, self.desk.public_url)

        return handler


def routes(desk: Desk) -> list[Route]:
    """Create, cancel, the test clock, the six lists and the detail of checkout sessions."""
    sessions = _Sessions(desk)
    lists = [
        Route(
            "GET",
            f"/session/list/{name}/{{page}}/{{size}}",
            sessions.list_in(state),
            f"List {'all sessions' if state is None else f'sessions in state {state}'}",
            Access.READ,
            wire.SessionListJson,
            None,
            TAGS,
        )
        for name, state in LISTS.items()
    ]
    return [
        Route(
            "POST",
            "/session/checkout/create",
            sessions.create,
            "Create a checkout session",
            Access.WRITE,
            wire.SessionJson,
            wire.CreateCheckoutSession,
            TAGS,
        ),
        Route(
            "POST",
            "/session/checkout/cancel",
            sessions.cancel,
            "Cancel a session that nobody has started to pay",
            Access.WRITE,
            SuccessJson,
            wire.SessionReference,
            TAGS,
        ),
        Route(
            "POST",
            "/test/session/advance",
            sessions.advance,
            "Bring the times of a test session closer",
            Access.WRITE,
            SuccessJson,
            wire.AdvanceSession,
            TAGS,
        ),
        *lists,
        Route(
            "GET",
            "/session/{sessionId}",
            sessions.detail,
            "Read a session, its payment and its refunds",
            Access.READ,
            refund_wire.RefundedSessionDetailJson,
            None,
            TAGS,
        ),
    ]
