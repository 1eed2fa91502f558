"""How long what is queued has been waiting, for operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gstable_server.plumbing.db import Tx


@dataclass(frozen=True, slots=True)
class Queues:
    """Events that wait for their handlers, and since when the oldest was told; jobs that wait or
    run, and those held after their last try."""

    events: int
    events_since: datetime | None
    jobs: int
    jobs_failed: int


_LOOK = """
SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) counted) AS events,
(SELECT occurred_at FROM outbox JOIN events USING (sequence) ORDER BY sequence LIMIT 1)
    AS events_since,
(SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked')) AS jobs,
(SELECT count(*) FROM pgqueuer WHERE status = 'failed') AS jobs_failed
"""


async def look(tx: Tx, at_most: int) -> Queues:
    """What waits now, counted up to ``at_most``."""
    row = await tx.fetchrow(_LOOK, at_most)
    assert row is not None, "a list of scalars always answers"
    return Queues(row["events"], row["events_since"], row["jobs"], row["jobs_failed"])
