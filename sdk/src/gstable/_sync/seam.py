# Generated from _async/seam.py by sdk/scripts/unasync.py. Do not edit.
# isort: skip_file
# fmt: off
"""What touches the clock and chance, in one object that tests replace."""

from collections.abc import Callable
from dataclasses import dataclass
from random import random
from time import monotonic, time
from uuid import uuid4


def _sleep(seconds: float) -> None:
    import time

    time.sleep(seconds)


def _mint_key() -> str:
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class Seam:
    """`now`: Unix seconds; `chance`: 0 to 1; `mint_key`: a fresh idempotency key; `monotonic`:
    seconds of a clock that nobody sets."""

    sleep: Callable[[float], None] = _sleep
    now: Callable[[], float] = time
    chance: Callable[[], float] = random
    mint_key: Callable[[], str] = _mint_key
    monotonic: Callable[[], float] = monotonic
