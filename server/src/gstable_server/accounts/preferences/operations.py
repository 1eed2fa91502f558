"""What can be done with a merchant's preferences: changed in the console, read by sessions."""

from __future__ import annotations

from collections.abc import Collection

from gstable_server.accounts.preferences import store
from gstable_server.accounts.preferences.model import (
    LATE_SECONDS_MAX,
    SHORT_MAX,
    Preferences,
)
from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Tx


async def preferences(tx: Tx, tenant: Tenant) -> Preferences:
    """What the merchant decided for that mode; the defaults until then."""
    return await store.find(tx, tenant) or Preferences()


async def lock(tx: Tx, tenant: Tenant) -> Preferences:
    """The same, which nobody else changes until the transaction ends."""
    await store.lock(tx, tenant)
    return await preferences(tx, tenant)


async def save(tx: Tx, tenant: Tenant, wanted: Preferences) -> Preferences:
    """Decide anew. Sessions that are open keep the networks that they began with; money is judged
    by what is decided when it is final. Raises ``Refused`` (400101) naming the field."""
    policies = wanted.policies
    if not 0 <= policies.late_seconds <= LATE_SECONDS_MAX:
        raise invalid_field("late", "must be between 0 and 7 days")
    if not 0 <= policies.short <= SHORT_MAX:
        raise invalid_field("short", "must be between 0 and 100 USD")
    if wanted.networks is not None and not wanted.networks:
        raise invalid_field("networks", "must have at least one")
    await store.save(tx, tenant, wanted)
    return wanted


async def without_receipts(tx: Tx, tenants: Collection[Tenant]) -> frozenset[Tenant]:
    """Which of these want no receipts to be sent."""
    return await store.without_receipts(tx, tenants)
