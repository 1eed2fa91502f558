"""The audit log's page."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Entry
from gstable_server.accounts.audit.operations import SHOWN, Filter
from gstable_server.kernel.roles import Action
from gstable_server.web.dashboard.address import number_before
from gstable_server.web.dashboard.guard import Guard, Visit
from gstable_server.web.dashboard.people.people_presenter import AuditRow
from gstable_server.web.dashboard.speech import moment

FILTER_LENGTH_MAX = 300
ABOUT_LENGTH_MAX = 44


class AuditLog:
    """The handler of the page."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db

    async def list(self, visit: Visit) -> Response:
        wanted = _wanted(visit)
        async with self.db.read() as tx:
            entries = await audit.entries(tx, visit.member.merchant_id, wanted)
        shown = entries[:SHOWN]
        filters = {"action": wanted.action, "email": wanted.email, "about": wanted.about}
        older = ""
        if len(entries) > SHOWN:
            older = urlencode({**filters, "before": shown[-1].head.number})
        return self.guard.show(
            visit,
            "audit.html",
            "audit",
            entries=[_row(entry) for entry in shown],
            actions=[action.value for action in Action if not action.endswith(".read")],
            filters=filters,
            older=older,
        )


def _wanted(visit: Visit) -> Filter:
    """The filters of the address; what cannot be one filters nothing."""
    given = visit.request.query_params

    def text(name: str) -> str:
        return given.get(name, "").strip().replace("\0", "")[:FILTER_LENGTH_MAX]

    action = text("action")
    return Filter(
        action=action if action in set(Action) else "",
        email=text("email"),
        about=text("about"),
        before=number_before(visit),
    )


def _short(about: str) -> str:
    """An identifier as it fits beside the rest: merchants' have no place where they can break."""
    return about if len(about) <= ABOUT_LENGTH_MAX else f"{about[:12]}…{about[-6:]}"


def _row(entry: Entry) -> AuditRow:
    act = entry.act
    names = dict.fromkeys((*act.note.before, *act.note.after))
    changes = [
        (name, act.note.before.get(name, ""), act.note.after.get(name, "")) for name in names
    ]
    return AuditRow(
        number=entry.head.number,
        what=act.note.what,
        about=_short(act.note.about),
        changes=tuple(changes),
        email=act.actor.email,
        address=act.actor.address,
        mode=act.mode,
        at=moment(act.at),
    )
