"""New blocks as a provider announces them over a WebSocket (``eth_subscribe``): a reason to look
at once, and nothing that is believed. Announcements are lost whenever a connection is; the poll
finds the block a little later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
import structlog

log = structlog.get_logger(__name__)

BACK_OFF_SECONDS = (1.0, 60.0)
SILENCE_SECONDS = 30.0
"""A connection that does not answer its pings for so long is given up."""
MESSAGE_BYTES_MAX = 1 << 20
_SUBSCRIBE = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}


async def watch_heads(url: str, wake: Callable[[], None], stop: asyncio.Event) -> None:
    """Call ``wake`` whenever ``url`` announces a block, until ``stop``."""
    listening = asyncio.create_task(_listen_again_and_again(url, wake))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((listening, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def _listen_again_and_again(url: str, wake: Callable[[], None]) -> None:
    least, most = BACK_OFF_SECONDS
    pause = least
    while True:  # bounded: cancelled when the process stops, and it waits in every turn
        try:
            async with aiohttp.ClientSession() as session:
                await _listen(session, url, wake)
            pause = least
        except (TimeoutError, aiohttp.ClientError, OSError) as failure:
            # Such a URL often holds a secret key, and errors of the client quote it whole.
            host = urlsplit(url).netloc.rpartition("@")[2]
            status = getattr(failure, "status", None)
            reason = type(failure).__name__
            log.warning("no announcements", host=host, reason=reason, status=status)
        await asyncio.sleep(pause)
        pause = min(pause * 2, most)


async def _listen(session: aiohttp.ClientSession, url: str, wake: Callable[[], None]) -> None:
    async with session.ws_connect(
        url, heartbeat=SILENCE_SECONDS, max_msg_size=MESSAGE_BYTES_MAX
    ) as connection:
        await connection.send_json(_SUBSCRIBE)
        # What was mined before this moment was not announced.
        async for _message in connection:
            wake()
