"""Connections of processes that no longer read: ended, so that others can go on.

A frozen process in the middle of a long answer keeps its transaction open, and no timeout of
PostgreSQL ends it: the server waits for the client to read on. Over TCP the kernel gives up
(``db.LETS_GO``); over a Unix socket, and where a proxy reads on its behalf, nobody does.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from gstable_server.plumbing.db import SILENCE_SECONDS, Tx

log = structlog.get_logger(__name__)

# Of our own processes only: a backup with the same user reads slowly and is to be left alone.
_END = """
SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
AND application_name LIKE 'gstable%'
AND state = 'active' AND wait_event = 'ClientWrite'
AND query_start < clock_timestamp() - $1::interval
"""


async def end(tx: Tx, after: timedelta = timedelta(seconds=SILENCE_SECONDS)) -> int:
    """End connections of ours whose answer has not been read for ``after``; for the timetable.
    Returns how many."""
    rows = await tx.fetch(_END, after)
    for row in rows:
        log.warning("ended a connection whose process does not read", pid=row["pid"])
    return len(rows)
