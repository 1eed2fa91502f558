"""Open pages of payers, told at once when what they show has changed.

One connection of the process listens for all of them (migration 0020), and changed sessions are
read together: what a change costs does not depend on how many look at it. Notifications can be
lost with their connection; so everything is read again every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from gstable_server.kernel.errors import Code, Passing, Refused
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing import metrics
from gstable_server.plumbing.db import DATABASE_FAILED, Database, Tx
from gstable_server.plumbing.json_text import encode_json
from gstable_server.plumbing.wakeups import listen_to
from gstable_server.sessions import paying
from gstable_server.sessions.operations import Desk
from gstable_server.web.checkout.gathering import Known, gather, heights, networks_of, status_of
from gstable_server.web.checkout.prepared import relay_json
from gstable_server.web.language import Words
from gstable_server.web.news import MerchantNews

log = structlog.get_logger(__name__)

SESSIONS_CHANNEL = "gstable_sessions"
FRONTIER_CHANNEL = "gstable_frontier"
POLL_SECONDS = 5.0
TICK_SECONDS = 1.0
"""How often the clock itself is looked at, and payments that we send for payers."""
PAUSE_SECONDS = 0.05
"""Between two readings: what changes meanwhile is read together."""
FIRST_SECONDS = 10.0
READ_TOGETHER = 100
"""Few enough that other requests are answered in between."""


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """Open pages: of one client address, of one session, and of this process."""

    per_address: int = 100
    per_session: int = 50
    in_all: int = 5_000


@dataclass(frozen=True, slots=True)
class News:
    """One status as JSON text. ``news_id`` says what is in it, but for the server's time."""

    news_id: str
    data: str
    is_last: bool


@dataclass(eq=False, slots=True)
class Page:
    """One open page: only the newest news is kept for it, however slowly it reads."""

    session_id: SessionId
    words: Words
    relay: str
    address: str
    news: News | None = None
    is_missing: bool = False
    is_ended: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, news: News | None) -> None:
        """Hand over what there is to show now; nothing where the session does not exist."""
        if news is None:
            self.is_missing = True
        elif self.news is not None and self.news.news_id == news.news_id:
            return
        self.news = news
        self._changed.set()

    def end(self) -> None:
        """Nothing more will come, or nobody is there any more."""
        self.is_ended = True
        self._changed.set()

    async def next(self, within_seconds: float) -> News | None:
        """What is new, as soon as there is something; None when there is nothing in that time."""
        try:
            async with asyncio.timeout(within_seconds):
                await self._changed.wait()
        except TimeoutError:
            return None
        self._changed.clear()
        return self.news


@dataclass(slots=True)
class _Watched:
    """A session that somebody looks at."""

    pages: set[Page] = field(default_factory=set)
    known: Known | None = None


class Live:
    """Every open page of this process, and the one task that reads for them while there are any."""

    def __init__(self, db: Database, desk: Desk, limits: LiveLimits | None = None) -> None:
        self._db = db
        self._desk = desk
        self._limits = limits or LiveLimits()
        self._watched: dict[SessionId, _Watched] = {}
        self._addresses: Counter[str] = Counter()
        self._count = 0
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._due: set[SessionId] = set()
        self._moved: set[str] = set()
        self._poll_at = 0.0
        self._tick_at = 0.0
        self._heights: dict[str, int] = {}
        self.news = MerchantNews(db)
        self._relayed: dict[tuple[SessionId, str], str | None] = {}

    @property
    def count(self) -> int:
        """How many pages are open."""
        return self._count

    async def open(
        self, session_id: SessionId, *, words: Words, relay: str, address: str
    ) -> tuple[Page, News]:
        """A page with what it is to show first; it must be handed back to ``leave``.

        Refuses with 100201 a session that does not exist, and with 429 one page too many; raises
        ``Passing`` where there is no answer now.
        """
        page = Page(session_id, words, relay, address)
        self._add(page)
        try:
            news = await page.next(FIRST_SECONDS)
            if page.is_missing:
                raise Refused(Code.SESSION_NOT_FOUND)
            if news is None:
                raise Passing("the status could not be read in time", retry_after=1)
        except BaseException:
            self.leave(page)
            raise
        return page, news

    def _add(self, page: Page) -> None:
        if self._closed or self._count >= self._limits.in_all:
            raise Passing("no more open pages", retry_after=5)
        watched = self._watched.get(page.session_id, _Watched())
        if (
            self._addresses[page.address] >= self._limits.per_address
            or len(watched.pages) >= self._limits.per_session
        ):
            raise Refused(Code.TOO_MANY_REQUESTS)
        watched.pages.add(page)
        self._watched[page.session_id] = watched
        self._addresses[page.address] += 1
        self._count += 1
        self._due.add(page.session_id)
        self._wake.set()
        if self._task is None:
            self._poll_at = 0.0
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._ended)

    def leave(self, page: Page) -> None:
        """The page is closed. With the last one the reading ends."""
        watched = self._watched[page.session_id]
        watched.pages.remove(page)
        if not watched.pages:
            del self._watched[page.session_id]
        if not any(page.relay == other.relay for other in watched.pages):
            self._relayed.pop((page.session_id, page.relay), None)
        self._count -= 1
        self._addresses[page.address] -= 1
        if not self._addresses[page.address]:
            del self._addresses[page.address]
        if not self._count and self._task is not None:
            self._task.cancel()
            self._task = None

    async def close(self) -> None:
        """End every page, for good: their browsers ask another process, or this one's next."""
        self._closed = True
        task = self._task
        self._end_all()
        await self.news.close()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _end_all(self) -> None:
        for watched in self._watched.values():
            for page in watched.pages:
                page.end()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A reading that failed leaves no page waiting for nothing. One that was told to end did
        not fail, also where it could not say so, and pages that came since have another."""
        if task.cancelling():
            return
        log.error("live pages are not served", error=repr(task.exception()))
        metrics.live_page_failed()
        if self._task is task:
            self._task = None
        self._end_all()

    # --- reading ----------------------------------------------------------------------------------

    def _session_changed(self, session_id: str) -> None:
        if session_id in self._watched:
            self._due.add(SessionId(session_id))
            self._wake.set()

    def _frontier_moved(self, network: str) -> None:
        self._moved.add(network)
        self._wake.set()

    def _listening(self) -> None:
        """Whatever was told before is lost: read everything."""
        self._poll_at = 0.0
        self._wake.set()

    async def _run(self) -> None:
        channels = {
            SESSIONS_CHANNEL: self._session_changed,
            FRONTIER_CHANNEL: self._frontier_moved,
        }
        task = asyncio.current_task()
        assert task is not None
        listening = asyncio.create_task(listen_to(self._db, channels, self._listening))
        try:
            # Asked, because a connection lost while it is given back hides the cancellation.
            while not task.cancelling():
                self._wake.clear()
                try:
                    await self._turn()
                except (*DATABASE_FAILED, Passing) as failure:
                    log.warning("live pages could not be read", error=str(failure))
                    self._poll_at = 0.0
                    await asyncio.sleep(TICK_SECONDS)
                await asyncio.sleep(PAUSE_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._wake.wait()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _turn(self) -> None:
        """Read what has changed, or may have, and tell the pages that show it."""
        due, moved = self._take()
        due_now = [session_id for session_id in due if session_id in self._watched]
        if not self._showing(due_now, moved):
            return
        async with self._db.read() as tx:
            for start in range(0, len(due_now), READ_TOGETHER):
                found = await self._read(tx, due_now[start : start + READ_TOGETHER])
                for session_id, known in found.items():
                    if session_id in self._watched:
                        self._watched[session_id].known = known
            shown = self._showing(due_now, moved)
            networks = {name for one in shown if one.known for name in networks_of(one.known)}
            self._heights |= await heights(tx, networks)
            # Anybody can make up names, so that there may be many: one question for all of them.
            if asked := self._causes(due_now):
                sent = await paying.relayed_all(tx, asked)
                # Not for pages that went away meanwhile: nobody would forget theirs any more.
                for pair in asked & self._causes(due_now):
                    self._relayed[pair] = relay_json(sent.get(pair))
        for one in shown:
            try:
                self._tell(one)
            except Exception:  # noqa: BLE001 - the edge: logged where its pages are ended
                self._fail(one)

    async def _read(
        self, tx: Tx, session_ids: Sequence[SessionId]
    ) -> Mapping[SessionId, Known | None]:
        """What is known of each; None of what is no session. One that cannot be read is left out,
        and keeps nobody else's page from being told."""
        try:
            found = await gather(tx, self._desk, session_ids)
        except (*DATABASE_FAILED, Passing):
            raise
        except Exception:  # noqa: BLE001 - the edge: logged where its pages are ended
            if len(session_ids) == 1:
                if watched := self._watched.get(session_ids[0]):
                    self._fail(watched)
                return {}
            alone = [await self._read(tx, [session_id]) for session_id in session_ids]
            return {name: known for one in alone for name, known in one.items()}
        return {session_id: found.get(session_id) for session_id in session_ids}

    def _fail(self, watched: _Watched) -> None:
        """End the pages of a session that cannot be shown: they ask, and may be answered by
        another process. Called where the failure is handled."""
        log.exception(
            "a live page cannot be shown", session_ids=[*{one.session_id for one in watched.pages}]
        )
        metrics.live_page_failed()
        for page in watched.pages:
            page.end()

    def _take(self) -> tuple[set[SessionId], set[str]]:
        """The sessions to read and the networks that moved, both forgotten here."""
        now = time.monotonic()
        due, self._due = self._due, set()
        moved, self._moved = self._moved, set()
        if now >= self._poll_at:
            self._poll_at = now + POLL_SECONDS
            self._tick_at = now + TICK_SECONDS
            return set(self._watched), moved
        if now >= self._tick_at:
            self._tick_at = now + TICK_SECONDS
            due |= {session_id for session_id, one in self._watched.items() if self._ticks(one)}
        return due, moved

    def _ticks(self, watched: _Watched) -> bool:
        """Whether the clock alone may change what is shown, or nobody will tell of a change."""
        if any(page.relay for page in watched.pages):
            return True
        if watched.known is None:
            return False
        session = watched.known.view.session
        past = (self._db.clock.now() - session.expires_at).total_seconds()
        return 0 <= past < 2 * TICK_SECONDS

    def _showing(self, due: Iterable[SessionId], moved: set[str]) -> list[_Watched]:
        found = [self._watched[one] for one in due if one in self._watched]
        if moved:
            known = set(due)
            found += [
                one
                for session_id, one in self._watched.items()
                if session_id not in known and one.known and moved & networks_of(one.known)
            ]
        return found

    def _causes(self, due: Iterable[SessionId]) -> set[tuple[SessionId, str]]:
        return {
            (session_id, page.relay)
            for session_id in due
            if session_id in self._watched
            for page in self._watched[session_id].pages
            if page.relay
        }

    def _tell(self, watched: _Watched) -> None:
        made: dict[tuple[str, str], News] = {}
        for page in watched.pages:
            if watched.known is None:
                page.tell(None)
                continue
            key = page.words.tag, page.relay
            if key not in made:
                made[key] = self._news(watched.known, page)
            page.tell(made[key])

    def _news(self, known: Known, page: Page) -> News:
        now = self._db.clock.now()
        shown = status_of(known, self._desk, self._heights, now, page.words)
        relay = self._relayed.get((page.session_id, page.relay)) if page.relay else None
        answer: dict[str, Any] = {**shown.to_json(), "relay": relay}
        at = answer.pop("now")
        # Written once: thousands of pages may be told at once.
        timeless = encode_json(answer)
        news_id = hashlib.blake2b(timeless, digest_size=8).hexdigest()
        data = f'{{"now":{at},{timeless[1:].decode()}'
        return News(news_id, data, is_last=shown.phase == "done")
