"""The sender of letters: claims due messages, sends them, records what came of it.

Claims are shared out fairly over endpoints; sends run outside any transaction; results are
written in batches, so that one commit carries many.

A process may die at any point, and nothing but time is needed to go on: what it had claimed is
under a lease, and when that has passed any worker takes it again.

* Before a send: nothing was sent; another worker sends after the lease.
* During a send, or after it and before the record: the letter is sent again after the lease, with
  the same ``webhook-id``.
* During the record: the transaction is rolled back or committed; one of the two above, or done.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import TIMEOUT_SECONDS, HttpClient
from gstable_server.plumbing.regularly import pause
from gstable_server.plumbing.wakeups import listen
from gstable_server.webhooks import store_queue
from gstable_server.webhooks.delivery import Tried, record, send
from gstable_server.webhooks.model import Attempt, Delivery
from gstable_server.webhooks.store_queue import Claim

log = structlog.get_logger(__name__)

SHARE_FIRST = 2
"""Messages of one endpoint in one claim while others may be waiting."""

TRUSTED_MAX = 20_000
BATCH_MAX = 200
GATHER_SECONDS = 0.02
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once, and for how long; seconds.

    ``concurrency`` requests may be under way that are younger than ``patience_seconds``; older
    ones wait aside, up to ten times as many, and do not keep the place of others. The lease must
    outlast a request and its record.
    """

    concurrency: int = 100
    per_endpoint: int = 10
    timeout_seconds: float = TIMEOUT_SECONDS
    lease_margin_seconds: float = 15.0
    patience_seconds: float = 0.5
    poll_seconds: float = 0.5
    drain_seconds: float = 5.0

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.timeout_seconds + self.lease_margin_seconds)

    @property
    def waiting_max(self) -> int:
        return 10 * self.concurrency


class Dispatcher:
    """One process's part of the work. All that must survive it is in the database."""

    def __init__(self, db: Database, http: HttpClient, pace: Pace) -> None:
        self._db = db
        self._http = http
        self._pace = pace
        self._cursor = ""
        self._share = SHARE_FIRST
        # Requests under way, the oldest first: since when; moved aside when patience ends.
        self._young: dict[Delivery, float] = {}
        self._waiting: dict[Delivery, None] = {}
        self._under_way: Counter[str] = Counter()
        # Endpoints that answered their last request to this process.
        self._trusted: dict[str, None] = {}
        self._results: deque[Tried] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._due = asyncio.Event()
        self._room_made = asyncio.Event()
        self._results_in = asyncio.Event()
        self._ending = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop``; then let requests end for ``drain_seconds``, give back the
        rest, and record everything."""
        listening = asyncio.create_task(listen(self._db, store_queue.CHANNEL, self._due.set))
        stopping = asyncio.create_task(self._wake_at(stop))
        recording = asyncio.create_task(self._keep_recording())
        try:
            while not stop.is_set():
                await self._turn()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._pace.drain_seconds)
        finally:
            for task in (listening, stopping, *self._tasks):
                task.cancel()
            left = [*self._young, *self._waiting]
            await asyncio.gather(listening, stopping, *self._tasks, return_exceptions=True)
            self._ending.set()
            self._results_in.set()
            await recording
            await self._give_back(left)

    async def deliver_due(self) -> int:
        """Send what is due now, once, and record it; the number of tries. For tests and tools:
        ``run`` does the same continuously."""
        claimed = await self._claim(self._pace.concurrency)
        if not claimed and self._cursor:
            self._cursor = ""
            claimed = await self._claim(self._pace.concurrency)
        for delivery in claimed:
            self._start(delivery)
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._record_results()
        return len(claimed)

    # --- claiming --------------------------------------------------------------------------

    async def _turn(self) -> None:
        room = self._room()
        if room < max(1, self._pace.concurrency // 4):
            await self._sleep(self._room_made, self._pace.patience_seconds / 4)
            return
        from_the_first = not self._cursor
        try:
            claimed = await self._claim(room)
        except Exception:
            log.exception("webhook messages could not be claimed")
            await asyncio.sleep(RETRY_SECONDS)
            return
        for delivery in claimed:
            self._start(delivery)
        if not claimed and from_the_first:
            await self._sleep(self._due, self._pace.poll_seconds)

    def _room(self) -> int:
        """How many requests may begin. None while results cannot be recorded: the letters of
        a database that does not answer would be sent again and again."""
        cutoff = asyncio.get_running_loop().time() - self._pace.patience_seconds
        while self._young and len(self._waiting) < self._pace.waiting_max:
            oldest = next(iter(self._young))
            if self._young[oldest] > cutoff:
                break
            del self._young[oldest]
            self._waiting[oldest] = None
        if len(self._results) > 4 * self._pace.concurrency:
            return 0
        return self._pace.concurrency - len(self._young)

    async def _claim(self, limit: int) -> Sequence[Delivery]:
        """The next messages. Endpoints are asked in turn, from where the last claim ended, for a
        few messages each; for more when there is room for more than all of them have. One that
        has not answered yet gets nothing more while something is under way to it."""
        wanted = Claim(
            limit=limit,
            share=self._share,
            per_endpoint=self._pace.per_endpoint,
            lease=self._pace.lease,
            except_for=self._busy(),
            answering_only=len(self._waiting) >= self._pace.waiting_max,
        )
        async with self._db.read() as tx:
            claimed = await store_queue.claim(tx, self._cursor, wanted)
        if len(claimed) < limit:
            self._cursor = ""
            self._share = min(2 * self._share, self._pace.per_endpoint)
        else:
            self._cursor = max(each.webhook_id for each in claimed)
            self._share = SHARE_FIRST
        return sorted(claimed, key=lambda each: each.message_number)

    def _busy(self) -> list[str]:
        """The endpoints that get nothing more now: something is under way to them, and they have
        not answered yet, or they are slow while half of the places aside are taken."""
        slow = set[str]()
        if len(self._waiting) >= self._pace.waiting_max // 2:
            slow = {each.webhook_id for each in self._waiting}
        return [one for one in self._under_way if one not in self._trusted or one in slow]

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._due.set()
        self._room_made.set()

    @staticmethod
    async def _sleep(until: asyncio.Event, seconds: float) -> None:
        await pause(until, seconds)
        until.clear()

    # --- sending ---------------------------------------------------------------------------

    def _start(self, delivery: Delivery) -> None:
        self._young[delivery] = asyncio.get_running_loop().time()
        self._under_way[delivery.webhook_id] += 1
        task = asyncio.create_task(self._send(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, delivery: Delivery) -> None:
        try:
            attempt = await send(self._http, self._db.clock, delivery, self._pace.timeout_seconds)
        except Exception:
            # A letter that cannot be sent must not be claimed again and again for ever.
            log.exception("webhook message not sent", message_number=delivery.message_number)
            attempt = Attempt(self._db.clock.now(), 0, error="internal")
        finally:
            self._forget(delivery)
        self._note(delivery.webhook_id, answered=attempt.status_code is not None)
        self._results.append((delivery, attempt))
        self._results_in.set()
        self._room_made.set()

    def _forget(self, delivery: Delivery) -> None:
        if self._young.pop(delivery, None) is None:
            del self._waiting[delivery]
        self._under_way[delivery.webhook_id] -= 1
        if not self._under_way[delivery.webhook_id]:
            del self._under_way[delivery.webhook_id]

    def _note(self, webhook_id: str, *, answered: bool) -> None:
        if not answered:
            self._trusted.pop(webhook_id, None)
            return
        if len(self._trusted) >= TRUSTED_MAX:
            self._trusted.clear()
        self._trusted[webhook_id] = None

    async def _give_back(self, left: Sequence[Delivery]) -> None:
        """Let other workers take at once what was not sent to the end."""
        try:
            if left:
                await self._db.run(store_queue.give_back, left)
        except Exception:
            log.exception("webhook messages could not be given back", messages=len(left))

    # --- recording -------------------------------------------------------------------------

    async def _keep_recording(self) -> None:
        while not self._ending.is_set():
            await self._sleep(self._results_in, self._pace.poll_seconds)
            await asyncio.sleep(0 if self._ending.is_set() else GATHER_SECONDS)
            await self._record_results()

    async def _record_results(self) -> None:
        """Write what has finished. A batch that cannot be written is tried again in halves, so
        that one result that the database does not take keeps no others back."""
        size, waiting = BATCH_MAX, list[Tried]()
        while self._results:
            batch = [self._results[at] for at in range(min(size, len(self._results)))]
            try:
                waiting += await self._db.run(record, batch)
            except Exception:
                log.exception("webhook results could not be recorded", results=len(batch))
                alone = len(batch) == 1 and await self._db.answers(within_seconds=1)
                if not (alone or self._ending.is_set()):
                    size = max(1, len(batch) // 2)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                # Given up: the leases pass, and the letters are sent again.
            for _ in batch:
                self._results.popleft()
            # What was recorded has left its endpoint room for what waits behind it.
            self._due.set()
        self._results.extend(waiting)


async def deliver_messages(db: Database, http: HttpClient, pace: Pace, stop: asyncio.Event) -> None:
    """Deliver letters until ``stop``: one loop of a worker process, of which any number may run."""
    await Dispatcher(db, http, pace).run(stop)
