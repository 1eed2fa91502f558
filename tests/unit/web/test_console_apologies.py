"""A fault of the server is told to people in the console's own look, and to programs as JSON."""

from __future__ import annotations

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gstable_server.api.app import create_app
from gstable_server.plumbing.db import Database
from gstable_server.web.base import Pages
from gstable_server.web.dashboard.apologies import Apologies
from tests.unit.web.shop import PUBLIC_URL

pytestmark = pytest.mark.anyio

PERSON = {"accept": "text/html,*/*;q=0.8"}


async def _fail(_request: Request) -> Response:
    raise RuntimeError("the cause")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_fault_is_a_page_that_says_what_to_do(database: Database, method: str) -> None:
    client = _client(database)
    async with client:
        answer = await client.request(method, "/dashboard/test/keys?older=key_1", headers=PERSON)
        german = await client.get("/dashboard", headers={**PERSON, "accept-language": "de"})
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-request-id"] in answer.text
    assert "the cause" not in answer.text
    # A form is not sent twice by a link.
    assert ('href="/dashboard/test/keys?older=key_1"' in answer.text) == (method == "GET")
    assert ("Look whether it was done" in answer.text) == (method == "POST")
    assert '<html lang="de"' in german.text
    assert "Something went wrong" not in german.text


async def test_programs_and_other_doors_get_json(database: Database) -> None:
    async with _client(database) as client:
        program = await client.get("/dashboard/test/keys")
        elsewhere = await client.get("/pictures", headers=PERSON)
    assert {program.status_code, elsewhere.status_code} == {500}
    assert program.json()["code"] == elsewhere.json()["code"] == 999999


def _client(database: Database) -> AsyncClient:
    routes = [
        Route("/dashboard{rest:path}", _fail, methods=["GET", "POST"]),
        Route("/pictures", _fail),
    ]
    app = create_app(
        database,
        [],
        capabilities=dict,
        extra_routes=routes,
        apologize=Apologies(Pages.load()).page,
    )
    return AsyncClient(transport=ASGITransport(app=app), base_url=PUBLIC_URL)
