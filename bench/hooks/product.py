"""The product's sender of letters, as a worker process runs it, and nothing else beside it."""

from __future__ import annotations

import asyncio
import os

import uvloop

from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import GuardedClient
from gstable_server.plumbing.log import configure_logging
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from gstable_server.webhooks.dispatch import Pace, deliver_messages


async def main() -> None:
    """Deliver until the process is ended."""
    configure_logging("error")
    db = await Database.connect(os.environ["DATABASE_URL"], clock=SystemClock(), ids=SystemIdMint())
    async with GuardedClient(allow_loopback=True) as http:
        print("ready", flush=True)
        await deliver_messages(db, http, Pace(), asyncio.Event())


if __name__ == "__main__":
    uvloop.run(main())
