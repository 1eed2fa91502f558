"""Addresses on the web that merchants hand us: checked before they are stored (spec 15)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.tenant import Mode

URL_LENGTH_MAX = 1000
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
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
