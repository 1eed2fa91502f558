from __future__ import annotations

from typing import Any

import httpx2
import pytest

from gstable_server.api.edge import Edge
from gstable_server.kernel.errors import Code, Passing, Refused
from gstable_server.plumbing.limits import RateLimiter
from gstable_server.plumbing.testing import FakeIdMint

pytestmark = pytest.mark.anyio


def _client(app: Any) -> httpx2.AsyncClient:
    edge = Edge(app, ids=FakeIdMint(), public_limiter=RateLimiter(100, 100))
    transport = httpx2.ASGITransport(edge)
    return httpx2.AsyncClient(transport=transport, base_url="http://gstable.example")


async def test_a_passing_failure_says_when_to_come_back() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise Passing("the other side is away", retry_after=7)

    async with _client(app) as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.headers["retry-after"]) == (500, "7")
    assert answer.json()["code"] == 999999
    assert "other side" not in answer.text


async def test_a_refusal_that_a_page_let_through_is_enveloped() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise Refused(Code.SESSION_EXPIRED)

    async with _client(app) as client:
        answer = await client.get("/")
    assert answer.json() == {"code": 100203, "message": "Session is expired", "data": None}


async def test_half_an_answer_is_never_finished_with_another() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("in the middle")

    async with _client(app) as client:
        with pytest.raises(ConnectionAbortedError):
            await client.get("/")


async def test_what_is_not_http_passes_untouched() -> None:
    seen = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope)

    edge = Edge(app, ids=FakeIdMint(), public_limiter=RateLimiter(1, 1))
    await edge({"type": "lifespan"}, None, None)
    assert seen == [{"type": "lifespan"}]
