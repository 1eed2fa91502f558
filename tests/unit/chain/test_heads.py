"""Announcements of new blocks: a reason to look, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from gstable_server.chain.devnet import Devnet
from gstable_server.chain.heads import watch_heads
from gstable_server.chain.indexer import Indexer
from gstable_server.chain.testing import FakeChain
from gstable_server.plumbing.db import Database
from tests.unit.chain.indexing import NETWORK, SEEN, drain, kinds

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[asyncio.Event]:
    """An event that is set by announcements at ``url``."""
    woken, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(watch_heads(url, woken.set, stop))
    try:
        yield woken
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await task


async def wait_for(woken: asyncio.Event) -> None:
    async with asyncio.timeout(60):
        await woken.wait()
    woken.clear()


@pytest.mark.anvil
async def test_block_of_a_real_node_is_announced(devnet: Devnet) -> None:
    url = devnet.networks.network("polygon").rpc_urls[0].replace("http://", "ws://")
    async with devnet.standing_still("polygon"), watching(url) as woken:
        await wait_for(woken)  # the subscription is answered
        await devnet.mine("polygon", 1)
        await wait_for(woken)


async def test_connection_that_breaks_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gstable_server.chain.heads.BACK_OFF_SECONDS", (0.01, 0.02))
    asked: list[object] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        if len(asked) == 1:
            asked.append(None)
            return web.Response(status=503)
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        asked.append(await connection.receive_json())
        await connection.send_str("what is announced is not looked at")
        await connection.close()
        return connection

    app = web.Application()
    app.router.add_get("/", handle)
    async with TestServer(app) as server:
        url = str(server.make_url("/")).replace("http://", "ws://")
        async with watching(url) as woken:
            for _ in range(2):
                await wait_for(woken)
    assert len(asked) >= 3
    subscribed = asked[0]
    assert isinstance(subscribed, dict)
    assert (subscribed["method"], subscribed["params"]) == ("eth_subscribe", ["newHeads"])


async def test_a_refused_connection_does_not_write_the_key_in_its_url_to_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gstable_server.chain.heads.BACK_OFF_SECONDS", (0.01, 0.02))

    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=401)

    app = web.Application()
    app.router.add_get("/{key}", refuse)
    async with TestServer(app) as server:
        url = f"ws://user:PASSWORD@{server.host}:{server.port}/SECRET?key=SECRET"
        with structlog.testing.capture_logs() as written:
            async with watching(url), asyncio.timeout(60):
                while not written:
                    await asyncio.sleep(0.01)
        assert written[0]["host"] == f"{server.host}:{server.port}"
    assert written[0]["status"] == 401
    assert "SECRET" not in str(written)
    assert "PASSWORD" not in str(written)


async def test_indexer_that_is_woken_does_not_wait_for_its_poll(database: Database) -> None:
    network = replace(NETWORK, poll_milliseconds=60_000)
    chain = FakeChain(network)
    indexer = Indexer(database, network, [chain], ())
    await drain(indexer)
    stop = asyncio.Event()
    task = asyncio.create_task(indexer.run(stop))
    chain.asked.clear()
    async with asyncio.timeout(60):
        while "block_and_next" not in chain.asked:
            await asyncio.sleep(0.01)
        payment = chain.payment()
        chain.mine(payment)
        while not await kinds(database, payment):
            indexer.wake()
            await asyncio.sleep(0.01)
    assert await kinds(database, payment) == [SEEN]
    stop.set()
    async with asyncio.timeout(60):
        await task
