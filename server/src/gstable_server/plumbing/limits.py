"""Rate limits held in this process: each subject may do so much a second, with a burst on top.

Kept as one number per subject (the generic cell rate algorithm): the instant at which its bucket
would be full again. Memory is bounded: subjects whose bucket is full need no row, and beyond the
bound the one that was quiet for longest is forgotten.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

SUBJECTS_MAX = 50_000


class RateLimiter:
    """``rate`` a second and ``burst`` at once, counted per subject on a monotonic clock."""

    def __init__(
        self,
        rate: float,
        burst: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        subjects_max: int = SUBJECTS_MAX,
    ) -> None:
        self._seconds_each = 1 / rate
        self._tolerance = (burst - 1) / rate
        self._monotonic = monotonic
        self._subjects_max = subjects_max
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, subject: str) -> int | None:
        """None if ``subject`` may act now, else the whole seconds to wait, at least 1."""
        now = self._monotonic()
        excess = self._full_at.get(subject, now) - now - self._tolerance
        # Rounding of the clock must not cost the last one of a burst.
        return max(1, math.ceil(excess)) if excess > 1e-9 else None

    def take(self, subject: str) -> int | None:
        """Count one act of ``subject``; answers like ``wait``, and then counts nothing."""
        wait = self.wait(subject)
        if wait is None:
            now = self._monotonic()
            self._full_at[subject] = max(self._full_at.get(subject, now), now) + self._seconds_each
            self._full_at.move_to_end(subject)
            if len(self._full_at) > self._subjects_max:
                self._full_at.popitem(last=False)
        return wait


def address_subject(address: str) -> str:
    """The subject that a client address is counted as: an IPv6 customer owns a whole /64."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64))
