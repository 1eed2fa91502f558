"""Money that goes back: the list, one refund with its transfer, and giving it up."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from gstable_server.accounts.audit.model import Note
from gstable_server.kernel.ids import RefundId, id_or_none
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.refunds import operations
from gstable_server.sessions.refunds.model import Refund, RefundState
from gstable_server.web.base import PAGE_HEADERS
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.payments.approvals import approval_panel
from gstable_server.web.dashboard.payments.refund_presenter import (
    REFUND_BADGES,
    refund_page,
    refund_row,
)
from gstable_server.web.dashboard.speech import _
from gstable_server.web.dashboard.words import REFUND_WORDS

SECTION = "refunds"
SHOWN = 50


class Refunds:
    """The handlers of refunds."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.networks = guard.desk.networks

    async def list(self, visit: Visit) -> Response:
        query = visit.request.query_params
        text = query.get("state", "")
        state = RefundState(text) if text in set(RefundState) else None
        before = id_or_none(RefundId, query.get("before", ""))
        async with self.db.read() as tx:
            found = await operations.newest(tx, visit.tenant, SHOWN + 1, state=state, before=before)
        shown = found[:SHOWN]
        mode = visit.tenant.mode
        return self.guard.show(
            visit,
            "refunds.html",
            SECTION,
            refunds=[refund_row(one, self.networks, mode) for one in shown],
            states=[(one.value, badge.text) for one, badge in REFUND_BADGES.items()],
            state=state.value if state else "",
            older=shown[-1].refund_id if len(found) > SHOWN else "",
            is_first=before is None,
        )

    async def show(self, visit: Visit) -> Response:
        async with self.db.read() as tx:
            found = await _own(tx, visit)
            approval = await approval_panel(tx, visit, found)
        page = refund_page(found, self.networks, visit.tenant.mode)
        return self.guard.show(visit, "refund.html", SECTION, page=page, approval=approval)

    async def status(self, visit: Visit) -> Response:
        """What the refund's page renews by itself."""
        async with self.db.read() as tx:
            found = await _own(tx, visit)
            approval = await approval_panel(tx, visit, found)
        headline, detail = REFUND_WORDS[found.state]
        body = {
            "state": found.state.value,
            "missing": approval.missing if approval else 0,
            "headline": _(headline),
            "detail": _(detail),
            "txHash": f"0x{found.claim.tx_hash.hex()}" if found.claim else "",
        }
        return JSONResponse(body, headers=PAGE_HEADERS)

    async def cancel(self, visit: Visit) -> Response:
        refund_id = operations.refund_id_of(visit.request.path_params["refund_id"])
        note = Note("refund.cancelled", refund_id)
        await self.guard.do(visit, lambda _: note, operations.cancel, visit.tenant, refund_id)
        return done(visit, f"/refunds/{refund_id}", "refund-cancelled")


async def _own(tx: Tx, visit: Visit) -> Refund:
    refund_id = operations.refund_id_of(visit.request.path_params["refund_id"])
    return await operations.detail(tx, visit.tenant, refund_id)
