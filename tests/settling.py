"""What the feed of events shows depends on everything that is under way on the server, its own
cleaning too: tests that read it once wait until that is over."""

from __future__ import annotations

import asyncio

from gstable_server.plumbing.db import Database

SECONDS_MAX = 60.0
_YOUNGER = """
SELECT count(*) FROM events WHERE written_by >= pg_snapshot_xmin(pg_current_snapshot())
"""


async def settled(db: Database) -> None:
    """Until nothing is under way that began to write before the last event was written. What is
    hides events, and has those told again that a page knows of."""
    async with asyncio.timeout(SECONDS_MAX), db.read() as tx:
        while await tx.fetchval(_YOUNGER):
            await asyncio.sleep(0.01)
