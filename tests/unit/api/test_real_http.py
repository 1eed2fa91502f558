"""What only a real server on a real socket can show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import uvicorn

from tests.unit.api.notes import Api, app_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def port(api: Api) -> AsyncIterator[int]:
    config = uvicorn.Config(app_of(api.db), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def _exchange(port: int, sent: bytes) -> bytes:
    """Everything that comes back until the server closes or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await writer.drain()
    received = b""
    try:
        async with asyncio.timeout(60):
            while chunk := await reader.read(65536):
                received += chunk
    except TimeoutError:
        pass
    finally:
        writer.close()
    return received


def _post(api: Api, headers: str, body: bytes, target: str = "/api/v1/note/create") -> bytes:
    head = (
        f"POST {target} HTTP/1.1\r\nHost: gstable.example\r\nAuthorization: Bearer {api.secret}\r\n"
        f"Content-Type: application/json\r\n{headers}\r\n"
    )
    return head.encode() + body


BODY = b'{"noteName":"x"}'
LENGTH = f"Content-Length: {len(BODY)}\r\n"


async def test_a_plain_request_over_a_socket(api: Api, port: int) -> None:
    received = await _exchange(port, _post(api, LENGTH + "Connection: close\r\n", BODY))
    head, body = received.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200")
    assert json.loads(body)["code"] == 0
    assert await api.events() == 1


async def test_api_27_a_smuggled_second_request_is_never_run(api: Api, port: int) -> None:
    inner = _post(api, LENGTH, BODY)
    smuggled = b"0\r\n\r\n" + inner
    both = f"Content-Length: {len(smuggled)}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    received = await _exchange(port, _post(api, both, smuggled))
    assert received.count(b"HTTP/1.1 ") <= 1
    two = f"Content-Length: {len(BODY)}\r\nContent-Length: {len(BODY) + 7}\r\nConnection: close\r\n"
    received = await _exchange(port, _post(api, two, BODY + b"GET / H"))
    assert received.startswith(b"HTTP/1.1 400")
    assert await api.events() == 0


async def test_api_27_an_absolute_target_is_its_path(api: Api, port: int) -> None:
    target = "http://other.example/api/v1/note/create"
    received = await _exchange(port, _post(api, LENGTH + "Connection: close\r\n", BODY, target))
    assert received.startswith(b"HTTP/1.1 200")
    assert await api.events() == 1


async def test_api_11_a_wrong_content_length_leaves_nothing(api: Api, port: int) -> None:
    short = f"Content-Length: {len(BODY) - 3}\r\nConnection: close\r\n"
    received = await _exchange(port, _post(api, short, BODY))
    assert b"is not valid JSON" in received
    long = f"Content-Length: {len(BODY) + 3}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_post(api, long, BODY))
    await writer.drain()
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    assert await api.events() == 0


async def test_api_11_the_connection_ends_after_a_body_too_large(api: Api, port: int) -> None:
    """The declared size alone is refused: not one byte of the body is waited for."""
    received = await _exchange(port, _post(api, "Content-Length: 900000000\r\n", b"{"))
    head, _ = received.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in head


async def test_aut_01_two_authorization_headers_on_the_wire(api: Api, port: int) -> None:
    twice = f"Authorization: Bearer {api.secret}\r\n{LENGTH}Connection: close\r\n"
    received = await _exchange(port, _post(api, twice, BODY))
    assert received.startswith(b"HTTP/1.1 401")
    assert await api.events() == 0
