"""Who may do what in the console: one table of roles and actions, everything else is denied.

An action is named by every page, form and act of the console, and by its line in the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What a member is in one merchant's team."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    FINANCE = "finance"
    SUPPORT = "support"
    VIEWER = "viewer"


class Action(StrEnum):
    """What can be done in the console, as ``<on what>.<what>``."""

    OVERVIEW_READ = "overview.read"
    SESSIONS_READ = "sessions.read"
    EXPORTS_READ = "exports.read"
    LOGS_READ = "logs.read"
    HOLDS_DECIDE = "holds.decide"
    REFUNDS_PREPARE = "refunds.prepare"
    REFUNDS_APPROVE = "refunds.approve"
    REFUNDS_CANCEL = "refunds.cancel"
    LIMITS_READ = "limits.read"
    LIMITS_CHANGE = "limits.change"
    LIMITS_CANCEL = "limits.cancel"
    UNMATCHED_READ = "unmatched.read"
    UNMATCHED_DECIDE = "unmatched.decide"
    CATALOG_READ = "catalog.read"
    CATALOG_CHANGE = "catalog.change"
    SESSIONS_CREATE = "sessions.create"
    SESSIONS_CANCEL = "sessions.cancel"
    ACCOUNTS_READ = "accounts.read"
    ACCOUNTS_CHANGE = "accounts.change"
    PAYOUTS_CANCEL = "payouts.cancel"
    BRANDING_READ = "branding.read"
    BRANDING_CHANGE = "branding.change"
    KEYS_READ = "keys.read"
    KEYS_CHANGE = "keys.change"
    WEBHOOKS_READ = "webhooks.read"
    WEBHOOKS_CHANGE = "webhooks.change"
    WEBHOOKS_SEND = "webhooks.send"
    """Events that were or are told, once more or as a test."""
    WEBHOOKS_SECRET = "webhooks.secret"  # noqa: S105
    """A signing key seen or replaced, or an endpoint removed for ever."""
    SETTINGS_READ = "settings.read"
    SETTINGS_CHANGE = "settings.change"
    HEALTH_READ = "health.read"
    """How the installation is doing, which belongs to no merchant."""
    TEAM_READ = "team.read"
    TEAM_CHANGE = "team.change"
    AUDIT_READ = "audit.read"
    MERCHANTS_CREATE = "merchants.create"
    SELF = "self"
    """One's own logins and memberships, which nobody else can touch."""
    SELF_SECURE = "self.secure"
    """What protects one's own sign-in: the password and the second factor."""


_EVERYBODY = frozenset(Role)
_LEADERS = frozenset({Role.OWNER, Role.ADMIN})
_MONEY = _LEADERS | {Role.FINANCE}
_TECHNICAL = _LEADERS | {Role.DEVELOPER}

PERMITTED: Mapping[Action, frozenset[Role]] = {
    Action.OVERVIEW_READ: _EVERYBODY,
    Action.SESSIONS_READ: _EVERYBODY,
    Action.EXPORTS_READ: _MONEY,
    Action.LOGS_READ: _TECHNICAL,
    Action.HOLDS_DECIDE: _MONEY,
    Action.REFUNDS_PREPARE: _MONEY,
    Action.REFUNDS_APPROVE: _MONEY,
    Action.REFUNDS_CANCEL: _MONEY,
    Action.LIMITS_READ: _MONEY,
    Action.LIMITS_CHANGE: _LEADERS,
    Action.LIMITS_CANCEL: _MONEY,
    Action.UNMATCHED_READ: _MONEY | {Role.SUPPORT},
    Action.UNMATCHED_DECIDE: _MONEY,
    Action.CATALOG_READ: _EVERYBODY,
    Action.CATALOG_CHANGE: _TECHNICAL,
    Action.SESSIONS_CREATE: _MONEY | {Role.DEVELOPER},
    Action.SESSIONS_CANCEL: _MONEY | {Role.DEVELOPER},
    Action.ACCOUNTS_READ: _MONEY | {Role.DEVELOPER},
    Action.ACCOUNTS_CHANGE: _LEADERS,
    Action.PAYOUTS_CANCEL: _MONEY | {Role.DEVELOPER},
    Action.BRANDING_READ: _EVERYBODY,
    Action.BRANDING_CHANGE: _LEADERS,
    Action.KEYS_READ: _TECHNICAL,
    Action.KEYS_CHANGE: _TECHNICAL,
    Action.WEBHOOKS_READ: _TECHNICAL,
    Action.WEBHOOKS_CHANGE: _TECHNICAL,
    Action.WEBHOOKS_SEND: _TECHNICAL,
    Action.WEBHOOKS_SECRET: _TECHNICAL,
    Action.SETTINGS_READ: _EVERYBODY,
    Action.SETTINGS_CHANGE: _LEADERS,
    Action.HEALTH_READ: _TECHNICAL | {Role.FINANCE},
    Action.TEAM_READ: _EVERYBODY,
    Action.TEAM_CHANGE: _LEADERS,
    Action.AUDIT_READ: _LEADERS,
    Action.MERCHANTS_CREATE: frozenset({Role.OWNER}),
    Action.SELF: _EVERYBODY,
    Action.SELF_SECURE: _EVERYBODY,
}

FRESH = frozenset(
    {
        Action.ACCOUNTS_CHANGE,
        Action.KEYS_CHANGE,
        Action.LIMITS_CHANGE,
        Action.REFUNDS_APPROVE,
        Action.SELF_SECURE,
        Action.SETTINGS_CHANGE,
        Action.TEAM_CHANGE,
        Action.WEBHOOKS_CHANGE,
        Action.WEBHOOKS_SECRET,
    }
)
"""Acts that a stolen login must not do: they ask for the password again after some minutes. Who
changes where events go reads what payers leave, and makes a shop believe what did not happen."""

ROLE_WORDS: Mapping[Role, str] = {
    Role.OWNER: "Everything, also owners and further businesses",
    Role.ADMIN: "Everything but owners and further businesses",
    Role.DEVELOPER: "API keys, webhooks, logs, products and links; moves no money",
    Role.FINANCE: "Refunds, captures, unusual money, exports and bills by hand",
    Role.SUPPORT: "Sees payments and unusual money, changes nothing",
    Role.VIEWER: "Sees payments, changes nothing",
}


def may(role: Role, action: Action) -> bool:
    """Whether the table has it; what the table does not name nobody may do."""
    return role in PERMITTED.get(action, frozenset())


def may_assign(actor: Role, *roles: Role) -> bool:
    """Whether ``actor`` may make somebody of the first of ``roles`` one of the others, or invite
    or remove one: owners are made and unmade by owners only."""
    return may(actor, Action.TEAM_CHANGE) and (actor is Role.OWNER or Role.OWNER not in roles)
