"""What an API key may be limited to: kinds of objects, reading or writing, client addresses."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from gstable_server.kernel.tenant import Access

RESOURCES = ("product", "account", "link", "session", "refund", "webhook", "event", "log")
"""The kinds of objects that scopes name, as ``<resource>:read`` or ``<resource>:write``."""
ADDRESSES_MAX = 20

Network = IPv4Network | IPv6Network


def resource_of(path: str) -> str:
    """Which kind of object a route of the merchant API is about, by its path; what is none of
    ``RESOURCES`` no limited key may ask for."""
    words = [word for word in path.split("/") if word]
    for inner in ("refund", "link"):
        if inner in words[:2]:
            return inner
    return words[1] if words[0] == "test" else words[0]


def is_scope(text: str) -> bool:
    """Whether a key may be limited to that."""
    resource, _, access = text.partition(":")
    return resource in RESOURCES and access in set(Access)


def permits(scopes: frozenset[str], resource: str, access: Access) -> bool:
    """Whether ``scopes`` let a key do that; who may write may read."""
    wanted = {Access.WRITE} if access is Access.WRITE else {Access.READ, Access.WRITE}
    return any(f"{resource}:{one}" in scopes for one in wanted)


def networks_from_text(text: str) -> tuple[Network, ...]:
    """Addresses and networks (CIDR), parted by white space. Raises ``ValueError``."""
    words = text.split()
    if len(words) > ADDRESSES_MAX:
        raise ValueError(f"must be at most {ADDRESSES_MAX}")
    try:
        return tuple(dict.fromkeys(ip_network(word) for word in words))
    except ValueError:
        raise ValueError("must be IP addresses or networks like 203.0.113.0/24") from None


def comes_from(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether a client address is in one of ``networks``; any is where there are none."""
    if not networks:
        return True
    try:
        found = ip_address(address)
    except ValueError:
        return False
    # IPv4 as sockets of both families show it (RFC 4291, 2.5.5.2).
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in networks)
