"""The addresses of sessions, refunds, unusual money and exports."""

from __future__ import annotations

from gstable_server.kernel.roles import Action
from gstable_server.web.dashboard.payments.approvals import Approvals
from gstable_server.web.dashboard.payments.browsing import Browsing
from gstable_server.web.dashboard.payments.exports import Exports
from gstable_server.web.dashboard.payments.holds import Holds
from gstable_server.web.dashboard.payments.refunds import Refunds
from gstable_server.web.dashboard.payments.sessions import Sessions
from gstable_server.web.dashboard.payments.unmatched import Unmatched
from gstable_server.web.dashboard.payments.unmatched_many import ManyUnmatched
from gstable_server.web.dashboard.place import Place, Rows


def payments(rows: Rows) -> list[Place]:
    """Sessions, refunds, what large ones need, unusual money and exports."""
    browsing, exports = Browsing(rows.guard), Exports(rows.guard)
    sessions, unmatched = Sessions(rows.guard), Unmatched(rows.guard)
    many = ManyUnmatched(rows.guard)
    holds, approvals = Holds(rows.guard, sessions), Approvals(rows.guard)
    refunds = Refunds(rows.guard)
    change = Action.LIMITS_CHANGE
    return [
        rows.look("/sessions", Action.SESSIONS_READ, browsing.sessions),
        rows.look("/search", Action.SESSIONS_READ, browsing.search),
        rows.act("/sessions/{session_id}/cancel", Action.SESSIONS_CANCEL, sessions.cancel),
        rows.look("/exports", Action.EXPORTS_READ, exports.show),
        rows.act("/exports/{what}", Action.EXPORTS_READ, exports.make),
        rows.look("/sessions/{session_id}", Action.SESSIONS_READ, sessions.show),
        rows.act("/sessions/{session_id}/refunds", Action.REFUNDS_PREPARE, sessions.prepare_refund),
        rows.act("/sessions/{session_id}/capture", Action.HOLDS_DECIDE, holds.capture),
        rows.act("/sessions/{session_id}/void", Action.HOLDS_DECIDE, holds.void),
        rows.look("/refunds", Action.SESSIONS_READ, refunds.list),
        rows.look("/refunds/{refund_id}", Action.SESSIONS_READ, refunds.show),
        rows.look("/refunds/{refund_id}/status", Action.SESSIONS_READ, refunds.status),
        rows.act("/refunds/{refund_id}/approve", Action.REFUNDS_APPROVE, approvals.approve),
        rows.act("/refunds/{refund_id}/cancel", Action.REFUNDS_CANCEL, refunds.cancel),
        rows.look("/unusual", Action.UNMATCHED_READ, unmatched.list),
        rows.look("/unusual/many", Action.UNMATCHED_DECIDE, many.confirm),
        rows.act("/unusual/many", Action.UNMATCHED_DECIDE, many.act),
        rows.look("/unusual/{inflow_id}", Action.UNMATCHED_READ, unmatched.show),
        rows.look("/unusual/{inflow_id}/{act}", Action.UNMATCHED_DECIDE, unmatched.confirm),
        rows.act("/unusual/{inflow_id}/{act}", Action.UNMATCHED_DECIDE, unmatched.act),
        rows.look("/limits", Action.LIMITS_READ, approvals.show),
        rows.act("/limits", change, approvals.change),
        rows.act("/limits/{limit_change_id}/approve", change, approvals.approve_change),
        rows.act("/limits/{limit_change_id}/cancel", Action.LIMITS_CANCEL, approvals.cancel_change),
    ]
