"""What many measured times come to."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds of all measurements of one kind."""

    count: int
    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Result:
        """Percentiles by nearest rank: below 100 measurements p99 is the longest."""
        ordered = sorted(seconds)
        rank = -(-99 * len(ordered) // 100)
        return cls(len(ordered), statistics.median(ordered), ordered[rank - 1], ordered[-1])
