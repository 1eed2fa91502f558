"""Large refunds that wait for a second person, and the limit above which they do."""

from __future__ import annotations

from starlette.responses import Response

from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.limits import operations as limits
from gstable_server.accounts.limits.model import Limit, LimitChange
from gstable_server.accounts.members import team
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import LimitChangeId, MemberId
from gstable_server.kernel.roles import Action
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.refunds import approving
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds.model import Refund, RefundState
from gstable_server.web.checkout.amounts import AmountError, ZeroAmountError, parse_usd
from gstable_server.web.dashboard.address import id_of
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.payments.refund_presenter import ApprovalPanel, LimitRow
from gstable_server.web.dashboard.speech import _, dollars, moment
from gstable_server.web.dashboard.words import in_words

LIMIT_FORM = Form(("limit",))
DIGEST = "terms"


async def approval_panel(tx: Tx, visit: Visit, refund: Refund) -> ApprovalPanel | None:
    """What the page of a refund says of the people behind it; None where it waits for nobody."""
    if refund.state is not RefundState.AWAITING:
        return None
    standing = await approving.standing_of(tx, visit.tenant, refund)
    return ApprovalPanel(
        prepared_by=standing.prepared_by,
        is_own=refund.prepared_by == visit.member.member_id,
        approved_by=standing.approved_by,
        missing=standing.missing,
        can_approve=visit.member.member_id in standing.could,
        others=tuple(
            email for one, email in standing.could.items() if one != visit.member.member_id
        ),
        has_enough_people=len(standing.could) >= standing.missing,
        digest=approving.digest_of(refund).hex(),
    )


class Approvals:
    """The handlers of approving, and of the limit's page."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db

    async def approve(self, visit: Visit) -> Response:
        refund_id = refunds.refund_id_of(visit.request.path_params["refund_id"])
        digest = _digest(visit.entries.get(DIGEST, ""))
        refund = await self.guard.do(
            visit, _approved, approving.approve, visit.tenant, visit.by, refund_id, digest
        )
        is_enough = refund.state is RefundState.PREPARED
        word = "refund-approved" if is_enough else "refund-approved-first"
        return done(visit, f"/refunds/{refund_id}", word)

    # --- the limit --------------------------------------------------------------------------------

    async def show(self, visit: Visit) -> Response:
        return await self._page(visit, LIMIT_FORM)

    async def _page(self, visit: Visit, form: Form, status: int = 200) -> Response:
        async with self.db.read() as tx:
            now = await limits.current(tx, visit.tenant)
            change = await limits.waiting(tx, visit.tenant)
            able = await team.members_able(tx, visit.tenant.merchant_id, Action.LIMITS_CHANGE)
            approvers = await team.members_able(
                tx, visit.tenant.merchant_id, Action.REFUNDS_APPROVE
            )
        return self.guard.show(
            visit,
            "limits.html",
            "limits",
            status=status,
            form=form,
            limit=_text(now),
            waiting=_row(visit, change, able) if change else None,
            delay_hours=int(self.guard.payouts.delay.total_seconds()) // 3600,
            is_alone=len(approvers) < approving.PEOPLE,
        )

    async def change(self, visit: Visit) -> Response:
        """An empty field is no limit; 0 has every refund approved."""
        form = LIMIT_FORM.filled(visit.entries)
        text = form.value("limit").strip()
        try:
            amount = _amount(text) if text else None
            waits = await self.db.run(
                limits.change, visit.by, visit.tenant, self.guard.payouts, amount
            )
        except AmountError as problem:
            return await self._page(visit, form.marked("limit", str(problem)), 422)
        except Refused as refused:
            return await self._page(visit, form.refused(refused), 422)
        return done(visit, "/limits", "limit-asked" if waits else "limit-changed")

    async def approve_change(self, visit: Visit) -> Response:
        try:
            await self.db.run(
                limits.approve,
                visit.by,
                visit.tenant,
                self.guard.payouts,
                id_of(visit, LimitChangeId, "limit_change_id"),
            )
        except Refused as refused:
            if refused.code is not Code.FIELD_INVALID:
                raise
            form = Form(LIMIT_FORM.names, problem=in_words(refused))
            return await self._page(visit, form, 422)
        return done(visit, "/limits", "limit-changed")

    async def cancel_change(self, visit: Visit) -> Response:
        await self.db.run(
            limits.cancel,
            visit.by,
            visit.tenant,
            self.guard.payouts,
            id_of(visit, LimitChangeId, "limit_change_id"),
        )
        return done(visit, "/limits", "limit-cancelled")


def _approved(refund: Refund) -> Note:
    after = {
        "status": refund.state.value,
        "amountMicroUsd": str(refund.amount),
        "to": f"0x{refund.terms.receiver.hex()}",
        "terms": approving.digest_of(refund).hex(),
    }
    return Note("refund.approved", refund.refund_id, after=after)


def _digest(text: str) -> bytes:
    """What the form says that was on the page; what cannot be one fits no terms."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _amount(text: str) -> int:
    """Micro-USD. Raises ``AmountError``."""
    try:
        return parse_usd(text)
    except ZeroAmountError:
        return 0


def _text(limit: Limit) -> str:
    return "" if limit is None else dollars(limit)


def _row(visit: Visit, change: LimitChange, able: dict[MemberId, str]) -> LimitRow:
    own = change.asked_by == visit.member.member_id
    return LimitRow(
        change_id=change.change_id,
        limit=_text(change.amount) or _("No limit"),
        asked_by=able.get(change.asked_by, ""),
        due_at=moment(change.due_at),
        is_own=own,
        can_approve=not own and visit.member.member_id in able and change.asked_by in able,
    )
