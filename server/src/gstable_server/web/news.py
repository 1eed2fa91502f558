"""Open pages of the console, told which of their merchant's sessions are new or changed.

They hear of identifiers only: what stands behind one is asked for by a page as always, and so
guarded as always. One task of the process reads for all of them while there are any. A stream
ends with its login, with the right to see sessions, and with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field

import structlog

from gstable_server.accounts.members import operations as members
from gstable_server.kernel.errors import Code, Passing, Refused
from gstable_server.kernel.ids import SessionId
from gstable_server.kernel.roles import Action, may
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import DATABASE_FAILED, Database, Tx
from gstable_server.plumbing.event_log import FIRST, Position
from gstable_server.plumbing.wakeups import listen_to
from gstable_server.sessions import news

log = structlog.get_logger(__name__)

CHANNEL = "gstable_sessions"
POLL_SECONDS = 2.0
"""New sessions wake nobody (migration 0020): their events are looked for so often."""
PAUSE_SECONDS = 0.2
CHECK_SECONDS = 10.0
"""How long a login that ended elsewhere is told of changes at most."""
PER_LOGIN = 12
IN_ALL = 2_000
KEPT_MAX = 200
"""Sessions that wait for a page that does not read."""


@dataclass(eq=False, slots=True)
class Watch:
    """One open page of somebody who is signed in with ``token``."""

    token: str
    tenant: Tenant
    position: Position
    """Behind which the page has yet to hear of what happens."""
    changed: set[SessionId] = field(default_factory=set)
    is_ended: bool = False
    may_ask_again: bool = False
    """Whether another process may go on with it."""
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, session_ids: list[SessionId], position: Position) -> None:
        self.position = max(self.position, position)
        room = KEPT_MAX - len(self.changed)
        self.changed.update(session_ids[: max(room, 0)])
        if self.changed:
            self._told.set()

    def end(self, *, may_ask_again: bool = False) -> None:
        """Nothing more will come, or nobody is there any more."""
        self.is_ended = True
        self.may_ask_again = may_ask_again
        self._told.set()

    async def next(self, within_seconds: float) -> list[SessionId]:
        """What changed, as soon as something did; nothing when that time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._told.wait()
        self._told.clear()
        changed, self.changed = self.changed, set()
        return sorted(changed)


class MerchantNews:
    """Every open page of the console in this process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._watches: set[Watch] = set()
        self._known: dict[Tenant, Position] = {}
        self._heard: set[SessionId] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def count(self) -> int:
        """How many pages are open."""
        return len(self._watches)

    async def open(self, token: str, tenant: Tenant, known: Position | None = None) -> Watch:
        """A page of a login that was checked; it must be handed back to ``leave``. It hears of
        everything behind ``known``, the place at which it was made, or from now on.

        Refuses with 429 one page too many of a login; raises ``Passing`` where there is no room.
        """
        if self._closed or len(self._watches) >= IN_ALL:
            raise Passing("no more open pages", retry_after=5)
        if Counter(one.token for one in self._watches)[token] >= PER_LOGIN:
            raise Refused(Code.TOO_MANY_REQUESTS)
        watch = Watch(token, tenant, known or FIRST)
        # Before it is read what came meanwhile: what comes after that is told to those in here.
        self._watches.add(watch)
        try:
            async with self._db.read() as tx:
                missed, position = await self._missed(tx, tenant, known)
        except BaseException:
            self.leave(watch)
            raise
        self._known.setdefault(tenant, position)
        watch.tell(missed, position)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return watch

    async def _missed(
        self, tx: Tx, tenant: Tenant, known: Position | None
    ) -> tuple[list[SessionId], Position]:
        if known is None:
            return [], await news.position(tx)
        return await news.missed(tx, tenant, known)

    def leave(self, watch: Watch) -> None:
        """The page is closed. With the last one the reading ends."""
        self._watches.discard(watch)
        if all(one.tenant != watch.tenant for one in self._watches):
            self._known.pop(watch.tenant, None)
        if not self._watches and self._task is not None:
            self._task.cancel()
            self._task = None

    def end_login(self, token: str) -> None:
        """Somebody signed out: the pages of that browser hear nothing more."""
        for one in [one for one in self._watches if one.token == token]:
            one.end()

    async def close(self) -> None:
        """End every page, for good."""
        self._closed = True
        for one in self._watches:
            one.end(may_ask_again=True)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # --- reading ----------------------------------------------------------------------------------

    def _session_changed(self, session_id: str) -> None:
        self._heard.add(SessionId(session_id))
        self._wake.set()

    async def _run(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        channels = {CHANNEL: self._session_changed}
        listening = asyncio.create_task(listen_to(self._db, channels, self._wake.set))
        loop = asyncio.get_running_loop()
        check_at = loop.time() + CHECK_SECONDS
        try:
            # Asked, because a connection lost while it is given back hides the cancellation.
            while not task.cancelling():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
                await asyncio.sleep(PAUSE_SECONDS)
                self._wake.clear()
                is_due = loop.time() >= check_at
                try:
                    await self._turn(is_due)
                except (*DATABASE_FAILED, Passing) as failure:
                    log.warning("open console pages could not be read", error=str(failure))
                if is_due:
                    check_at = loop.time() + CHECK_SECONDS
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _turn(self, check: bool) -> None:
        """Read what is new, and tell the pages of whose it is."""
        heard, self._heard = self._heard, set()
        async with self._db.read() as tx:
            if check:
                await self._check(tx)
            found = await news.read(tx, dict(self._known), heard)
        for tenant, (position, session_ids) in found.items():
            if tenant in self._known:
                self._known[tenant] = position
            for one in [one for one in self._watches if one.tenant == tenant]:
                one.tell(session_ids, position)

    async def _check(self, tx: Tx) -> None:
        """End the pages of logins that are over, or show another merchant now."""
        for token in {one.token for one in self._watches}:
            member = await members.member_behind(tx, token)
            for one in [one for one in self._watches if one.token == token]:
                if (
                    member is None
                    or member.merchant_id != one.tenant.merchant_id
                    or not may(member.role, Action.SESSIONS_READ)
                ):
                    one.end()
