"""What somebody typed into a form that could not be carried out, because their login had come to
its end or the server was busy: kept by their own browser until they are back, signed in in whatever
way, and then shown with a button that sends it.

Nothing is stored here, and nothing is sent unasked. Passwords, codes and files are not kept.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from gstable_server.web.dashboard.cookies import Cookies
from gstable_server.web.requests import UPLOAD, has_type

COOKIE = "gstable-typed"
COOKIE_LENGTH_MAX = 3_800
"""Browsers keep 4,096 bytes of a cookie with its name and attributes (RFC 6265, 6.1)."""
KEPT_SECONDS = 1_800
TEXT_BYTES_MAX = 64 * 1024
NOT_KEPT = re.compile(r"formToken|password.*|confirm.*|.*[Cc]ode|secret.*")
_PATH = re.compile(r"/dashboard/(?:test|live)/[\w/.-]{1,200}")


@dataclass(frozen=True, slots=True)
class Kept:
    """A form that could not be sent. ``page`` is where it was filled in."""

    path: str
    page: str
    is_upload: bool
    entries: Mapping[str, str]


class Keeping:
    """The cookie."""

    def __init__(self, cookies: Cookies) -> None:
        self._cookies = cookies

    def keep(self, request: Request, response: Response, entries: Mapping[str, str]) -> None:
        """Have the browser keep what it sent, where there is something and it fits."""
        texts = {name: text for name, text in entries.items() if not NOT_KEPT.fullmatch(name)}
        path, page = request.url.path, urlsplit(request.headers.get("referer", "")).path
        if not any(texts.values()) or not _PATH.fullmatch(path):
            return
        page = page if _PATH.fullmatch(page) else ""
        content = json.dumps([path, page, has_type(request, UPLOAD), texts])
        packed = base64.urlsafe_b64encode(zlib.compress(content.encode(), 9)).decode()
        if len(packed) <= COOKIE_LENGTH_MAX:
            self._cookies.keep(response, COOKIE, packed, KEPT_SECONDS)

    def of(self, request: Request) -> Kept | None:
        """What the browser keeps; None where that is nothing of ours."""
        given = self._cookies.of(request, COOKIE)
        if not given or len(given) > COOKIE_LENGTH_MAX:
            return None
        try:
            unpacking = zlib.decompressobj()
            content = unpacking.decompress(base64.urlsafe_b64decode(given), TEXT_BYTES_MAX)
            path, page, is_upload, texts = json.loads(content)
        except (binascii.Error, zlib.error, ValueError, TypeError):
            return None
        is_ours = isinstance(path, str) and _PATH.fullmatch(path) and isinstance(texts, dict)
        if not is_ours or not isinstance(page, str) or not _PATH.fullmatch(page or path):
            return None
        entries = {str(name): str(text) for name, text in texts.items()}
        return Kept(path, page, bool(is_upload), entries)

    def forget(self, request: Request, response: Response) -> None:
        """It was sent, or is not wanted any more."""
        if self._cookies.of(request, COOKIE):
            self._cookies.keep(response, COOKIE, "", 0)
