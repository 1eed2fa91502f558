"""Merchants, receiving accounts, API keys, members of the dashboard (spec 2, 4 and 12)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.fields import storable
from gstable_server.kernel.ids import AccountId, ApiKeyId, MemberId, MerchantId, VersionId
from gstable_server.kernel.tenant import Access, Mode, Tenant

ACCOUNTS_MAX = 20
"""Receiving accounts of one merchant in one mode (spec 4)."""

KEY_RANDOM_LENGTH = 40
NAME_LENGTH_MAX = 100
EMAIL_LENGTH_MAX = 254
PASSWORD_LENGTHS = (12, 128)
LOGIN_LIFETIME = timedelta(hours=12)
LOGIN_IDLE = timedelta(hours=2)
FAILURES_REMEMBERED = timedelta(hours=1)
FAILURES_PER_EMAIL = 5
FAILURES_PER_ADDRESS = 20
BACK_OFF_SECONDS_MAX = 900

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")
_SECRET = re.compile(rf"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{{{KEY_RANDOM_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class Merchant:
    """A business that is paid through this platform."""

    merchant_id: MerchantId
    name: str


@dataclass(frozen=True, slots=True)
class ReceivingAccount:
    """A wallet of the merchant's own. ``version`` tells apart an address that was removed and
    added again (spec 4)."""

    account_id: AccountId
    tenant: Tenant
    name: str
    address: Address
    version: VersionId
    created_at: datetime
    updated_at: datetime
    removed_at: datetime | None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of an API key after it was shown once. ``hint`` is its prefix and last four
    characters."""

    key_id: ApiKeyId
    tenant: Tenant
    access: Access
    name: str
    hint: str
    created_at: datetime
    revoked_at: datetime | None


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


def key_prefix(mode: Mode, access: Access) -> str:
    """``sk_`` may do everything, ``rk_`` only read; the mode is said next (spec 2, Auth)."""
    return f"{'sk' if access is Access.WRITE else 'rk'}_{mode.value}_"


def key_hint(secret: str) -> str:
    """Enough of a key to recognise it, too little to use it."""
    return f"{secret[:8]}…{secret[-4:]}"


def is_key_form(secret: str) -> bool:
    """True for text that could be one of our keys."""
    return _SECRET.fullmatch(secret) is not None


def name_from_text(field: str, text: str) -> str:
    """A name of 1 to 100 characters without outer spaces. Raises ``Refused`` (400101)."""
    name = text.strip()
    if not 1 <= len(name) <= NAME_LENGTH_MAX:
        raise invalid_field(field, f"must have 1 to {NAME_LENGTH_MAX} characters")
    try:
        return storable(name)
    except ValueError as problem:
        raise invalid_field(field, str(problem)) from None


def email_from_text(text: str) -> str:
    """An e-mail address, lower case. Raises ``Refused`` (400101)."""
    email = text.strip().lower()
    if len(email) > EMAIL_LENGTH_MAX or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise invalid_field("email", "must be an e-mail address")
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
