"""``Idempotency-Key``: one operation and one stored answer per key, in one transaction (spec 15).

The claim is an advisory lock of the transaction, the stored answer a row that commits with the
operation's own rows. A process that dies in between leaves neither, so the client's next try
runs the operation afresh; after the commit the next try is answered from the row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import ApiKeyId
from gstable_server.plumbing.db import Tx

KEPT_FOR = timedelta(hours=24)
KEY_LENGTH_MAX = 255

# The lock is taken and the row looked for in one statement. Should a holder commit in the blink
# between its snapshot and the lock, the insert below finds the row that this one did not.
_CLAIM = """
SELECT pg_try_advisory_xact_lock($1) AS claimed, stored.request_hash, stored.body
FROM (SELECT 1) one LEFT JOIN idempotency_keys stored
    ON stored.key_id = $2 AND stored.key = $3 AND stored.created_at > $4
"""
_STORE = """
INSERT INTO idempotency_keys (key_id, key, request_hash, body, created_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (key_id, key) DO UPDATE
    SET request_hash = excluded.request_hash, body = excluded.body,
        created_at = excluded.created_at
    WHERE idempotency_keys.created_at <= $6
RETURNING true
"""


def parse_key(text: str) -> str:
    """The header's value. Raises ``Refused`` (400101) unless 1 to 255 printable characters."""
    printable = text.isascii() and text.isprintable()
    if not 1 <= len(text) <= KEY_LENGTH_MAX or not printable:
        raise invalid_field(
            "Idempotency-Key", f"must be 1 to {KEY_LENGTH_MAX} printable ASCII characters"
        )
    return text


def request_hash(method: str, path: str, body: bytes) -> bytes:
    """What makes two requests the same: method, path without its prefix, and the body's bytes."""
    return hashlib.sha256(f"{method} {path}\n".encode() + body).digest()


async def once(
    tx: Tx,
    key_id: ApiKeyId,
    key: str,
    hashed_request: bytes,
    operate: Callable[[Tx], Awaitable[bytes]],
) -> tuple[bytes, bool]:
    """Run ``operate`` and keep its answer, or give back the answer kept; True if it was kept.

    Raises ``Refused``: 400102 for another request under the same key, 400103 while the first is
    still running. Whatever ``operate`` raises is not kept, since the transaction is rolled back.
    """
    row = await tx.fetchrow(_CLAIM, _lock_number(key_id, key), key_id, key, tx.now - KEPT_FOR)
    assert row is not None, "the select has exactly one row"
    if row["body"] is not None:
        if row["request_hash"] != hashed_request:
            raise Refused(Code.IDEMPOTENCY_MISMATCH)
        return row["body"], True
    if not row["claimed"]:
        raise Refused(Code.IDEMPOTENCY_IN_PROGRESS)
    body = await operate(tx)
    stored = await tx.fetchval(_STORE, key_id, key, hashed_request, body, tx.now, tx.now - KEPT_FOR)
    if not stored:
        raise Refused(Code.IDEMPOTENCY_IN_PROGRESS)
    return body, False


def _lock_number(key_id: ApiKeyId, key: str) -> int:
    digest = hashlib.sha256(f"idempotency {key_id} {key}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


async def purge(tx: Tx) -> int:
    """Forget the answers that are older than 24 hours; how many there were."""
    status = await tx.execute(
        "DELETE FROM idempotency_keys WHERE created_at <= $1", tx.now - KEPT_FOR
    )
    return int(status.split()[-1])
