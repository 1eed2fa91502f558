"""How often the pages of links are opened: counted in memory, written as sums.

No payer waits for it. What a process has not written when it dies is lost, some seconds' worth at
most: this is for whoever wonders how well a link does, and nothing is decided by it.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date

import structlog
from starlette.requests import Request

from gstable_server.kernel.ids import LinkId
from gstable_server.links import operations as links
from gstable_server.plumbing.db import DATABASE_FAILED, Database
from gstable_server.plumbing.regularly import regularly

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 2.0
KEPT_MAX = 10_000
"""Links and days that wait at most; more are not counted while the database is away."""
CONSOLE_COOKIES = ("gstable", "__Host-gstable")
"""Who has one is signed in to the console: merchants look at their own links."""

# Programs that say so, and those that draw small pictures of links in chats.
_PROGRAMS = re.compile(
    r"bot|crawl|spider|slurp|preview|facebookexternalhit|whatsapp|telegram|slack|discord|embedly"
    r"|headless|lighthouse|monitor|pingdom|curl|wget|python|httpx|aiohttp|go-http|java/|okhttp",
    re.IGNORECASE,
)


class Visits:
    """Counts at once, and writes the sums while ``kept``."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: Counter[tuple[LinkId, date]] = Counter()

    def count(self, request: Request, link_id: LinkId) -> None:
        """One more opening of a link that is there, if a payer's browser asked to see it."""
        if not is_a_payers(request):
            return
        key = link_id, self._db.clock.now().astimezone(UTC).date()
        if key in self._waiting or len(self._waiting) < KEPT_MAX:
            self._waiting[key] += 1

    def kept(self) -> AbstractAsyncContextManager[None]:
        """Write what is counted, again and again, and the rest at the end."""
        return regularly(self.write, PAUSE_SECONDS)

    async def write(self) -> None:
        """Write the sums that wait now; while the database is away they wait on.

        Should the process die in between, they are lost. A commit whose answer is lost is counted
        twice.
        """
        counts = dict(self._waiting)
        if not counts:
            return
        try:
            await self._db.run(links.add_opened, counts)
        except DATABASE_FAILED as failure:
            log.warning("openings not written", links=len(counts), reason=str(failure))
            return
        self._waiting.subtract(counts)
        # What is 0 goes, so that the counter does not grow for ever.
        self._waiting = +self._waiting


def is_a_payers(request: Request) -> bool:
    """Whether somebody looks at the page: neither a program, nor a browser that fetches ahead, nor
    whoever is signed in to the console."""
    if any(name in request.cookies for name in CONSOLE_COOKIES):
        return False
    headers = request.headers
    if "prefetch" in headers.get("sec-purpose", "") + headers.get("purpose", ""):
        return False
    agent = headers.get("user-agent", "")
    return request.method == "GET" and bool(agent) and not _PROGRAMS.search(agent)
