"""Where a request comes from: the connection's other end, or what proxies of ours say of it.

Limits, address lists of keys, logins and logs all go by what stands here, and nothing else reads
``X-Forwarded-For``: whoever could write it could choose the address that is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

from gstable_server.plumbing.config import Settings, SettingsInvalid

FORWARDED_FOR = b"x-forwarded-for"
_Address = IPv4Address | IPv6Address
_MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 as sockets of both families show it (RFC 4291, 2.5.5.2)."""


def client_address(scope: Mapping[str, Any]) -> str:
    """The client's address of an ASGI scope, or of a request made of it; "" if it has none."""
    client = scope.get("client")
    return str(client[0]) if client else ""


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The machines whose word is believed about whom they pass on."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def from_text(cls, text: str) -> TrustedProxies:
        """Addresses and networks (CIDR), parted by commas or white space. Raises
        ``ValueError``."""
        try:
            found = tuple(ip_network(word) for word in text.replace(",", " ").split())
        except ValueError:
            raise ValueError("must be IP addresses or networks like 10.0.0.0/8") from None
        if any(network.version == 6 and network.subnet_of(_MAPPED) for network in found):
            raise ValueError("must name IPv4 addresses as such, not as ::ffff:10.0.0.1")
        if any(network.prefixlen == 0 for network in found):
            raise ValueError("must not name everybody: anybody could choose an address then")
        return cls(found)

    def client_of(self, peer: str, forwarded: Iterable[bytes]) -> str:
        """Who asks through the connection of ``peer``: the last address of the headers
        ``forwarded`` that is no proxy of ours. ``peer`` if that is none, or if what its
        proxies wrote cannot be read.

        Each proxy adds at the end whom it heard from, so what stands before the first strange
        address, seen from the end, was written by strangers and is not looked at.
        """
        if not self._has(_address_of(peer)):
            return peer
        found: _Address | None = None
        for word in reversed(b",".join(forwarded).split(b",")):
            found = _hop(word)
            if not self._has(found):
                break
        return peer if found is None else str(found)

    def _has(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self.networks)


NO_PROXIES = TrustedProxies()
"""Where clients connect to this server themselves."""


def _hop(word: bytes) -> _Address | None:
    """One address of the header, which some proxies write with its port; None for anything
    else."""
    text = word.strip().decode("latin-1")
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        is_whole = bool(bracket) and (not port or (port[0] == ":" and port[1:].isdecimal()))
    else:
        host, colon, port = text.partition(":")
        # With more than one colon it is an IPv6 address, which has no port without brackets.
        is_ported = bool(colon) and ":" not in port
        is_whole = not is_ported or port.isdecimal()
        text = host if is_ported else text
    # What a zone (RFC 4007) means is known to the machine that wrote it alone.
    return _address_of(text) if is_whole and "%" not in text else None


def _address_of(text: str) -> _Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    # Of both forms of an IPv4 address the settings name one.
    return getattr(found, "ipv4_mapped", None) or found


def proxies_of(settings: Settings) -> TrustedProxies:
    """The proxies that the settings name. Raises ``SettingsInvalid``."""
    try:
        return TrustedProxies.from_text(settings.trusted_proxies or "")
    except ValueError as problem:
        raise SettingsInvalid(f"GSTABLE_TRUSTED_PROXIES: {problem}") from None
