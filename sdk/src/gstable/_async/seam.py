"""What touches the clock and chance, in one object that tests replace."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import random
from time import monotonic, time
from uuid import uuid4


async def _sleep(seconds: float) -> None:
    import anyio  # slow to import, needed only before a retry

    await anyio.sleep(seconds)


def _mint_key() -> str:
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class AsyncSeam:
    """`now`: Unix seconds; `chance`: 0 to 1; `mint_key`: a fresh idempotency key; `monotonic`:
    seconds of a clock that nobody sets."""

    sleep: Callable[[float], Awaitable[None]] = _sleep
    now: Callable[[], float] = time
    chance: Callable[[], float] = random
    mint_key: Callable[[], str] = _mint_key
    monotonic: Callable[[], float] = monotonic
