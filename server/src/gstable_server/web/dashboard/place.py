"""One address of the dashboard, what a role must permit for it, and how rooms list theirs."""

from __future__ import annotations

from dataclasses import dataclass

from gstable_server.kernel.roles import Action
from gstable_server.web.dashboard.guard import HOME, Guard, Handler, VisitHandler

IN_MODE = f"{HOME}/{{mode}}"
LOGOUT = f"{HOME}/logout"
UNAUDITED = {
    LOGOUT: "it ends what its own entry says was opened",
    "/security/switch": "it shows another of one's teams, and changes nothing in either",
    "/security/factor/begin": "nothing counts before the first code was typed",
    "/security/passkeys/begin": "it only asks the browser",
    "/links/preview": "it only shows",
    "/branding/preview": "it only shows",
    "/links/more": "it only shows a line more of the form",
    "/links/{link_id}/more": "it only shows a line more of the form",
    "/sessions/new/more": "it only shows a line more of the form",
    "/accounts/{account_id}/proof/begin": "it only asks the wallet",
}
"""Forms that change nothing that anybody could be asked about later, and why; all others write one
entry each (``requests.audited``)."""


@dataclass(frozen=True, slots=True)
class Place:
    """One method of one address. ``action`` is what a member's role must permit, None for what
    people do before they have signed in."""

    method: str
    path: str
    action: Action | None
    handler: Handler


@dataclass(frozen=True, slots=True)
class Rows:
    """How a room lists its places: each names its action, and goes by the guard. Paths are below
    the mode's, but those of doors."""

    guard: Guard

    def door(self, method: str, path: str, handler: Handler) -> Place:
        """For people who have not signed in."""
        return Place(method, path, None, self.guard.door(handler))

    def look(self, path: str, action: Action, handler: VisitHandler) -> Place:
        """To see something."""
        return Place("GET", IN_MODE + path, action, self.guard.look(action, handler))

    def act(self, path: str, action: Action, handler: VisitHandler) -> Place:
        """To change something."""
        acted = self.guard.act(action, handler, is_audited=path not in UNAUDITED)
        return Place("POST", IN_MODE + path, action, acted)

    def upload(self, path: str, action: Action, handler: VisitHandler, bytes_max: int) -> Place:
        """To change something by a form that may carry files."""
        is_audited = path not in UNAUDITED
        sent = self.guard.upload(action, handler, bytes_max, is_audited=is_audited)
        return Place("POST", IN_MODE + path, action, sent)

    def log_out(self, handler: VisitHandler) -> Place:
        """To leave, from whatever mode."""
        acted = self.guard.act(Action.SELF, handler, is_audited=LOGOUT not in UNAUDITED)
        return Place("POST", LOGOUT, Action.SELF, acted)
