"""The merchant API of refunds."""

from __future__ import annotations

from gstable_server.catalog.wire import SuccessJson
from gstable_server.kernel.tenant import Access
from gstable_server.plumbing.route import Call, Json, Route
from gstable_server.sessions.operations import Desk, session_id_of
from gstable_server.sessions.refunds import operations, wire

TAGS = ("Refunds",)


class _Refunds:
    """The handlers, with the desk that sold."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def prepare(self, call: Call) -> Json:
        refund = await operations.prepare(call.tx, self.desk, call.caller.tenant, call.body)
        return wire.render(refund)

    async def cancel(self, call: Call) -> Json:
        refund_id = operations.refund_id_of(call.body.refund_id)
        await operations.cancel(call.tx, call.caller.tenant, refund_id)
        return SuccessJson(success=True)

    async def list(self, call: Call) -> Json:
        session_id = session_id_of(call.path["sessionId"])
        refunds = await operations.of_session(call.tx, call.caller.tenant, session_id)
        return wire.render_list(refunds)

    async def detail(self, call: Call) -> Json:
        refund_id = operations.refund_id_of(call.path["refundId"])
        return wire.render(await operations.detail(call.tx, call.caller.tenant, refund_id))


def routes(desk: Desk) -> list[Route]:
    """Prepare, cancel, list and detail of refunds."""
    refunds = _Refunds(desk)
    return [
        Route(
            "POST",
            "/session/refund/prepare",
            refunds.prepare,
            "Prepare the transfer that gives money of a session back",
            Access.WRITE,
            wire.RefundJson,
            wire.PrepareRefund,
            TAGS,
        ),
        Route(
            "POST",
            "/session/refund/cancel",
            refunds.cancel,
            "Give up a refund that was not sent",
            Access.WRITE,
            SuccessJson,
            wire.RefundReference,
            TAGS,
        ),
        Route(
            "GET",
            "/session/refund/list/{sessionId}",
            refunds.list,
            "List the refunds of a session",
            Access.READ,
            wire.RefundListJson,
            None,
            TAGS,
        ),
        Route(
            "GET",
            "/session/refund/detail/{refundId}",
            refunds.detail,
            "Read a refund",
            Access.READ,
            wire.RefundJson,
            None,
            TAGS,
        ),
    ]
