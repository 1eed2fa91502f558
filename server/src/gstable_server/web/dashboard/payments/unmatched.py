"""Unusual money: the list, one of them, and what is done about it after a question back."""

from __future__ import annotations

from starlette.responses import Response

from gstable_server.accounts.audit.model import Note
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import InflowId, id_or_none
from gstable_server.kernel.roles import Action
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.unmatched import operations
from gstable_server.sessions.unmatched.model import WAITING, Act, Inflow, InflowView, State, Why
from gstable_server.web.checkout.amounts import AmountError, parse_usd
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done, onward
from gstable_server.web.dashboard.payments.unmatched_presenter import (
    ACTS,
    DONE_WORDS,
    MANY,
    STATE_BADGES,
    WHY,
    inflow_page,
    inflow_row,
)

SHOWN_MAX = 50
FORM = Form(("reason", "amount", "to"))
_TOLD = frozenset({Code.FIELD_INVALID, Code.RESOLUTION_IMPOSSIBLE, Code.REFUND_IMPOSSIBLE})


class Unmatched:
    """The handlers of unusual money."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.desk = guard.desk

    async def list(self, visit: Visit) -> Response:
        flag, state = _flag(visit), _state(visit)
        before = id_or_none(InflowId, visit.request.query_params.get("before", ""))
        async with self.db.read() as tx:
            found = await operations.list_inflows(
                tx,
                states=[state] if state else WAITING,
                flag=flag,
                tenant=visit.tenant,
                limit=SHOWN_MAX + 1,
                before=before,
            )
        rows = [inflow_row(one, self.desk.networks) for one in found[:SHOWN_MAX]]
        may_decide = visit.may(Action.UNMATCHED_DECIDE)
        acts = [(act.value, words) for act, words in MANY.items()] if may_decide else []
        return self.guard.show(
            visit,
            "unmatched.html",
            "unusual",
            inflows=rows,
            acts=acts if any(one.can_be_chosen for one in rows) else [],
            flags=list(WHY.items()),
            flag=flag.value if flag else "",
            states=[(one.value, badge.text) for one, badge in STATE_BADGES.items()],
            state=state.value if state else "",
            older=found[SHOWN_MAX - 1].inflow_id if len(found) > SHOWN_MAX else "",
            is_first=before is None,
        )

    async def show(self, visit: Visit) -> Response:
        page = inflow_page(await self.db.run(self._own, visit), self.desk.networks)
        return self.guard.show(visit, "unmatched_one.html", "unusual", page=page)

    async def confirm(self, visit: Visit) -> Response:
        return await self._question(visit, FORM)

    async def act(self, visit: Visit) -> Response:
        """Do it, and go to what shows it: a refund is sent from its own page."""
        form, act = FORM.filled(visit.entries), _act(visit)
        try:
            reason = visit.entries.get("reason", "")
            inflow = await self.guard.do(
                visit,
                lambda one: Note(f"unmatched.{act}", one.inflow_id, after={"reason": reason}),
                self._done,
                visit,
                act,
                form,
            )
        except AmountError as problem:
            return await self._question(visit, form.marked("amount", str(problem)), 422)
        except Refused as refused:
            if refused.code not in _TOLD:
                raise
            return await self._question(visit, form.refused(refused), 422)
        if act is Act.REFUND:
            return onward(visit, f"/refunds/{inflow.refund_id}")
        return done(visit, f"/unusual/{inflow.inflow_id}", DONE_WORDS[act])

    async def _question(self, visit: Visit, form: Form, status: int = 200) -> Response:
        page = inflow_page(await self.db.run(self._own, visit), self.desk.networks)
        return self.guard.show(
            visit,
            "unmatched_act.html",
            "unusual",
            status=status,
            page=page,
            act=_act(visit).value,
            words=ACTS[_act(visit)],
            form=form,
        )

    async def _own(self, tx: Tx, visit: Visit) -> InflowView:
        inflow_id = operations.inflow_id_of(visit.request.path_params["inflow_id"])
        return await operations.detail(tx, self.desk, inflow_id, visit.tenant)

    async def _done(self, tx: Tx, visit: Visit, act: Act, form: Form) -> Inflow:
        inflow_id = operations.inflow_id_of(visit.request.path_params["inflow_id"])
        # As it was typed: the form's own copy is cut to what a page may carry back.
        reason, actor = visit.entries.get("reason", ""), visit.member.email
        if act is Act.REFUND:
            amount = form.value("amount").strip()
            return await operations.refund(
                tx,
                self.desk,
                inflow_id,
                amount=parse_usd(amount) if amount else None,
                to=form.value("to").strip() or None,
                actor=actor,
                reason=reason,
                tenant=visit.tenant,
                by=visit.by,
            )
        verbs = {
            Act.ACCEPT: operations.accept,
            Act.SWEEP: operations.sweep,
            Act.DISMISS: operations.dismiss,
        }
        return await verbs[act](
            tx, self.desk, inflow_id, actor=actor, reason=reason, tenant=visit.tenant
        )


def _act(visit: Visit) -> Act:
    """What the address asks for. Refuses an address that names nothing that can be done."""
    text = visit.request.path_params["act"]
    if text not in set(Act):
        raise Refused(Code.ROUTE_UNKNOWN)
    return Act(text)


def _flag(visit: Visit) -> Why | None:
    text = visit.request.query_params.get("flag", "")
    return Why(text) if text in set(Why) else None


def _state(visit: Visit) -> State | None:
    text = visit.request.query_params.get("state", "")
    return State(text) if text in set(State) else None
