"""Receivers that misbehave at the level of bytes: each try ends in time, little is read, and it is
on record and made again."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from typing import cast

import pytest

from gstable_server.kernel.clock import UnixSeconds
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.http_client import GuardedClient
from gstable_server.plumbing.testing import FakeClock
from gstable_server.webhooks.signing import gstable_signature
from tests.unit.webhooks.support import (
    attempts,
    deliver_due,
    messages,
    new_endpoint,
    new_tenant,
    receiving,
    tell,
)

pytestmark = pytest.mark.anyio

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def behaving(behave: Behaviour) -> AsyncIterator[str]:
    """A server that reads a request and then does as it likes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(cast("asyncio.Task[None]", asyncio.current_task()))
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            own = writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
            writer.transport.set_write_buffer_limits(high=0)
            await behave(writer)

    serving: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip_head(writer: asyncio.StreamWriter) -> None:
    for byte in HEAD + b"x: " + b"y" * 1000:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)


async def drip_body(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"content-length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def many_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"".join(b"h%d: x\r\n" % number for number in range(10_000)) + b"\r\n")
    await writer.drain()


async def no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff SSH-2.0 what?\r\n\r\n")


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"content-length: 1000\r\n\r\nhalf")
    await writer.drain()
    own = writer.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


FAULTS = [
    (silence, "timeout"),
    (drip_head, "timeout"),
    (drip_body, "timeout"),
    (many_headers, "invalid_answer"),
    (no_http, "invalid_answer"),
    (reset, "invalid_answer"),
]


@pytest.mark.parametrize(("behave", "error"), FAULTS, ids=[one.__name__ for one, _ in FAULTS])
async def test_whk_06_a_hostile_answer_ends_in_time_and_is_tried_again(
    database: Database, http: GuardedClient, clock: FakeClock, behave: Behaviour, error: str
) -> None:
    async with behaving(behave) as url:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, url)
        await tell(database, tenant)
        seconds = 0.3 if error == "timeout" else 60
        assert await deliver_due(database, http, timeout_seconds=seconds) == 1
        [attempt] = await attempts(database)
        assert attempt["status_code"] is None
        assert attempt["error"].startswith(error)
        [message] = await messages(database)
        assert message.state == "pending"
        assert message.wait is not None
        clock.advance(2)
        assert await deliver_due(database, http, timeout_seconds=seconds) == 1
        assert len(await attempts(database)) == 2


@pytest.mark.parametrize(
    "head", [b"content-length: 100000000\r\n\r\n", b"\r\n"], ids=["100mb", "endless"]
)
async def test_whk_06_of_a_long_answer_only_the_beginning_is_read(
    database: Database, http: GuardedClient, head: bytes
) -> None:
    """2xx came in time, so the letter is delivered (spec 15); the rest is not waited for."""
    sent = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(HEAD + head)
        for _ in range(10_000):
            writer.write(b"x" * 10_000)
            await writer.drain()
            sent += 10_000

    async with behaving(pour) as url:
        tenant = await new_tenant(database)
        await new_endpoint(database, tenant, url)
        await tell(database, tenant)
        assert await deliver_due(database, http) == 1
        [attempt] = await attempts(database)
    assert (attempt["status_code"], len(attempt["response"])) == (200, 1_000)
    # 64 KiB that were read, and what the buffers of both systems hold.
    assert sent < 1_000_000


async def test_whk_16_what_is_signed_is_what_is_sent(
    database: Database, http: GuardedClient
) -> None:
    odd = {
        "sessionData": {
            "sessionId": "sess.with.dots",
            "amount": 2**63 + 1,
            "name": 'Käse ☕ \u2028 \\ "quoted" \x7f',
            "metadata": {f"key{number}": "ü" * 200 for number in range(500)},
        }
    }
    async with receiving() as receiver:
        tenant = await new_tenant(database)
        endpoint = await new_endpoint(database, tenant, receiver.url)
        await tell(database, tenant, payload=odd)
        await deliver_due(database, http)
        [letter] = receiver.letters
    assert json.loads(letter.body)["payload"] == odd
    assert len(letter.body) > 100_000
    at = UnixSeconds(int(letter.headers["x-gstable-timestamp"]))
    signed = gstable_signature(endpoint.keys.current, at, letter.body)
    assert letter.headers["x-gstable-signature"] == signed
    assert letter.headers["content-length"] == str(len(letter.body))
