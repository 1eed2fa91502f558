"""How whoever uses the installation bears its faults: ask again, and give up late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
import asyncpg

from gstable import GStableError
from gstable_server.chain.rpc import NodeRefused
from gstable_server.cli.payer import PaymentFailed
from gstable_server.kernel.errors import Passing

R = TypeVar("R")

LIMIT_SECONDS = 900.0
"""What takes longer is lost. More than any fault lasts, also on a machine that is shared and slow,
where the API is killed again as soon as it is there."""
AGAIN_SECONDS = 0.5

TROUBLE = (
    *(aiohttp.ClientError, OSError, TimeoutError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
    *(GStableError, NodeRefused, Passing, PaymentFailed),
    # An error page in the place of what was asked for.
    *(ValueError, KeyError),
)


class GivenUp(Exception):
    """Something did not happen in the time that is allowed; the text says what."""


async def patiently(
    what: str, work: Callable[[], Awaitable[R]], seconds: float = LIMIT_SECONDS
) -> R:
    """What ``work`` answers in the end. Raises ``GivenUp``."""
    deadline = time.monotonic() + seconds
    while True:  # bounded: by the deadline
        try:
            return await work()
        except TROUBLE as trouble:
            if time.monotonic() > deadline:
                raise GivenUp(f"{what}: {type(trouble).__name__} {trouble}") from trouble
        await asyncio.sleep(AGAIN_SECONDS)


async def until(
    what: str, condition: Callable[[], Awaitable[bool]], seconds: float = LIMIT_SECONDS
) -> float:
    """Wait until it holds, and how many seconds that took. Raises ``GivenUp``."""
    began = time.monotonic()
    while True:  # bounded: by the seconds
        try:
            if await condition():
                return time.monotonic() - began
            reason = "not yet"
        except TROUBLE as trouble:
            reason = f"{type(trouble).__name__} {trouble}"
        if time.monotonic() - began > seconds:
            raise GivenUp(f"not within {seconds:.0f} s: {what} ({reason})")
        await asyncio.sleep(AGAIN_SECONDS / 5)


class Book:
    """Questions to the database, each on a connection of its own, so that none is kept."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def rows(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """The rows of an answer. Raises the driver's error while the database is away."""
        connection = await asyncpg.connect(self._url, timeout=10)
        try:
            return list(await connection.fetch(query, *arguments, timeout=60))
        finally:
            connection.terminate()

    async def value(self, query: str, *arguments: Any) -> Any:
        """The first value of the first row."""
        [[value]] = await self.rows(query, *arguments)
        return value
