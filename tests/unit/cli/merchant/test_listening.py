"""What ``listen`` sends to a local server, over real HTTP, and what it says of the answer."""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from gstable import Event, webhooks
from gstable_server.cli.merchant import listening
from gstable_server.cli.merchant.connection import MerchantFailed
from gstable_server.cli.merchant.listening import Forwarder, letter
from gstable_server.webhooks import wire

pytestmark = pytest.mark.anyio
SECRET = "wkk_0123456789abcdef"
EVENT = Event(
    event_id="evt_1",
    event_type="session.paid",
    business_type="session",
    occurrence="2026-01-02 03:04:05",
    is_subscribable=True,
    sequence=7,
    api_version="v1",
    payload={"sessionData": {"sessionId": "sess_1", "metadata": {"é": [1, 2.5, None]}}},
)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Local:
    """A developer's server: what it was asked, and how it answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.answer: Answer | None = None
        self.status = 204
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hooks?a=1"
        self.runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._receive)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): text for name, text in request.headers.items()}
        self.asked.append((headers, await request.read()))
        if self.answer is not None:
            return await self.answer(request)
        return web.Response(status=self.status, headers={"location": self.url})

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()


@pytest.fixture
async def local() -> AsyncIterator[Local]:
    made = Local()
    yield made
    await made.stop()


@pytest.fixture
async def forwarder(local: Local) -> AsyncIterator[Forwarder]:
    async with aiohttp.ClientSession() as http:
        yield Forwarder(http, local.url, SECRET)


async def test_both_signatures_prove_the_letter(local: Local, forwarder: Forwarder) -> None:
    await local.start()
    forwarded = await forwarder.forward(EVENT)
    assert (forwarded.status, forwarded.problem, forwarded.is_accepted) == (204, None, True)
    [(headers, body)] = local.asked
    ours = {name: text for name, text in headers.items() if name.startswith("x-gstable-")}
    standard = {name: text for name, text in headers.items() if name.startswith("webhook-")}
    assert (len(ours), len(standard)) == (2, 3)
    for half in (ours, standard):
        assert webhooks.verify(body, half, SECRET) == EVENT
    Webhook(b64encode(SECRET.encode()).decode()).verify(body, standard)
    assert headers["webhook-id"] == "evt_1"
    assert headers["user-agent"] == "GStable/1.0"
    assert headers["content-type"] == "application/json"


def test_the_letter_is_the_one_that_endpoints_get() -> None:
    sealed = wire.seal(
        {
            "eventId": "evt_1",
            "eventType": "session.paid",
            "businessType": "session",
            "occurrence": "2026-01-02 03:04:05",
            "isSubscribable": True,
            "payload": EVENT.payload,
            "sequence": 7,
            "apiVersion": "v1",
        }
    )
    assert letter(EVENT) == sealed
    assert json.loads(letter(replace(EVENT, business_type="")))["businessType"] is None


@pytest.mark.parametrize("status", [200, 302, 404, 500])
async def test_any_answer_ends_with_the_event(
    local: Local, forwarder: Forwarder, status: int
) -> None:
    await local.start()
    local.status = status
    forwarded = await forwarder.forward(EVENT)
    assert (forwarded.status, forwarded.is_accepted) == (status, status == 200)
    assert len(local.asked) == 1


async def test_a_server_that_comes_up_meanwhile_gets_it(
    local: Local, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "LOOK_SECONDS", 0.01)
    waiting = asyncio.create_task(forwarder.forward(EVENT))
    await asyncio.sleep(0.05)
    await local.start()
    assert (await waiting).status == 204
    assert len(local.asked) == 1


async def test_a_server_that_stays_away_is_waited_for_once(
    local: Local, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(listening, "DOWN_SECONDS", 0.05)
    first = await forwarder.forward(EVENT)
    assert (first.status, first.problem) == (None, "nothing listens there")
    monkeypatch.setattr(listening, "DOWN_SECONDS", 3600)
    assert (await forwarder.forward(EVENT)).problem == "nothing listens there"
    await local.start()
    assert (await forwarder.forward(EVENT)).is_accepted


async def test_a_server_that_hangs_or_breaks_off_is_told(
    local: Local, forwarder: Forwarder
) -> None:
    await local.start()

    async def hang(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async def break_off(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    local.answer = hang
    timeout = aiohttp.ClientTimeout(total=0.3)
    async with aiohttp.ClientSession(timeout=timeout) as impatient:
        hung = await Forwarder(impatient, local.url, SECRET).forward(EVENT)
    assert (hung.status, hung.problem) == (None, "no answer within 15 s")
    local.answer = break_off
    broken = await forwarder.forward(EVENT)
    assert broken.status is None
    assert broken.problem is not None
    assert broken.problem.startswith("the answer broke off")


async def test_what_is_no_address_ends_the_verb(forwarder: Forwarder) -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(MerchantFailed, match="no address"):
            await Forwarder(http, "http://", SECRET).forward(EVENT)
