"""The requests of a merchant's own programs, as its developers look at them."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from starlette.responses import Response

from gstable_server.accounts import operations as accounts
from gstable_server.kernel.errors import Code
from gstable_server.plumbing import request_log
from gstable_server.plumbing.request_log import LoggedRequest, Outcome, Wanted
from gstable_server.sessions.lists.model import Kind, understood
from gstable_server.web.dashboard.guard import Guard, Visit, onward
from gstable_server.web.dashboard.payments.browsing import OWN_PAGES
from gstable_server.web.dashboard.presenter import Badge
from gstable_server.web.dashboard.problems import told_words
from gstable_server.web.dashboard.speech import N_, moment

PAGE_SIZE = 50
NEWEST = 2**62
LENGTH_MAX = 100
OUTCOMES = {
    Outcome.ANSWERED: N_("Answered"),
    Outcome.REFUSED: N_("Refused"),
    Outcome.FAILED: N_("Failed here"),
    Outcome.HUNG_UP: N_("Hung up"),
}
MESSAGES = {code.number: code.message for code in Code}
_ID = re.compile(r"(?:sess|lnk|prd|rfd|acc|evt|wkid)_[0-9A-Za-z_]+")


class Requests:
    """The handlers of the list and of one request."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db

    async def list(self, visit: Visit) -> Response:
        given = visit.request.query_params
        typed = {
            name: given.get(name, "").replace("\0", "").strip()[:LENGTH_MAX]
            for name in ("q", "status", "key", "path")
        }
        asked = understood(typed["q"])
        if asked is not None and asked.kind is Kind.REQUEST:
            return onward(visit, f"/requests/{asked.text}")
        status = typed["status"]
        # Identifiers stand in paths, so the box finds the requests about one object too.
        wanted = Wanted(
            Outcome(status) if status in set(Outcome) else None,
            typed["key"] or None,
            typed["path"] or (asked.text if asked else None),
        )
        before = given.get("before", "")
        number = int(before) if re.fullmatch("[0-9]{1,18}", before) else NEWEST
        async with self.db.read() as tx:
            found, older = await request_log.page(tx, visit.tenant, wanted, number, PAGE_SIZE)
            keys = await accounts.list_keys(tx, visit.tenant)
        kept = {name: text for name, text in typed.items() if text}
        return self.guard.show(
            visit,
            "requests.html",
            "requests",
            requests=[(one, _badge(one), moment(one.at), _refusal(one)) for _, one in found],
            typed=typed,
            is_set=bool(kept),
            statuses=[(one.value, title) for one, title in OUTCOMES.items()],
            keys=[(key.key_id, key.name) for key in keys],
            older=urlencode({**kept, "before": older}) if older is not None else "",
            is_deep=bool(before),
            is_full=len(found) == PAGE_SIZE,
        )

    async def show(self, visit: Visit) -> Response:
        async with self.db.read() as tx:
            found = await request_log.find(
                tx, visit.tenant, visit.request.path_params["request_id"][:LENGTH_MAX]
            )
            keys = await accounts.list_keys(tx, visit.tenant)
        if found is None:
            return self.guard.missing()
        names = {key.key_id: key.name for key in keys}
        return self.guard.show(
            visit,
            "request.html",
            "requests",
            one=found,
            badge=_badge(found),
            refusal=_refusal(found),
            told=": ".join(filter(None, (_message(found), found.detail))),
            at=moment(found.at),
            key_name=names.get(found.key_id, ""),
            objects=_objects(found),
        )


def _badge(request: LoggedRequest) -> Badge:
    outcome = request.outcome
    if outcome is Outcome.ANSWERED:
        return Badge(str(request.status), "good")
    return Badge(OUTCOMES[outcome], "quiet" if outcome is Outcome.HUNG_UP else "bad")


def _message(request: LoggedRequest) -> str:
    """What the code of an answer says, as programs are told it; "" for what was done."""
    return MESSAGES.get(request.code or 0, "")


def _refusal(request: LoggedRequest) -> str:
    """Why it was not done, in the reader's language."""
    return told_words(_message(request), request.detail)


def _objects(request: LoggedRequest) -> list[tuple[str, str]]:
    """Identifiers that the request names, with the addresses of their pages below the mode's."""
    found = []
    for text in dict.fromkeys(_ID.findall(request.path)):
        asked = understood(text)
        assert asked is not None, "an identifier's form"
        if asked.kind is Kind.SESSION:
            found.append((text, f"/sessions/{text}"))
        elif asked.kind is Kind.EVENT:
            found.append((text, f"/events/{text}"))
        elif asked.kind in OWN_PAGES:
            found.append((text, OWN_PAGES[asked.kind].format(text)))
    return found
