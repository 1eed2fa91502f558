"""What a browser holds for the dashboard, out of the reach of scripts and of other sites' forms."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

LOGIN = "gstable"


class Cookies:
    """Over TLS, browsers take them from this very host only (RFC 6265bis, the prefix __Host-)."""

    def __init__(self, public_url: str) -> None:
        self._is_secure = public_url.startswith("https://")

    def of(self, request: Request, name: str) -> str:
        """What the browser holds under that name, "" if nothing."""
        return request.cookies.get(self._full(name), "")

    def keep(self, response: Response, name: str, value: str, seconds: int) -> None:
        """Have the browser hold a value for so long, "" to let go of it."""
        response.set_cookie(
            self._full(name),
            value,
            max_age=seconds if value else 0,
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )

    def _full(self, name: str) -> str:
        return f"__Host-{name}" if self._is_secure else name
