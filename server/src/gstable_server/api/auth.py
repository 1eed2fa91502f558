"""Who is calling: exactly one ``Authorization: Bearer <key>`` (spec 2, Auth)."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from gstable_server.accounts import operations as accounts
from gstable_server.api.exchange import Scope, header_values
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.tenant import Caller
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.limits import RateLimiter

CACHED_SECONDS = 0.9
CACHED_MAX = 10_000


def bearer_secret(scope: Scope) -> str:
    """The presented key. Raises ``Refused`` (401) unless the header is there once and well formed.

    Two headers are refused and not chosen from: two readers might choose differently.
    """
    values = header_values(scope, b"authorization")
    if len(values) != 1:
        raise Refused(Code.KEY_INVALID, "send exactly one Authorization header")
    scheme, _, secret = values[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not secret or " " in secret:
        raise Refused(Code.KEY_INVALID, "send Authorization: Bearer <key>")
    return secret


class KeyRing:
    """Looks keys up, and remembers a good one for less than a second.

    The memory is this process's own, so a revoked key dies everywhere within that second.
    Addresses that present bad keys are slowed down; a key that was good before is never asked to
    wait for what others at its address do.
    """

    def __init__(
        self,
        db: Database,
        failures: RateLimiter,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._failures = failures
        self._monotonic = monotonic
        self._known: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    async def caller(self, secret: str, subject: str) -> Caller:
        """The key's owner and rights. ``subject`` is what bad keys are counted against.

        Raises ``Refused``: 200101 or 200103 with 401, 900101 with 429.
        """
        digest = hashlib.sha256(secret.encode("latin-1")).digest()
        known = self._known.get(digest)
        if known is not None and self._monotonic() < known[1]:
            return known[0]
        if known is None:
            require_turn(self._failures.wait(subject))
        asked_at = self._monotonic()
        try:
            async with self._db.read() as tx:
                caller = await accounts.authenticate(tx, secret)
        except Refused:
            self._known.pop(digest, None)
            self._failures.take(subject)
            raise
        self._known[digest] = (caller, asked_at + CACHED_SECONDS)
        self._known.move_to_end(digest)
        if len(self._known) > CACHED_MAX:
            self._known.popitem(last=False)
        return caller


def require_turn(wait: int | None) -> None:
    """Raise ``Refused`` (429 with ``Retry-After``) if ``wait`` is a number of seconds."""
    if wait is not None:
        raise Refused(Code.TOO_MANY_REQUESTS, retry_after=wait)
