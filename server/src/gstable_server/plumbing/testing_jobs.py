"""The fake of the job port: jobs in memory, on a clock that is set by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from gstable_server.kernel.clock import Clock
from gstable_server.kernel.ids import IdMint
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.jobs import ATTEMPTS, FIRST_WAIT, LONGEST_WAIT, JobHandler


@dataclass(slots=True)
class _Job:
    name: str
    payload: bytes
    run_at: datetime
    dedupe_key: str | None
    failures: int = 0


class InMemoryJobs:
    """A queue that keeps the port's promises without a database.

    Its transactions are its own: ``begin`` stages what is enqueued and drops it on an exception,
    as a rolled-back transaction does. ``held`` lists the payloads of jobs that failed for good.
    """

    def __init__(self, clock: Clock, ids: IdMint) -> None:
        self._clock = clock
        self._ids = ids
        self._jobs: list[_Job] = []
        self._staged: dict[Tx, list[_Job]] = {}
        self.held: list[bytes] = []

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        """A transaction of this queue; its ``connection`` cannot be used."""
        tx = Tx(None, self._clock.now(), self._ids)
        self._staged[tx] = []
        try:
            yield tx
            self._jobs.extend(self._staged[tx])
        finally:
            del self._staged[tx]

    async def enqueue(
        self,
        tx: Tx,
        name: str,
        payload: bytes | str,
        *,
        run_at: datetime | None = None,
        dedupe_key: str | None = None,
    ) -> bool:
        staged = self._staged[tx]
        live = (job.dedupe_key for job in [*self._jobs, *staged])
        if dedupe_key is not None and dedupe_key in live:
            return False
        body = payload.encode() if isinstance(payload, str) else payload
        staged.append(_Job(name, body, max(run_at or tx.now, tx.now), dedupe_key))
        return True

    async def run_due(self, handlers: Mapping[str, JobHandler]) -> int:
        """Run every job that is due now, also those that the handlers queue meanwhile.

        Returns how many runs there were. Jobs of names without a handler stay queued.
        """
        runs = 0
        while due := self._next(handlers):
            runs += 1
            await self._run(due, handlers[due.name])
        return runs

    def _next(self, handlers: Mapping[str, JobHandler]) -> _Job | None:
        now = self._clock.now()
        due = (job for job in self._jobs if job.name in handlers and job.run_at <= now)
        return min(due, key=lambda job: job.run_at, default=None)

    async def _run(self, job: _Job, handler: JobHandler) -> None:
        try:
            await handler(job.payload)
        except Exception:  # noqa: BLE001 - a worker loop survives any handler
            job.failures += 1
            job.run_at = self._clock.now() + min(FIRST_WAIT * 2 ** (job.failures - 1), LONGEST_WAIT)
            if job.failures < ATTEMPTS:
                return
            self.held.append(job.payload)
        self._jobs.remove(job)
