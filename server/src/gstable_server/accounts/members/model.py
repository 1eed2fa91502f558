"""People who sign in to the dashboard, and the rules of signing in (spec 12)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.ids import MemberId, MerchantId

EMAIL_LENGTH_MAX = 254
PASSWORD_LENGTHS = (12, 128)
LOGIN_LIFETIME = timedelta(hours=12)
LOGIN_IDLE = timedelta(hours=2)
FAILURES_REMEMBERED = timedelta(hours=1)
FAILURES_PER_EMAIL = 5
FAILURES_PER_ADDRESS = 20
BACK_OFF_SECONDS_MAX = 900

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")


@dataclass(frozen=True, slots=True)
class Member:
    """A person who signs in to the dashboard."""

    member_id: MemberId
    merchant_id: MerchantId
    email: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Login:
    """A member who signed in. ``token`` is the cookie's value and is stored nowhere."""

    member: Member
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """A sign-in that failed. ``retry_after`` in seconds: 0 for wrong credentials, else how long
    to wait before trying again means anything."""

    retry_after: int


def email_from_text(text: str, field: str = "email") -> str:
    """An e-mail address, lower case. Raises ``Refused`` (400101) naming ``field``."""
    email = text.strip().lower()
    if len(email) > EMAIL_LENGTH_MAX or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise invalid_field(field, "must be an e-mail address")
    return email


def require_password(password: str) -> None:
    """Raise ``Refused`` (400101) unless the new password has 12 to 128 characters."""
    least, most = PASSWORD_LENGTHS
    if not least <= len(password) <= most:
        raise invalid_field("password", f"must have {least} to {most} characters")


def back_off(failures: int, allowed: int) -> timedelta:
    """How long after the last of ``failures`` the next try has to wait: doubling from 1 s once
    ``allowed`` were made, up to 15 minutes."""
    if failures < allowed:
        return timedelta(0)
    doublings = min(failures - allowed, 16)
    return timedelta(seconds=min(2**doublings, BACK_OFF_SECONDS_MAX))
