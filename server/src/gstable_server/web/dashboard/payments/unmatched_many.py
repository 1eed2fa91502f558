"""Unusual money, several at once: what was chosen in the list, one question back, one reason.

All of it is done in one transaction or nothing, and is one entry of the audit log. What a wallet of
the merchant's has to sign stays with each one's own page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from gstable_server.accounts.audit.model import Note
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import InflowId, id_or_none
from gstable_server.plumbing.db import Tx
from gstable_server.sessions.unmatched import operations
from gstable_server.sessions.unmatched.model import Act, Inflow
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.payments.unmatched_presenter import (
    MANY,
    MANY_DONE,
    inflow_row,
    obstacle_text,
)

AT_ONCE_MAX = 50
"""As many as a page of the list shows."""
FORM = Form(("reason",))
_TOLD = frozenset({Code.FIELD_INVALID, Code.RESOLUTION_IMPOSSIBLE})


class ManyUnmatched:
    """The handlers of the question and of what is done after it."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.desk = guard.desk

    async def confirm(self, visit: Visit) -> Response:
        return await self._question(visit, visit.request.query_params, FORM)

    async def act(self, visit: Visit) -> Response:
        """Do it to all that were chosen, and go back to the list."""
        act, form = _act(visit.entries), FORM.filled(visit.entries)
        reason = visit.entries.get("reason", "")
        try:
            await self.guard.do(
                visit, lambda found: self._note(act, reason, found), self._done, visit, act, reason
            )
        except Refused as refused:
            if refused.code not in _TOLD:
                raise
            return await self._question(visit, visit.entries, form.refused(refused), 422)
        return done(visit, "/unusual", MANY_DONE[act])

    def _note(self, act: Act, reason: str, found: Sequence[Inflow]) -> Note:
        amounts = {str(one.inflow_id): self._amount(one) for one in found}
        return Note(f"unmatched.{act}", "", after={"reason": reason, **amounts})

    def _amount(self, inflow: Inflow) -> str:
        row = inflow_row(inflow, self.desk.networks)
        return f"{row.amount}, {row.network}"

    async def _done(self, tx: Tx, visit: Visit, act: Act, reason: str) -> list[Inflow]:
        verbs = {
            Act.ACCEPT: operations.accept,
            Act.SWEEP: operations.sweep,
            Act.DISMISS: operations.dismiss,
        }
        chosen = _chosen(visit.entries)
        if not chosen:
            raise Refused(Code.INFLOW_NOT_FOUND)
        actor = visit.member.email
        return [
            await verbs[act](
                tx, self.desk, inflow_id, actor=actor, reason=reason, tenant=visit.tenant
            )
            for inflow_id in chosen
        ]

    async def _question(
        self, visit: Visit, entries: Mapping[str, str], form: Form, status: int = 200
    ) -> Response:
        """What can be done, to be asked for, and what of the chosen cannot, with the reasons."""
        act = _act(entries)
        async with self.db.read() as tx:
            views = [
                await operations.detail(tx, self.desk, one, visit.tenant)
                for one in _chosen(entries)
            ]
        rows = [(inflow_row(one.inflow, self.desk.networks), one.resolutions[act]) for one in views]
        return self.guard.show(
            visit,
            "unmatched_many.html",
            "unusual",
            status=status,
            act=act.value,
            words=MANY[act],
            rows=[row for row, problem in rows if problem is None],
            left_out=[(row, obstacle_text(problem)) for row, problem in rows if problem],
            form=form,
        )


def _act(entries: Mapping[str, str]) -> Act:
    """What is asked for. Refuses what cannot be done to many."""
    text = entries.get("act", "")
    if text not in set(MANY):
        raise Refused(Code.ROUTE_UNKNOWN)
    return Act(text)


def _chosen(entries: Mapping[str, str]) -> list[InflowId]:
    """Whose boxes were ticked, always in one order: two people who decide at once never wait for
    each other in a circle."""
    named = {id_or_none(InflowId, name) for name in entries}
    return sorted(one for one in named if one is not None)[:AT_ONCE_MAX]
