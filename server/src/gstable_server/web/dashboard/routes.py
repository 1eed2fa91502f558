"""Every address of the dashboard (spec 12 and 15).

Pages of a mode have it in their address, so a form that was opened in test mode cannot act in
live mode, whatever another tab shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gstable_server.chain.rpc import Rpc
from gstable_server.kernel.roles import Action
from gstable_server.plumbing.db import Database
from gstable_server.sessions.operations import Desk
from gstable_server.web.base import Pages
from gstable_server.web.dashboard.approvals import Approvals
from gstable_server.web.dashboard.audit import AuditLog
from gstable_server.web.dashboard.branding import UPLOAD_BYTES_MAX, BrandingPage
from gstable_server.web.dashboard.business import Business
from gstable_server.web.dashboard.catalog_places import catalog_places
from gstable_server.web.dashboard.doors import SETUP, Doors
from gstable_server.web.dashboard.events import Events
from gstable_server.web.dashboard.guard import (
    CODE,
    HOME,
    LOGIN,
    NO_CHAINS,
    PAYOUT_DELAY,
    PLAIN,
    TYPED,
    Guard,
    Handler,
    SignIn,
    VisitHandler,
)
from gstable_server.web.dashboard.health import HealthPage
from gstable_server.web.dashboard.holds import Holds
from gstable_server.web.dashboard.joining import JOIN, Joining
from gstable_server.web.dashboard.live import LivePages
from gstable_server.web.dashboard.openid import OPENID, OtherServer
from gstable_server.web.dashboard.ownership import Ownership
from gstable_server.web.dashboard.passkeys import PASSKEY, Passkeys
from gstable_server.web.dashboard.reads_places import reads_places
from gstable_server.web.dashboard.refunds import Sessions
from gstable_server.web.dashboard.second_doors import FORGOTTEN, RESET, SecondDoors
from gstable_server.web.dashboard.security import Security
from gstable_server.web.dashboard.settings import Accounts, Keys
from gstable_server.web.dashboard.team import Team
from gstable_server.web.dashboard.unmatched import Unmatched
from gstable_server.web.dashboard.webhooks import Webhooks
from gstable_server.web.news import MerchantNews

IN_MODE = f"{HOME}/{{mode}}"
LOGOUT = f"{HOME}/logout"
UNAUDITED = {
    LOGOUT: "it ends what its own entry says was opened",
    "/security/switch": "it shows another of one's teams, and changes nothing in either",
    "/security/factor/begin": "nothing counts before the first code was typed",
    "/security/passkeys/begin": "it only asks the browser",
    "/links/preview": "it only shows",
    "/links/more": "it only shows a line more of the form",
    "/links/{link_id}/more": "it only shows a line more of the form",
    "/sessions/new/more": "it only shows a line more of the form",
    "/accounts/{account_id}/proof/begin": "it only asks the wallet",
}
"""Forms that change nothing that anybody could be asked about later, and why; all others write one
entry each, or fail (``guard.audited``)."""


@dataclass(frozen=True, slots=True)
class Place:
    """One method of one address. ``action`` is what a member's role must permit, None for what
    people do before they have signed in."""

    method: str
    path: str
    action: Action | None
    handler: Handler


def routes(
    db: Database,
    desk: Desk,
    pages: Pages,
    *,
    sends_mail: bool = False,
    payout_delay: timedelta = PAYOUT_DELAY,
    news: MerchantNews | None = None,
    sign_in: SignIn = PLAIN,
    chains: Mapping[str, Rpc] = NO_CHAINS,
) -> list[BaseRoute]:
    """What answers below ``/dashboard``."""
    guard = Guard(
        db,
        desk,
        pages,
        sends_mail=sends_mail,
        payout_delay=payout_delay,
        news=news,
        sign_in=sign_in,
        chains=chains,
    )

    async def missing(_request: Request) -> Response:
        return guard.missing()

    return [
        *(Route(one.path, one.handler, methods=[one.method]) for one in places(guard)),
        Route(f"{HOME}/{{rest:path}}", missing, methods=["GET", "POST"]),
    ]


def places(guard: Guard) -> list[Place]:
    """Everything that can be asked of the dashboard, with what a role must permit for it."""

    def look(path: str, action: Action, handler: VisitHandler) -> Place:
        return Place("GET", IN_MODE + path, action, guard.look(action, handler))

    def act(path: str, action: Action, handler: VisitHandler) -> Place:
        is_audited = path not in UNAUDITED
        acted = guard.act(action, handler, is_audited=is_audited)
        return Place("POST", IN_MODE + path, action, acted)

    def upload(path: str, action: Action, handler: VisitHandler, bytes_max: int) -> Place:
        return Place("POST", IN_MODE + path, action, guard.upload(action, handler, bytes_max))

    return [
        *_doors(guard),
        *catalog_places(guard, look, act, upload),
        *reads_places(guard, look, act),
        *_money(guard, look, act),
        *_settings(guard, look, act),
        *_webhooks(guard, look, act),
        *_operating(guard, look, act),
        *_people(guard, look, act),
    ]


def _doors(guard: Guard) -> list[Place]:
    doors, second, joining = Doors(guard), SecondDoors(guard), Joining(guard)
    passkeys, other = Passkeys(guard), OtherServer(guard)

    def door(method: str, path: str, handler: Handler) -> Place:
        return Place(method, path, None, guard.door(handler))

    log_out = guard.act(Action.SELF, doors.logout, is_audited=LOGOUT not in UNAUDITED)
    return [
        door("GET", HOME, doors.home),
        door("GET", f"{HOME}/", doors.home),
        door("GET", SETUP, doors.setup),
        door("POST", SETUP, doors.register),
        door("GET", LOGIN, doors.login_page),
        door("POST", LOGIN, doors.login),
        door("GET", CODE, second.code_page),
        door("POST", CODE, second.type_code),
        door("POST", f"{CODE}/passkey", second.show_passkey),
        door("GET", PASSKEY, passkeys.sign_in_page),
        door("POST", PASSKEY, passkeys.sign_in),
        door("GET", OPENID, other.go),
        door("GET", f"{OPENID}/return", other.come_back),
        door("GET", FORGOTTEN, second.forgotten_page),
        door("POST", FORGOTTEN, second.ask),
        door("GET", f"{RESET}/{{token}}", second.reset_page),
        door("POST", f"{RESET}/{{token}}", second.reset),
        door("GET", f"{JOIN}/{{token}}", joining.show),
        door("POST", f"{JOIN}/{{token}}", joining.join),
        Place("GET", IN_MODE + TYPED, Action.SELF, guard.look(Action.SELF, doors.typed)),
        Place("POST", LOGOUT, Action.SELF, log_out),
    ]


Row = Callable[[str, Action, VisitHandler], Place]


def _money(guard: Guard, look: Row, act: Row) -> list[Place]:
    sessions, unmatched = Sessions(guard), Unmatched(guard)
    holds, approvals = Holds(guard, sessions), Approvals(guard)
    return [
        look("/live", Action.SESSIONS_READ, LivePages(guard).stream),
        look("/sessions/{session_id}", Action.SESSIONS_READ, sessions.show),
        act("/sessions/{session_id}/refunds", Action.REFUNDS_PREPARE, sessions.prepare_refund),
        act("/sessions/{session_id}/capture", Action.HOLDS_DECIDE, holds.capture),
        act("/sessions/{session_id}/void", Action.HOLDS_DECIDE, holds.void),
        look("/refunds/{refund_id}", Action.SESSIONS_READ, sessions.refund),
        look("/refunds/{refund_id}/status", Action.SESSIONS_READ, sessions.refund_status),
        act("/refunds/{refund_id}/approve", Action.REFUNDS_APPROVE, approvals.approve),
        act("/refunds/{refund_id}/cancel", Action.REFUNDS_CANCEL, sessions.cancel_refund),
        look("/unusual", Action.UNMATCHED_READ, unmatched.list),
        look("/unusual/{inflow_id}", Action.UNMATCHED_READ, unmatched.show),
        look("/unusual/{inflow_id}/{act}", Action.UNMATCHED_DECIDE, unmatched.confirm),
        act("/unusual/{inflow_id}/{act}", Action.UNMATCHED_DECIDE, unmatched.act),
    ]


def _settings(guard: Guard, look: Row, act: Row) -> list[Place]:
    accounts, keys, branding = Accounts(guard), Keys(guard), BrandingPage(guard)
    ownership = Ownership(guard)
    limits = Approvals(guard)
    save = guard.upload(Action.BRANDING_CHANGE, branding.save, UPLOAD_BYTES_MAX)
    return [
        look("/accounts", Action.ACCOUNTS_READ, accounts.list),
        act("/accounts", Action.ACCOUNTS_CHANGE, accounts.create),
        act("/payouts/{change_id}/cancel", Action.PAYOUTS_CANCEL, accounts.cancel_change),
        look("/limits", Action.LIMITS_READ, limits.show),
        act("/limits", Action.LIMITS_CHANGE, limits.change),
        act("/limits/{limit_change_id}/approve", Action.LIMITS_CHANGE, limits.approve_change),
        act("/limits/{limit_change_id}/cancel", Action.LIMITS_CANCEL, limits.cancel_change),
        look("/accounts/{account_id}", Action.ACCOUNTS_READ, accounts.detail),
        act("/accounts/{account_id}", Action.ACCOUNTS_CHANGE, accounts.rename),
        act("/accounts/{account_id}/restore", Action.ACCOUNTS_CHANGE, accounts.restore),
        look("/accounts/{account_id}/proof", Action.ACCOUNTS_CHANGE, ownership.choose),
        act("/accounts/{account_id}/proof/begin", Action.ACCOUNTS_CHANGE, ownership.begin),
        act("/accounts/{account_id}/proof", Action.ACCOUNTS_CHANGE, ownership.answer),
        look("/accounts/{account_id}/remove", Action.ACCOUNTS_CHANGE, accounts.confirm_removal),
        act("/accounts/{account_id}/remove", Action.ACCOUNTS_CHANGE, accounts.remove),
        look("/branding", Action.BRANDING_READ, branding.show),
        look("/keys", Action.KEYS_READ, keys.list),
        act("/keys", Action.KEYS_CHANGE, keys.create),
        look("/keys/{key_id}/revoke", Action.KEYS_CHANGE, keys.confirm_revocation),
        act("/keys/{key_id}/revoke", Action.KEYS_CHANGE, keys.revoke),
        Place("POST", f"{IN_MODE}/branding", Action.BRANDING_CHANGE, save),
    ]


def _webhooks(guard: Guard, look: Row, act: Row) -> list[Place]:
    webhooks, events = Webhooks(guard), Events(guard)
    one = "/webhooks/{webhook_id}"
    return [
        look("/webhooks", Action.WEBHOOKS_READ, webhooks.list),
        act("/webhooks", Action.WEBHOOKS_CHANGE, webhooks.create),
        look("/webhooks/new", Action.WEBHOOKS_CHANGE, webhooks.new),
        look(one, Action.WEBHOOKS_READ, webhooks.show),
        act(one, Action.WEBHOOKS_CHANGE, webhooks.save),
        look(f"{one}/edit", Action.WEBHOOKS_CHANGE, webhooks.edit),
        act(f"{one}/enable", Action.WEBHOOKS_CHANGE, webhooks.enable),
        act(f"{one}/disable", Action.WEBHOOKS_CHANGE, webhooks.disable),
        act(f"{one}/test", Action.WEBHOOKS_SEND, webhooks.test),
        act(f"{one}/redeliver", Action.WEBHOOKS_SEND, webhooks.redeliver_range),
        act(f"{one}/reveal", Action.WEBHOOKS_SECRET, webhooks.reveal),
        look(f"{one}/rotate", Action.WEBHOOKS_SECRET, webhooks.confirm_rotation),
        act(f"{one}/rotate", Action.WEBHOOKS_SECRET, webhooks.rotate),
        look(f"{one}/remove", Action.WEBHOOKS_SECRET, webhooks.confirm_removal),
        act(f"{one}/remove", Action.WEBHOOKS_SECRET, webhooks.remove),
        look("/events", Action.WEBHOOKS_READ, events.list),
        look("/events/{event_id}", Action.WEBHOOKS_READ, events.show),
        act("/events/{event_id}/redeliver", Action.WEBHOOKS_SEND, events.redeliver),
    ]


def _operating(guard: Guard, look: Row, act: Row) -> list[Place]:
    business, health = Business(guard), HealthPage(guard)
    return [
        look("/health", Action.HEALTH_READ, health.show),
        look("/settings", Action.SETTINGS_READ, business.show),
        act("/settings", Action.SETTINGS_CHANGE, business.save),
        act("/settings/general", Action.SETTINGS_CHANGE, business.rename),
        act("/settings/letter", Action.SETTINGS_CHANGE, business.send_letter),
    ]


def _people(guard: Guard, look: Row, act: Row) -> list[Place]:
    team, security, log = Team(guard), Security(guard), AuditLog(guard)
    passkeys = Passkeys(guard)
    return [
        look("/team", Action.TEAM_READ, team.list),
        act("/team", Action.TEAM_CHANGE, team.invite),
        act("/team/invitations/{invitation_id}/withdraw", Action.TEAM_CHANGE, team.withdraw),
        act("/team/members/{member_id}", Action.TEAM_CHANGE, team.change_role),
        look("/team/members/{member_id}/remove", Action.TEAM_CHANGE, team.confirm_removal),
        act("/team/members/{member_id}/remove", Action.TEAM_CHANGE, team.remove),
        look("/audit", Action.AUDIT_READ, log.list),
        look("/security", Action.SELF, security.show),
        act("/security/logins", Action.SELF, security.end_others),
        act("/security/logins/{login_id}", Action.SELF, security.end),
        act("/security/password", Action.SELF, security.change_password),
        act("/security/factor/begin", Action.SELF_SECURE, security.begin_factor),
        look("/security/factor", Action.SELF_SECURE, security.show_factor),
        act("/security/factor", Action.SELF_SECURE, security.turn_factor_on),
        act("/security/factor/off", Action.SELF_SECURE, security.turn_factor_off),
        act("/security/passkeys/begin", Action.SELF_SECURE, passkeys.begin),
        look("/security/passkeys/new", Action.SELF_SECURE, passkeys.new),
        act("/security/passkeys", Action.SELF_SECURE, passkeys.add),
        act("/security/passkeys/{passkey_id}", Action.SELF_SECURE, passkeys.rename),
        act("/security/passkeys/{passkey_id}/remove", Action.SELF_SECURE, passkeys.remove),
        act("/security/leave", Action.SELF, security.leave),
        act("/security/switch", Action.SELF, security.switch),
        act("/security/businesses", Action.MERCHANTS_CREATE, security.create_merchant),
    ]
