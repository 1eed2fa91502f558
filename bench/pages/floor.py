"""The floor: the same streams written by hand. One ASGI function on uvicorn, one connection that
listens, one select for all that changed; no limits, no words, nothing that makes up for a lost
notification.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import uvicorn

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_STATES = "SELECT session_id, state FROM sessions WHERE session_id = ANY($1)"
_HEIGHT = "SELECT max(number) FROM chain_blocks"
_FIRST = "SELECT block_number FROM payments WHERE session_id = ANY($1) LIMIT 1"
HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]


class Floor:
    """The ASGI application."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._pages: dict[str, set[asyncio.Queue[bytes]]] = defaultdict(set)
        self._due: set[str] = set()
        self._moved = False
        self._wake = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        session_id = scope["path"].split("/")[2]
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._pages[session_id].add(queue)
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        text = b'data: {"state":"initialized"}\n\n'
        while True:  # bounded: by the life of this process
            await send({"type": "http.response.body", "body": text, "more_body": True})
            text = await queue.get()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        connection = await asyncpg.connect(self._database_url)
        reader = await asyncpg.connect(self._database_url)
        await connection.add_listener("gstable_sessions", self._changed)
        await connection.add_listener("gstable_frontier", self._blocked)
        task = asyncio.create_task(self._tell(reader))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        task.cancel()
        await connection.close()
        await reader.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _changed(self, *told: Any) -> None:
        self._due.add(told[3])
        self._wake.set()

    def _blocked(self, *_: Any) -> None:
        self._moved = True
        self._wake.set()

    async def _tell(self, reader: asyncpg.Connection[Any]) -> None:
        while True:  # bounded: by the life of this process
            await self._wake.wait()
            self._wake.clear()
            due, self._due = self._due, set()
            moved, self._moved = self._moved, False
            for row in await reader.fetch(_STATES, list(due)) if due else ():
                for queue in self._pages.get(row["session_id"], ()):
                    queue.put_nowait(b'data: {"state":"%s"}\n\n' % row["state"].encode())
            if moved:
                first = await reader.fetchval(_FIRST, list(self._pages))
                count = await reader.fetchval(_HEIGHT) - (first or 0) + 1
                for queues in self._pages.values():
                    for queue in queues:
                        queue.put_nowait(b'data: {"count":%d,"needed":0}\n\n' % count)


def main() -> None:
    """Serve on the port that the command line names."""
    uvicorn.run(
        Floor(os.environ["DATABASE_URL"]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
