"""A delivery worker as a process of its own, for tests that end it without warning."""

from __future__ import annotations

import asyncio
import sys

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import GuardedClient
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from gstable_server.webhooks.dispatch import Pace, deliver_messages

PACE = Pace(concurrency=4, timeout_seconds=60.0, poll_seconds=0.1)


async def main(database_url: str) -> None:
    db = await Database.connect(database_url, clock=SystemClock(), ids=SystemIdMint())
    async with GuardedClient(allow_loopback=True) as http:
        await deliver_messages(db, http, PACE, asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
