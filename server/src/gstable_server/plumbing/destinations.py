"""Which URLs and addresses our server may call on behalf of a merchant.

Merchants hand us addresses (webhooks, pictures); without a guard they could make this server talk
to its own network. Registration asks ``destination_problem``; every connection asks
``address_problem`` again for the address it is about to use, so a name that resolves inward later
gains nothing.

Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and updates), RFC 6052
(NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from gstable_server.kernel.urls import is_loopback, url_problem

PORTS = frozenset({443, 8443})
"""Where https services live; anything else is somebody's mail, cache or database."""

# Written out instead of `is_global`, whose answer differs between versions of Python.
_REFUSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_UNICAST_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments; Teredo and ORCHID among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


def address_problem(address: str, *, allow_loopback: bool = False) -> str | None:
    """Why no connection may go to the literal ``address``; None for a public one.

    IPv6 forms that carry an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo) are refused
    as they are: no public service needs to be named so.
    """
    ip = ip_address(address.partition("%")[0])
    if allow_loopback and ip.is_loopback:
        return None
    if _is_public(ip):
        return None
    return f"{ip} is not a public address"


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _REFUSED_V4)
    return ip in _UNICAST_V6 and not any(ip in network for network in _REFUSED_V6)


def destination_problem(url: str, *, allow_loopback: bool = False) -> str | None:
    """Why ``url`` may not be called, as far as its text says; None if it may.

    https on the ports 443 and 8443 only, no user info, no fragment, a full host name or a public
    address. With ``allow_loopback`` also http(s) to this machine on any port (local development).
    """
    problem = url_problem(url)
    if problem:
        return problem
    parts = urlsplit(url)
    if "#" in url:
        return "must not have a fragment"
    if allow_loopback and is_loopback(url):
        return None
    if parts.scheme != "https":
        return "must start with https://"
    if (parts.port or 443) not in PORTS:
        return "must use port 443 or 8443"
    return _host_problem(parts.hostname or "")


def _host_problem(host: str) -> str | None:
    """Refuse inward names and every spelling of a number that some resolver takes for IPv4."""
    name = host.removesuffix(".")
    if ":" not in name and not _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        if "%" in name or "." not in name or name.endswith(".localhost"):
            return "must name a public host"
        return None
    try:
        return address_problem(name)
    except ValueError:
        return "must name a public host"
