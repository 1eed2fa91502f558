"""The floor: an outbox and aiohttp, written by hand, for nothing but this.

One table. Claims in batches under a lease, a hundred requests at once, both signatures, results in
batches. No fairness, no guard of addresses, no record of tries, no schedule, no pause.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import aiohttp
import asyncpg
import uvloop

from gstable_server.kernel.clock import UnixSeconds
from gstable_server.kernel.ids import EventId
from gstable_server.webhooks.signing import signature_headers

SCHEMA = """
CREATE TABLE outbox (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL,
    url text NOT NULL,
    key text NOT NULL,
    body bytea NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    delivered boolean NOT NULL DEFAULT false,
    due timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz
);
CREATE INDEX outbox_due ON outbox (due, number) WHERE NOT delivered;
"""
CHANNEL = "floor"
CONCURRENCY = 100
TIMEOUT_SECONDS = 15

_CLAIM = """
UPDATE outbox SET leased_until = now() + interval '30 seconds'
WHERE number IN (
    SELECT number FROM outbox
    WHERE NOT delivered AND due <= now() AND (leased_until IS NULL OR leased_until < now())
    ORDER BY due, number LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING number, event_id, url, key, body
"""
_RECORD = """
UPDATE outbox o SET delivered = r.delivered, attempts = attempts + 1, leased_until = NULL,
    due = CASE WHEN r.delivered THEN due ELSE now() + interval '1 second' END
FROM unnest($1::bigint[], $2::boolean[]) AS r (number, delivered) WHERE o.number = r.number
"""


class Floor:
    """All there is to it."""

    def __init__(self, pool: asyncpg.Pool[Any], http: aiohttp.ClientSession) -> None:
        self._pool = pool
        self._http = http
        self._free = CONCURRENCY
        self._wake = asyncio.Event()
        self._results: list[tuple[int, bool]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Claim, send and record until the process is ended."""
        listener = await self._pool.acquire()
        await listener.add_listener(CHANNEL, lambda *_: self._wake.set())
        recording = asyncio.create_task(self._record())
        while not recording.done():
            rows = await self._pool.fetch(_CLAIM, self._free) if self._free >= 25 else []
            for row in rows:
                self._free -= 1
                task = asyncio.create_task(self._send(row))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if not rows:
                try:
                    await asyncio.wait_for(self._wake.wait(), 0.1)
                except TimeoutError:
                    continue
                self._wake.clear()

    async def _send(self, row: asyncpg.Record) -> None:
        at = UnixSeconds(int(time.time()))
        headers = signature_headers((row["key"],), EventId(row["event_id"]), at, row["body"])
        headers["content-type"] = "application/json"
        try:
            async with self._http.post(row["url"], data=row["body"], headers=headers) as answer:
                await answer.read()
                delivered = answer.status == 200
        except (aiohttp.ClientError, OSError):
            delivered = False
        self._results.append((row["number"], delivered))
        self._free += 1
        self._wake.set()

    async def _record(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            results, self._results = self._results, []
            if results:
                await self._pool.execute(
                    _RECORD, [number for number, _ in results], [done for _, done in results]
                )


async def main() -> None:
    """Deliver until the process is ended."""
    pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=10)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(
        timeout=timeout, connector=aiohttp.TCPConnector(limit=0)
    ) as http:
        print("ready", flush=True)
        await Floor(pool, http).run()


if __name__ == "__main__":
    uvloop.run(main())
