"""The request log of the merchant API: kept in memory for a moment, written in batches.

No request waits for it. What a process has not written when it dies is lost, half a second's worth
at most, and what comes faster than the database takes it is dropped and counted: this is an aid
for whoever writes a shop, and nothing is decided by it. Objects and events are never read from it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

import asyncpg
import structlog

from gstable_server.kernel.ids import ApiKeyId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import DATABASE_FAILED, Database, Tx
from gstable_server.plumbing.regularly import regularly

log = structlog.get_logger(__name__)

KEPT_FOR = timedelta(days=7)
ROWS_MAX = 20_000
"""Rows that wait at most, in a process; about 5 MB."""
BATCH_ROWS = 1_000
PAUSE_SECONDS = 0.5
DETAIL_LENGTH_MAX = 300
# What could be a key: long words with figures in them, but for identifiers. Names of fields have
# none.
_LONG_WORD = re.compile(r"\b[sr]k_\w+|\w{16,}")
_NO_KEY = re.compile(r"(?:acc|evt|inf|lnk|pay|prd|rfd|sess|wkid)_[A-Za-z0-9]{1,32}|[A-Za-z]{16,40}")
PURGED_ROWS = 50_000
"""Rows that one turn of the timetable deletes at most, so that it never holds much."""

# One writer at a time: whoever reads on from a number must not find a smaller one later.
_ONE_WRITER = "SELECT pg_advisory_xact_lock(hashtextextended('request_log', 0))"
_COLUMNS = (
    "merchant_id", "mode", "key_id", "request_id", "at", "method", "path", "status", "code",
    "duration_ms", "detail",
)  # fmt: skip
_AFTER = """
SELECT sequence, key_id, request_id, at, method, path, status, code, duration_ms, detail
FROM request_log WHERE merchant_id = $1 AND mode = $2 AND sequence > $3
ORDER BY sequence LIMIT $4
"""
_NEWEST = """
SELECT sequence, key_id, request_id, at, method, path, status, code, duration_ms, detail
FROM request_log WHERE merchant_id = $1 AND mode = $2 ORDER BY sequence DESC LIMIT $3
"""
_LAST = """
SELECT coalesce(max(sequence), 0) FROM request_log WHERE merchant_id = $1 AND mode = $2
"""
_PURGE = """
WITH oldest AS (SELECT sequence, at FROM request_log ORDER BY sequence LIMIT $2)
DELETE FROM request_log USING oldest
WHERE request_log.sequence = oldest.sequence AND oldest.at < $1
"""


class Outcome(StrEnum):
    """What came of a request."""

    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"
    HUNG_UP = "hung_up"


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One answered request. ``path`` shows identifiers and numbers of the request, and the name
    of anything else; ``status`` is 0 where the client went away; ``duration_ms`` milliseconds;
    ``detail`` is what a refusal said behind its code's message (``without_secrets``)."""

    tenant: Tenant
    key_id: ApiKeyId
    request_id: str
    at: datetime
    method: str
    path: str
    status: int
    code: int | None
    duration_ms: int
    detail: str = ""

    @property
    def outcome(self) -> Outcome:
        """What came of it. Most refusals have the status 200 and a code (spec 2)."""
        if self.status == 0:
            return Outcome.HUNG_UP
        if self.status >= 500:
            return Outcome.FAILED
        is_refused = self.status >= 400 or bool(self.code)
        return Outcome.REFUSED if is_refused else Outcome.ANSWERED

    def row(self) -> tuple[object, ...]:
        """The values of ``_COLUMNS``."""
        tenant = self.tenant
        return (
            tenant.merchant_id, tenant.mode.value, self.key_id, self.request_id, self.at,
            self.method, self.path, self.status, self.code, self.duration_ms, self.detail,
        )  # fmt: skip


def without_secrets(detail: str) -> str:
    """What a refusal said, without words that could be a key that was sent in a wrong place."""

    def shown(word: re.Match[str]) -> str:
        return word[0] if _NO_KEY.fullmatch(word[0]) else "…"

    return _LONG_WORD.sub(shown, detail)[:DETAIL_LENGTH_MAX].replace("\0", "")


class RequestLog:
    """Takes rows at once, and writes them while ``kept``."""

    def __init__(self, db: Database, *, rows_max: int = ROWS_MAX) -> None:
        self._db = db
        self._rows_max = rows_max
        self._waiting: deque[LoggedRequest] = deque()
        self.dropped = 0
        self._told_dropped = 0

    def add(self, request: LoggedRequest) -> None:
        """Keep it until it is written. Drops and counts it when too many wait."""
        if len(self._waiting) >= self._rows_max:
            self.dropped += 1
        else:
            self._waiting.append(request)

    def now(self) -> datetime:
        """The time that rows are stamped with."""
        return self._db.clock.now()

    def kept(self) -> AbstractAsyncContextManager[None]:
        """Write what is added, again and again, and the rest at the end."""
        return regularly(self.write, PAUSE_SECONDS)

    async def write(self) -> None:
        """Write what waits now. While the database is away rows wait on, as far as there is room.

        Should the process die in between, they are lost. A commit whose answer is lost is
        written twice, with the same request ids.
        """
        for _ in range(len(self._waiting) // BATCH_ROWS + 1):
            batch = list(islice(self._waiting, BATCH_ROWS))
            if not batch or not await self._written(batch):
                break
            for _ in batch:
                self._waiting.popleft()
        if self.dropped > self._told_dropped:
            log.warning("request log rows dropped", rows=self.dropped - self._told_dropped)
            self._told_dropped = self.dropped

    async def _written(self, batch: Sequence[LoggedRequest]) -> bool:
        try:
            async with self._db.begin() as tx:
                await tx.execute(_ONE_WRITER)
                rows = [request.row() for request in batch]
                await tx.connection.copy_records_to_table(
                    "request_log", records=rows, columns=_COLUMNS
                )
        except DATABASE_FAILED as failure:
            log.warning("request log not written", rows=len(batch), reason=str(failure))
            return False
        return True


Numbered = tuple[int, LoggedRequest]


async def after(tx: Tx, tenant: Tenant, sequence: int, size: int) -> list[Numbered]:
    """At most ``size`` rows of a tenant that come after that number, oldest first."""
    found = await tx.fetch(_AFTER, tenant.merchant_id, tenant.mode, sequence, size)
    return [_numbered(tenant, row) for row in found]


async def newest(tx: Tx, tenant: Tenant, size: int) -> list[Numbered]:
    """The last ``size`` rows of a tenant, oldest first."""
    found = await tx.fetch(_NEWEST, tenant.merchant_id, tenant.mode, size)
    return [_numbered(tenant, row) for row in reversed(found)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests; what is None lets all pass. ``path`` is a part of it."""

    outcome: Outcome | None = None
    key_id: str | None = None
    path: str | None = None


WINDOW = 5_000
"""Requests that a page looks through at most."""
_PAGE = f"""
SELECT * FROM (
    SELECT * FROM request_log WHERE merchant_id = $1 AND mode = $2 AND sequence < $3
    ORDER BY sequence DESC LIMIT {WINDOW}) candidates
WHERE ($4::text IS NULL OR $4 = CASE WHEN status = 0 THEN 'hung_up'
        WHEN status >= 500 THEN 'failed'
        WHEN status >= 400 OR coalesce(code, 0) <> 0 THEN 'refused' ELSE 'answered' END)
    AND ($5::text IS NULL OR key_id = $5) AND ($6::text IS NULL OR strpos(path, $6) > 0)
ORDER BY sequence DESC LIMIT {{}}
"""  # noqa: S608 - a number
_WINDOW_END = f"""
SELECT sequence, count(*) OVER () AS many FROM (
    SELECT sequence FROM request_log WHERE merchant_id = $1 AND mode = $2 AND sequence < $3
    ORDER BY sequence DESC LIMIT {WINDOW}) candidates
ORDER BY sequence LIMIT 1
"""  # noqa: S608 - a number


async def page(
    tx: Tx, tenant: Tenant, wanted: Wanted, before: int, size: int
) -> tuple[list[Numbered], int | None]:
    """At most ``size`` requests that pass, newest first, of those numbered below ``before``; and
    below which number to look on, None where there are no more."""
    owner = tenant.merchant_id, tenant.mode
    values = (*owner, before, wanted.outcome, wanted.key_id, wanted.path)
    rows = await tx.fetch(_PAGE.format(size + 1), *values)
    found = [_numbered(tenant, row) for row in rows[:size]]
    if len(rows) > size:
        return found, found[-1][0]
    end = await tx.fetchrow(_WINDOW_END, *owner, before)
    return found, end["sequence"] if end is not None and end["many"] == WINDOW else None


async def find(tx: Tx, tenant: Tenant, request_id: str) -> LoggedRequest | None:
    """The tenant's request of that identifier, as long as it is kept."""
    row = await tx.fetchrow(
        "SELECT * FROM request_log WHERE request_id = $1 AND merchant_id = $2 AND mode = $3"
        " LIMIT 1",
        request_id,
        tenant.merchant_id,
        tenant.mode,
    )
    return _numbered(tenant, row)[1] if row else None


async def last_sequence(tx: Tx, tenant: Tenant) -> int:
    """The number of a tenant's newest row, 0 without one."""
    found: int = await tx.fetchval(_LAST, tenant.merchant_id, tenant.mode)
    return found


async def purge(tx: Tx) -> None:
    """Delete rows that are older than ``KEPT_FOR``, the oldest first and not all at once."""
    await tx.execute(_PURGE, tx.now - KEPT_FOR, PURGED_ROWS)


def _numbered(tenant: Tenant, row: asyncpg.Record) -> Numbered:
    return row["sequence"], LoggedRequest(
        tenant=tenant,
        key_id=ApiKeyId(row["key_id"]),
        request_id=row["request_id"],
        at=row["at"],
        method=row["method"],
        path=row["path"],
        status=row["status"],
        code=row["code"],
        duration_ms=row["duration_ms"],
        detail=row["detail"],
    )
