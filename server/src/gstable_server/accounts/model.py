"""Merchants, their receiving accounts and their API keys (spec 2 and 4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.fields import storable
from gstable_server.kernel.ids import AccountId, ApiKeyId, MerchantId, VersionId
from gstable_server.kernel.scopes import Network
from gstable_server.kernel.tenant import Access, Mode, Tenant

ACCOUNTS_MAX = 20
"""Receiving accounts of one merchant in one mode (spec 4)."""

ARCHIVED_SHOWN = 20
KEY_RANDOM_LENGTH = 40
NAME_LENGTH_MAX = 100

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
    accepted_networks: frozenset[str] | None = None
    """Where its merchant lets payers pay, None for everywhere; known of one that was asked for by
    its id, to open a session with."""


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What a key is limited to beside its access: scopes, None for all; the time when it ends,
    None for never; the networks that it may be used from, none for any."""

    scopes: frozenset[str] | None = None
    expires_at: datetime | None = None
    addresses: tuple[Network, ...] = ()


UNLIMITED = KeyLimits()


@dataclass(frozen=True, slots=True)
class KeyUse:
    """The last use of a key that is known of, and the client address."""

    used_at: datetime
    address: str


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
    limits: KeyLimits


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
