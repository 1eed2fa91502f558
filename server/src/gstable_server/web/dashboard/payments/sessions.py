"""A session's page: what happened, what happens next, and the form that gives money back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit.model import Note
from gstable_server.kernel.errors import Code, Refused
from gstable_server.plumbing import event_log
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import news
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.lists import operations as lists
from gstable_server.sessions.model import SessionState, SessionView
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds.model import Refund
from gstable_server.sessions.refunds.wire import PrepareRefund
from gstable_server.sessions.unmatched import operations as unmatched
from gstable_server.sessions.unmatched.model import WAITING
from gstable_server.web.checkout.amounts import AmountError, parse_usd
from gstable_server.web.dashboard.address import NEWEST
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done, onward
from gstable_server.web.dashboard.payments.refund_presenter import refund_row, refundable_rows
from gstable_server.web.dashboard.payments.session_presenter import hold_row, session_page
from gstable_server.web.dashboard.payments.timeline import Timeline, next_step
from gstable_server.web.dashboard.payments.unmatched_presenter import inflow_row
from gstable_server.web.dashboard.words import REASON
from gstable_server.webhooks import operations as webhooks

FORM = Form(("paymentId", "amount", "to", "reason"))
HOLD_FORM = Form(("captureAmount",))
EVENTS_SHOWN = 50


class Sessions:
    """The handlers of one session's page."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.networks = guard.desk.networks

    async def show(self, visit: Visit) -> Response:
        return await self._show(visit, FORM)

    async def show_hold(self, visit: Visit, form: Form) -> Response:
        """The page again, with what was wrong about a capture or a void."""
        return await self._show(visit, FORM, 422, hold_form=form)

    async def _show(
        self, visit: Visit, form: Form, status: int = 200, *, hold_form: Form = HOLD_FORM
    ) -> Response:
        session_id = sessions.session_id_of(visit.request.path_params["session_id"])
        async with self.db.read() as tx:
            made_at = await news.position(tx)
            view = await sessions.detail(tx, visit.tenant, session_id)
            given_back = await refunds.of_view(tx, view)
            story = await self._story(tx, visit, view, given_back)
            story["made_at"] = made_at
        return self._page(visit, view, given_back, form, hold_form, status, story)

    async def _story(
        self, tx: Tx, visit: Visit, view: SessionView, given_back: Sequence[Refund]
    ) -> dict[str, Any]:
        """What happened, what happens next, and unusual money that waits for somebody; and the
        name of the account, unless that is archived."""
        session_id = view.session.session_id
        steps = await lists.steps(tx, session_id)
        events = await event_log.latest(tx, visit.tenant, session_id, NEWEST, EVENTS_SHOWN)
        shows_letters = visit.may("webhooks.read")
        told = {
            one.event_id: await webhooks.attempts_of(tx, visit.tenant, one.event_id)
            for one in events
            if shows_letters
        }
        inflows = await unmatched.of_session(tx, session_id)
        held = {one.account_id: one.name for one in await accounts.list_accounts(tx, visit.tenant)}
        timeline = Timeline(self.networks, view, visit.base, shows_letters)
        return {
            "account_name": held.get(view.session.account_id, ""),
            "facts": timeline.facts(steps, given_back, reversed(events), told),
            "next_step": next_step(view, given_back, told),
            "inflows": [inflow_row(one, self.networks) for one in inflows if one.state in WAITING],
            "can_cancel": view.session.state is SessionState.INITIALIZED
            and not view.session.signed_once,
        }

    async def cancel(self, visit: Visit) -> Response:
        """The merchant withdraws a session that nobody has started to pay."""
        session_id = sessions.session_id_of(visit.request.path_params["session_id"])
        note = Note("session.cancelled", session_id)
        await self.guard.do(
            visit, lambda _: note, sessions.cancel, self.guard.desk, visit.tenant, session_id
        )
        return done(visit, f"/sessions/{session_id}", "session-cancelled")

    def _page(
        self,
        visit: Visit,
        view: SessionView,
        given_back: Sequence[Refund],
        form: Form,
        hold_form: Form,
        status: int,
        story: dict[str, Any],
    ) -> Response:
        mode = visit.tenant.mode
        left = refunds.refundable(view, given_back)
        return self.guard.show(
            visit,
            "session.html",
            "sessions",
            status=status,
            page=session_page(view, self.networks),
            refunds=[refund_row(refund, self.networks, mode) for refund in given_back],
            refundable=refundable_rows(view, left, self.networks, mode),
            form=form,
            hold=hold_row(view),
            hold_form=hold_form,
            **story,
        )

    async def prepare_refund(self, visit: Visit) -> Response:
        """Set money aside, and go to the page that lets the merchant's wallet send it."""
        form = FORM.filled(visit.entries)
        try:
            request = _request(visit, form)
            refund = await self.guard.do(
                visit, _prepared, refunds.prepare, self.guard.desk, visit.tenant, request, visit.by
            )
        except AmountError as problem:
            return await self._show(visit, form.marked("amount", str(problem)), 422)
        except ValidationError:
            return await self._show(visit, form.marked("reason", REASON), 422)
        except Refused as refused:
            if refused.code not in {Code.FIELD_INVALID, Code.REFUND_IMPOSSIBLE}:
                raise
            return await self._show(visit, form.refused(refused), 422)
        return onward(visit, f"/refunds/{refund.refund_id}")


def _prepared(refund: Refund) -> Note:
    after = {
        "session": refund.session_id,
        "amountMicroUsd": str(refund.amount),
        "to": f"0x{refund.terms.receiver.hex()}",
    }
    return Note("refund.prepared", refund.refund_id, after=after)


def _request(visit: Visit, form: Form) -> PrepareRefund:
    """What the form asks for. Raises ``AmountError``, and ``ValidationError`` for the reason: the
    other fields are judged by the operation."""
    amount = form.value("amount").strip()
    return PrepareRefund.model_validate(
        {
            "sessionId": visit.request.path_params["session_id"],
            "paymentId": form.value("paymentId")[:100] or None,
            "amount": parse_usd(amount) if amount else None,
            "to": form.value("to").strip()[:64] or None,
            "reason": visit.entries.get("reason", ""),
        }
    )
