"""A webhook receiver for development: keeps what arrived and shows it, verified or not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from gstable import SignatureError, webhooks

LETTERS_MAX = 10_000


class Inbox:
    """What arrived so far, oldest first. ``secret`` is the endpoint's key, once it is known."""

    def __init__(self) -> None:
        self.letters: list[dict[str, Any]] = []
        self.secret = ""
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        """Keep a delivery, with what its signature says of it."""
        body = await request.read()
        try:
            webhooks.verify(body, dict(request.headers), self.secret)
            problem = None
        except SignatureError as failure:
            problem = str(failure)
        self.letters.append(
            {
                "verified": problem is None,
                "problem": problem,
                "headers": dict(request.headers),
                "body": json.loads(body),
            }
        )
        del self.letters[:-LETTERS_MAX]
        return web.Response(status=204)

    async def show(self, _request: web.Request) -> web.Response:
        """Everything that arrived, as JSON."""
        return web.json_response(self.letters)

    def verified_types(self, object_id: str) -> list[str]:
        """The event types that arrived for an object with a valid signature, in order, once."""
        found = {}
        for letter in self.letters:
            body = letter["body"]
            if letter["verified"] and object_id in json.dumps(body["payload"]):
                found[body["eventId"]] = (body["sequence"], body["eventType"])
        return [event_type for _, event_type in sorted(found.values())]


@asynccontextmanager
async def open_inbox() -> AsyncIterator[Inbox]:
    """An inbox that listens on a free port of this machine."""
    inbox = Inbox()
    app = web.Application(client_max_size=1024 * 1024)
    app.router.add_post("/{path:.*}", inbox.receive)
    app.router.add_get("/{path:.*}", inbox.show)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    inbox.url = f"http://{host}:{port}/"
    try:
        yield inbox
    finally:
        await runner.cleanup()
