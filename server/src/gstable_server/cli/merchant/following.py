"""Reads a feed on and on: through restarts of the server, and without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from gstable import GStableError
from gstable_server.cli.merchant.connection import in_words, may_pass
from gstable_server.cli.merchant.output import tell

Item = TypeVar("Item")
Ask = Callable[[str], Awaitable[tuple[Sequence[Item], str]]]
"""Asks for what comes behind a cursor; the items, and the cursor behind them."""

LOOK_SECONDS = 0.5
AWAY_SECONDS = 1.0


async def follow(ask: Ask[Item], cursor: str) -> AsyncIterator[Item]:
    """Everything behind ``cursor``, oldest first, for ever.

    A server that is away is told of once and asked again: its feed goes on from the same cursor.
    Raises ``GStableError`` for what time does not cure, such as a revoked key.
    """
    away = False
    while True:  # bounded: by the user, who interrupts it
        try:
            items, behind = await ask(cursor)
        except GStableError as failure:
            if not may_pass(failure):
                raise
            if not away:
                tell(f"{in_words(failure)}; asking again until it is back")
            away = True
            await asyncio.sleep(AWAY_SECONDS)
            continue
        if away:
            tell("it is back")
            away = False
        for item in items:
            yield item
        cursor = behind
        if not items:
            await asyncio.sleep(LOOK_SECONDS)
