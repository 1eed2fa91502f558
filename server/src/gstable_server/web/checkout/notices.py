"""Pages that say why there is nothing else to show.

In a shop's modal they have to show as well, or the payer would be taken out of the shop to read
them. Whose page it was is not asked for again, because that would be work for whoever asks too
often, and cannot be asked while the database is away: this process remembers which sites may frame
the pages that it showed last. A notice about a page that it has not shown, or that does not exist,
may be framed by nobody, as that of a merchant who listed no site.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from gstable_server.web.base import Pages, allow_framing
from gstable_server.web.language import N_, Words

FAILED = N_("This did not work")
BUSY = N_("Please try again")
LATER = N_("This server is busy. Nothing was changed; please try again in a moment.")
ELSEWHERE = N_("This was sent from another site. Open the page again and use its own button.")
TOO_MANY = N_("Too many requests from your network. Wait a moment and try again.")
KEPT = 10_000
TEMPLATE = "templates/notice.html"
PAGES = frozenset({"link", "pay"})


class Notices:
    """The notices, with what is remembered for them."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._origins: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def remember(self, request: Request, origins: Sequence[str]) -> None:
        """The page at this address was shown, and these sites may frame it."""
        name = _name(request)
        if not origins:
            self._origins.pop(name, None)
            return
        self._origins[name] = tuple(origins)
        self._origins.move_to_end(name)
        if len(self._origins) > KEPT:
            self._origins.popitem(last=False)

    def show(
        self,
        request: Request,
        words: Words,
        title: str,
        text: str,
        http_status: int,
        retry_after: int | None = None,
    ) -> Response:
        """``title`` in English, ``text`` in the language of ``words``."""
        origins = self._origins.get(_name(request), ())
        response = self._pages.page(
            TEMPLATE,
            status=http_status,
            language=words,
            title=words.gettext(title),
            text=text,
            origins=origins,
        )
        if retry_after is not None:
            response.headers["retry-after"] = str(retry_after)
        return allow_framing(response, origins)

    def elsewhere(self, request: Request) -> Response:
        """For what no page of ours sends."""
        words = self._pages.words(request)
        return self.show(request, words, FAILED, words.gettext(ELSEWHERE), 403)

    def turn_away(self, request: Request, wait_seconds: int) -> Response:
        """For an address that asks too often."""
        words = self._pages.words(request)
        return self.show(request, words, BUSY, words.gettext(TOO_MANY), 429, wait_seconds)


def _name(request: Request) -> str:
    """The page that an address is about: ``/pay/x/deposit`` is about ``/pay/x``."""
    parts = request.url.path.split("/", 3)[1:3]
    return "/".join(parts) if parts[:1] and parts[0] in PAGES else ""
