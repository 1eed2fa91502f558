"""A delivery worker as a process of its own, for tests that end it without warning."""

from __future__ import annotations

import asyncio
import sys

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import GuardedClient
from gstable_server.plumbing.jobs import run_worker
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from gstable_server.webhooks import operations


async def main(database_url: str) -> None:
    db = await Database.connect(database_url, clock=SystemClock(), ids=SystemIdMint())
    async with GuardedClient(allow_loopback=True) as http:
        handlers = operations.job_handlers(db, http)
        await run_worker(database_url, handlers, asyncio.Event(), concurrency=4)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
