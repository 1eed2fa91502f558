"""The pages of the console as its menu, its command palette and its shortcuts offer them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gstable_server.kernel.roles import Action
from gstable_server.web.dashboard.speech import N_, said


@dataclass(frozen=True, slots=True)
class Way:
    """A page of the menu. ``path`` is below the mode's pages, ``sign`` names its picture, and
    ``keys`` are typed one after the other to go there."""

    path: str
    title: str
    action: Action
    sign: str
    keys: str = ""
    in_dock: bool = False
    """Whether a phone shows it without opening the menu."""


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    ways: tuple[Way, ...]


MENU = (
    Group("", (Way("", N_("Overview"), Action.OVERVIEW_READ, "overview", "g o", True),)),
    Group(
        N_("Payments"),
        (
            Way("sessions", N_("Sessions"), Action.SESSIONS_READ, "session", "g s", True),
            Way("links", N_("Payment links"), Action.CATALOG_READ, "link", "g l", True),
            Way("refunds", N_("Refunds"), Action.SESSIONS_READ, "refund", "g f"),
            Way("unusual", N_("Unusual money"), Action.UNMATCHED_READ, "unusual", "g u"),
        ),
    ),
    Group(N_("Catalog"), (Way("products", N_("Products"), Action.CATALOG_READ, "product", "g p"),)),
    Group(
        N_("Developers"),
        (
            Way("keys", N_("API keys"), Action.KEYS_READ, "key", "g k"),
            Way("requests", N_("Requests"), Action.LOGS_READ, "log", "g r"),
            Way("webhooks", N_("Webhooks"), Action.WEBHOOKS_READ, "webhook", "g w"),
            Way("events", N_("Events"), Action.WEBHOOKS_READ, "event", "g e"),
        ),
    ),
    Group(
        N_("Money"),
        (
            Way("accounts", N_("Accounts"), Action.ACCOUNTS_READ, "account", "g a"),
            Way("exports", N_("Exports"), Action.EXPORTS_READ, "export", "g x"),
            Way("limits", N_("Limits"), Action.LIMITS_READ, "limit", "g m"),
        ),
    ),
    Group(
        N_("Business"),
        (
            Way("settings", N_("Settings"), Action.SETTINGS_READ, "settings", "g c"),
            Way("health", N_("Health"), Action.HEALTH_READ, "health", "g h"),
            Way("branding", N_("Branding"), Action.BRANDING_READ, "brand", "g b"),
            Way("team", N_("Team"), Action.TEAM_READ, "team", "g t"),
            Way("audit", N_("Audit log"), Action.AUDIT_READ, "audit", "g j"),
        ),
    ),
)
"""Everything there is to go to; who sees what follows from the roles."""


def menu_for(may: Callable[[str], bool]) -> tuple[Group, ...]:
    """The menu of somebody whose role permits what ``may`` says, in the reader's language."""
    shown = (
        Group(
            said(group.title),
            tuple(
                Way(one.path, said(one.title), one.action, one.sign, one.keys, one.in_dock)
                for one in group.ways
                if may(one.action)
            ),
        )
        for group in MENU
    )
    return tuple(group for group in shown if group.ways)
