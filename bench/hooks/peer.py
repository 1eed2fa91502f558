"""The peer: procrastinate, a job queue on PostgreSQL, with httpx, as their guides show them."""

from __future__ import annotations

import os
import time

import httpx
import procrastinate
import uvloop

from gstable_server.kernel.clock import UnixSeconds
from gstable_server.kernel.ids import EventId
from gstable_server.webhooks.signing import signature_headers

CONCURRENCY = 100
TIMEOUT_SECONDS = 15

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ.get("DATABASE_URL", ""))
)
_clients: list[httpx.AsyncClient] = []


@app.task(name="deliver", retry=procrastinate.RetryStrategy(max_attempts=13, exponential_wait=2))
async def deliver(event_id: str, url: str, key: str, body: str) -> None:
    """Send one letter; raises, and is tried again, when it was not taken."""
    content = body.encode()
    at = UnixSeconds(int(time.time()))
    headers = signature_headers((key,), EventId(event_id), at, content)
    headers["content-type"] = "application/json"
    answer = await _clients[0].post(url, content=content, headers=headers)
    answer.raise_for_status()


async def main() -> None:
    """Deliver until the process is ended."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=CONCURRENCY)
    async with (
        app.open_async(),
        httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits) as client,
    ):
        _clients.append(client)
        print("ready", flush=True)
        await app.run_worker_async(concurrency=CONCURRENCY)


if __name__ == "__main__":
    uvloop.run(main())
