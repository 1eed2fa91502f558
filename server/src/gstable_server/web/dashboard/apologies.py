"""What people in the console see when a request of theirs failed by a fault of this server."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gstable_server.web.base import Pages
from gstable_server.web.dashboard.speech import N_, _, speaking

TEMPLATE = "dashboard/templates/notice.html"


class Apologies:
    """The edge asks for a page here, when nobody else could make one."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def page(self, request: Request, request_id: str) -> Response:
        """Say what happened, and what to do (500). It asks nothing of the database, which may be
        what failed, and does not know who is signed in."""
        words = self._pages.console_languages.of(request)
        with speaking(words):
            return self._pages.page(
                TEMPLATE,
                status=500,
                language=words,
                title=N_("Something went wrong"),
                text=_text(request, request_id),
                again=_again(request),
            )


def _again(request: Request) -> str:
    """Where the same can be asked for once more; nothing is sent twice by pressing a link."""
    if request.method != "GET":
        return ""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}"


def _text(request: Request, request_id: str) -> str:
    if request.method == "GET":
        return _(
            "This page could not be made, which is a fault of this server. Nothing was changed. "
            "If it stays so, give whoever runs this server the number %(request)s, under which "
            "its log says why.",
            request=request_id,
        )
    return _(
        "This is a fault of this server. Look whether it was done before you send it again. If it "
        "stays so, give whoever runs this server the number %(request)s, under which its log "
        "says why.",
        request=request_id,
    )
