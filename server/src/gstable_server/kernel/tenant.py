"""Whose object it is: a merchant, and the mode (live or test) that keeps the two worlds apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from gstable_server.kernel.ids import ApiKeyId, MerchantId


class Mode(StrEnum):
    """Test keys see only test networks and test objects, live keys only live ones (spec 15)."""

    LIVE = "live"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Tenant:
    """The owner of an object; every query of a merchant's data names both halves."""

    merchant_id: MerchantId
    mode: Mode


class Access(StrEnum):
    """What a route needs of a key, and what a key may do: a restricted key only reads."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling the merchant API, as its API key says. Without ``scopes`` the key may do all
    that ``access`` says, without ``addresses`` (CIDR) from anywhere."""

    tenant: Tenant
    key_id: ApiKeyId
    access: Access
    scopes: frozenset[str] | None = None
    addresses: tuple[IPv4Network | IPv6Network, ...] = ()
