"""What the pages of people show of a member, a browser and an act; no input, output or clock."""

from __future__ import annotations

from dataclasses import dataclass

from gstable_server.accounts.members.model import Passkey
from gstable_server.web.dashboard.speech import moment


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member on the team's page. ``can_change`` if the reader may change or remove them."""

    member_id: str
    email: str
    role: str
    joined_at: str
    is_self: bool
    can_change: bool


@dataclass(frozen=True, slots=True)
class BrowserRow:
    """A browser in which the reader is signed in."""

    login_id: str
    browser: str
    address: str
    opened_at: str
    seen_at: str
    is_this: bool


@dataclass(frozen=True, slots=True)
class PasskeyRow:
    """A passkey of the reader's."""

    passkey_id: str
    name: str
    added_at: str
    used_at: str


def passkey_row(one: Passkey) -> PasskeyRow:
    return PasskeyRow(
        passkey_id=one.passkey_id,
        name=one.name,
        added_at=moment(one.created_at),
        used_at=moment(one.last_used_at) if one.last_used_at else "",
    )


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry of the audit log; ``changes`` are (name, before, after)."""

    number: int
    what: str
    about: str
    changes: tuple[tuple[str, str, str], ...]
    email: str
    address: str
    mode: str
    at: str
