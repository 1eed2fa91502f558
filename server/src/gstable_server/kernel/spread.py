"""Waits that are spread, so that many who wait for the same thing do not come back at once."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256


def spread(seconds: int, seed: str, permille: int) -> timedelta:
    """``seconds`` ± at most ``permille`` thousandths; the same ``seed`` always gets the same."""
    digest = sha256(seed.encode()).digest()
    shift = int.from_bytes(digest[:8]) % (2 * permille + 1) - permille
    return timedelta(milliseconds=seconds * (1000 + shift))
