"""Something that a process does again and again, and its pauses between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def regularly(act: Callable[[], Awaitable[None]], seconds: float) -> AsyncIterator[None]:
    """``act`` with a pause of so many seconds before each time, and once more at the end."""
    acting = asyncio.create_task(_always(act, seconds))
    try:
        yield
    finally:
        acting.cancel()
        await asyncio.gather(acting, return_exceptions=True)
        await act()


async def pause(until: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until the event."""
    with suppress(TimeoutError):
        await asyncio.wait_for(until.wait(), seconds)


async def _always(act: Callable[[], Awaitable[None]], seconds: float) -> None:
    task = asyncio.current_task()
    assert task is not None
    # Asked, because a connection that is lost while it is given back hides the cancellation.
    while not task.cancelling():
        await asyncio.sleep(seconds)
        await act()
