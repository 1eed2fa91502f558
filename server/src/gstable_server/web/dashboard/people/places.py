"""The addresses of signing in, of the team, and of one's own sign-in."""

from __future__ import annotations

from gstable_server.kernel.roles import Action
from gstable_server.web.dashboard.guard import CODE, HOME, LOGIN, TYPED
from gstable_server.web.dashboard.people.audit import AuditLog
from gstable_server.web.dashboard.people.doors import SETUP, Doors
from gstable_server.web.dashboard.people.joining import JOIN, Joining
from gstable_server.web.dashboard.people.openid import OPENID, OtherServer
from gstable_server.web.dashboard.people.passkeys import PASSKEY, Passkeys
from gstable_server.web.dashboard.people.second_doors import FORGOTTEN, RESET, SecondDoors
from gstable_server.web.dashboard.people.security import Security
from gstable_server.web.dashboard.people.team import Team
from gstable_server.web.dashboard.place import Place, Rows


def doors(rows: Rows) -> list[Place]:
    """What people do before they have signed in, and signing out."""
    doors, second, joining = Doors(rows.guard), SecondDoors(rows.guard), Joining(rows.guard)
    passkeys, other = Passkeys(rows.guard), OtherServer(rows.guard)
    return [
        rows.door("GET", HOME, doors.home),
        rows.door("GET", f"{HOME}/", doors.home),
        rows.door("GET", SETUP, doors.setup),
        rows.door("POST", SETUP, doors.register),
        rows.door("GET", LOGIN, doors.login_page),
        rows.door("POST", LOGIN, doors.login),
        rows.door("GET", CODE, second.code_page),
        rows.door("POST", CODE, second.type_code),
        rows.door("POST", f"{CODE}/passkey", second.show_passkey),
        rows.door("GET", PASSKEY, passkeys.sign_in_page),
        rows.door("POST", PASSKEY, passkeys.sign_in),
        rows.door("GET", OPENID, other.go),
        rows.door("GET", f"{OPENID}/return", other.come_back),
        rows.door("GET", FORGOTTEN, second.forgotten_page),
        rows.door("POST", FORGOTTEN, second.ask),
        rows.door("GET", f"{RESET}/{{token}}", second.reset_page),
        rows.door("POST", f"{RESET}/{{token}}", second.reset),
        rows.door("GET", f"{JOIN}/{{token}}", joining.show),
        rows.door("POST", f"{JOIN}/{{token}}", joining.join),
        rows.look(TYPED, Action.SELF, doors.typed),
        rows.log_out(doors.logout),
    ]


def people(rows: Rows) -> list[Place]:
    """The team, the audit log, and what protects one's own sign-in."""
    team, security, log = Team(rows.guard), Security(rows.guard), AuditLog(rows.guard)
    passkeys = Passkeys(rows.guard)
    return [
        rows.look("/team", Action.TEAM_READ, team.list),
        rows.act("/team", Action.TEAM_CHANGE, team.invite),
        rows.act("/team/invitations/{invitation_id}/withdraw", Action.TEAM_CHANGE, team.withdraw),
        rows.act("/team/members/{member_id}", Action.TEAM_CHANGE, team.change_role),
        rows.look("/team/members/{member_id}/remove", Action.TEAM_CHANGE, team.confirm_removal),
        rows.act("/team/members/{member_id}/remove", Action.TEAM_CHANGE, team.remove),
        rows.look("/audit", Action.AUDIT_READ, log.list),
        rows.look("/security", Action.SELF, security.show),
        rows.act("/security/logins", Action.SELF, security.end_others),
        rows.act("/security/logins/{login_id}", Action.SELF, security.end),
        rows.act("/security/password", Action.SELF, security.change_password),
        rows.act("/security/factor/begin", Action.SELF_SECURE, security.begin_factor),
        rows.look("/security/factor", Action.SELF_SECURE, security.show_factor),
        rows.act("/security/factor", Action.SELF_SECURE, security.turn_factor_on),
        rows.act("/security/factor/off", Action.SELF_SECURE, security.turn_factor_off),
        rows.act("/security/passkeys/begin", Action.SELF_SECURE, passkeys.begin),
        rows.look("/security/passkeys/new", Action.SELF_SECURE, passkeys.new),
        rows.act("/security/passkeys", Action.SELF_SECURE, passkeys.add),
        rows.act("/security/passkeys/{passkey_id}", Action.SELF_SECURE, passkeys.rename),
        rows.act("/security/passkeys/{passkey_id}/remove", Action.SELF_SECURE, passkeys.remove),
        rows.act("/security/leave", Action.SELF, security.leave),
        rows.act("/security/switch", Action.SELF, security.switch),
        rows.act("/security/businesses", Action.MERCHANTS_CREATE, security.create_merchant),
    ]
