"""The merchant's webhook receiver: keeps what arrived, verified or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from gstable import Event, GStableError, webhooks


class Receiver:
    """What arrived so far. ``secret`` is the endpoint's key, once it is known."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = ""
        self.events: dict[str, Event] = {}
        """By their id, in the order in which each first arrived."""
        self.repeated = 0
        self.unverified = 0

    def take(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Keep one delivery."""
        try:
            event = webhooks.verify(body, headers, self.secret)
        except GStableError:
            self.unverified += 1
            return
        self.repeated += event.event_id in self.events
        self.events.setdefault(event.event_id, event)

    async def receive(self, request: web.Request) -> web.Response:
        """Answer that it arrived, once it is kept."""
        self.take(await request.read(), dict(request.headers))
        return web.Response(status=204)

    @property
    def overtaken(self) -> int:
        """How many first arrived behind a later event of the same object, as retries may."""
        newest: dict[str, int] = {}
        count = 0
        for event in self.events.values():
            sequence = event.sequence or 0
            count += sequence < newest.get(event.object_id, 0)
            newest[event.object_id] = max(sequence, newest.get(event.object_id, 0))
        return count


@asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    """A receiver on a free port of this machine, until the end of the block."""
    receiver = Receiver()
    app = web.Application(client_max_size=1 << 20)
    app.router.add_post("/", receiver.receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/"
    try:
        yield receiver
    finally:
        await runner.cleanup()
