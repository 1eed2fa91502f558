"""Addresses on the web that merchants hand us: checked before they are stored (spec 15)."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.tenant import Mode

URL_LENGTH_MAX = 1000
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_NAME = re.compile(rf"({_LABEL}\.)*{_LABEL}")
_UNSAFE = re.compile(r"""[^!-~]|[\\"<>`^]""")


def url_problem(text: str) -> str | None:
    """Why ``text`` is no absolute http(s) URL that is safe to store and to send people to.

    Refuses other schemes, user info, control characters, spaces, backslashes and anything
    outside ASCII: a look-alike host name has to be written in its honest ``xn--`` form.
    """
    if len(text) > URL_LENGTH_MAX:
        return f"must have at most {URL_LENGTH_MAX} characters"
    if _UNSAFE.search(text):
        return "must be an absolute https URL in ASCII"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "must be an absolute https URL"
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        return "must be an absolute https URL"
    if "@" in parts.netloc:
        return "must not carry a user name or password"
    return None


def parse_origin(text: str) -> str:
    """A site's origin as browsers write it: ``https://shop.example``, with the port where it is not
    the scheme's own; plain http only for this machine.

    Raises ``ValueError`` with the end of a sentence for people.
    """
    text = text.strip()
    if url_problem(text) is not None:
        raise ValueError("must be like https://shop.example")
    parts = urlsplit(text)
    if parts.path not in {"", "/"} or parts.query or parts.fragment or "*" in text or "," in text:
        raise ValueError("must be the beginning of an address only, like https://shop.example")
    # A semicolon ends one rule of a Content-Security-Policy and begins the next.
    if ";" in text or not _is_host(parts.hostname or ""):
        raise ValueError("must name a host, like https://shop.example")
    if parts.scheme != "https" and not is_loopback(text):
        raise ValueError("must start with https://")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = parts.port
    own = port is None or port == {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" if own else f"{parts.scheme}://{host}:{port}"


def _is_host(host: str) -> bool:
    """Whether browsers take it as it is: a name without empty parts, or an IP address in full. What
    ends in a figure is an address to them (URL Standard, 3.5)."""
    if ":" not in host and not host.rpartition(".")[2][:1].isdigit():
        return _NAME.fullmatch(host) is not None
    try:
        return str(ip_address(host)) == host
    except ValueError:
        return False


def is_loopback(text: str) -> bool:
    """True for a URL whose host is this machine by name or literal."""
    return urlsplit(text).hostname in LOOPBACK_HOSTS


def require_https(field: str, text: str, mode: Mode) -> None:
    """Refuse plain http, except to loopback in test mode (spec 15, Field limits).

    ``text`` has passed ``url_problem``.
    """
    if urlsplit(text).scheme == "https":
        return
    if mode is Mode.TEST and is_loopback(text):
        return
    raise invalid_field(field, "must start with https://")
