"""People who sign in to the dashboard, and the rules of signing in (spec 12)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gstable_server.accounts.audit.model import Actor
from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.ids import InvitationId, LoginId, MemberId, MerchantId, PasskeyId
from gstable_server.kernel.roles import Role

PASSWORD_LENGTHS = (12, 128)
LOGIN_LIFETIME = timedelta(hours=12)
LOGIN_IDLE = timedelta(hours=2)
VISIT_NOTED = timedelta(minutes=1)
"""How exactly the last visit of a login is known."""
FAILURES_REMEMBERED = timedelta(hours=1)
FAILURES_PER_EMAIL = 5
FAILURES_PER_ADDRESS = 20
BACK_OFF_SECONDS_MAX = 900
CONFIRMED_FOR = timedelta(minutes=15)
"""How long after typing the password a member may do what a stolen login must not."""
CODE_AWAITED = timedelta(minutes=10)
"""How long after the password the code may be typed."""
INVITED_FOR = timedelta(days=7)
INVITATIONS_MAX = 50
"""Open invitations of one merchant."""
BROWSER_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Member:
    """A person in the team of one merchant; the same person may be in several."""

    member_id: MemberId
    merchant_id: MerchantId
    email: str
    role: Role
    joined_at: datetime
    language: str = ""
    """The one that they chose in the console, as a tag of BCP 47; "" for none yet."""


@dataclass(frozen=True, slots=True)
class By:
    """A member who acts, and the client address that they act from."""

    member: Member
    address: str

    @property
    def actor(self) -> Actor:
        """How the audit log names them."""
        one = self.member
        return Actor(one.merchant_id, one.member_id, one.email, self.address)


@dataclass(frozen=True, slots=True)
class Browser:
    """Where somebody signs in from: the client address, and what the browser says it is."""

    address: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class LoginRow:
    """One browser in which a member is signed in."""

    login_id: LoginId
    address: str
    browser: str
    created_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Presence:
    """Whose browser it is. ``confirmed_at`` is when the password was last typed in it."""

    member: Member
    login_id: LoginId
    confirmed_at: datetime

    def is_fresh(self, now: datetime) -> bool:
        """Whether the password was typed lately enough for what a thief must not do."""
        return now - self.confirmed_at < CONFIRMED_FOR


@dataclass(frozen=True, slots=True)
class Invitation:
    """A way into a team for one e-mail address, by a link that works once."""

    invitation_id: InvitationId
    merchant_id: MerchantId
    email: str
    role: Role
    invited_by: MemberId
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Login:
    """A member who signed in. ``token`` is the cookie's value and is stored nowhere. It opens
    nothing while ``awaits_code``: the code of the second factor is still to be typed."""

    member: Member
    token: str
    expires_at: datetime
    awaits_code: bool = False


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """A sign-in that failed. ``retry_after`` in seconds: 0 for wrong credentials, else how long
    to wait before trying again means anything. ``is_key_lost``: this server cannot check codes of
    apps, because it lacks the key that their secrets are sealed with."""

    retry_after: int
    is_key_lost: bool = False


@dataclass(frozen=True, slots=True)
class Passkey:
    """A key in a device of a person's own. ``public_key`` is COSE, ``sign_count`` how often the
    device says that it was used, 0 where it does not count."""

    passkey_id: PasskeyId
    member_id: MemberId
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]
    name: str
    created_at: datetime
    last_used_at: datetime | None = None


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
