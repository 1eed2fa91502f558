"""``gstable audit``: looks at the log of what people did, as it stands in the database."""

from __future__ import annotations

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Head
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemClock, SystemIdMint


async def verify(database_url: str, kept: Head | None) -> bool:
    """Compare the log with its hashes, print what was found, and say whether all is well."""
    db = await Database.connect(database_url, clock=SystemClock(), ids=SystemIdMint(), size=1)
    try:
        verdict = await audit.verify(db, kept)
    finally:
        await db.close()
    if verdict.problem:
        print(verdict.problem)
    print(f"{verdict.checked} entries fit")
    print(f"head {verdict.head}")
    return not verdict.problem
