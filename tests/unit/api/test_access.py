"""Every real route of the merchant API against every kind of key."""

from __future__ import annotations

import re

import pytest

from gstable_server.cli.openapi import every_route
from gstable_server.kernel.tenant import Access
from tests.unit.api.notes import Api, app_with, client_of

pytestmark = pytest.mark.anyio

ROUTES = every_route()


def test_only_reading_is_open_to_restricted_keys() -> None:
    open_posts = {
        route.path for route in ROUTES if route.method == "POST" and route.access is Access.READ
    }
    assert open_posts == {"/product/list/by/ids"}
    assert all(route.access is Access.READ for route in ROUTES if route.method == "GET")


async def test_aut_01_no_route_answers_without_a_key(api: Api) -> None:
    async with client_of(app_with(api.db, ROUTES)) as client:
        for prefix in ("/api/v1", "/payment/v1"):
            for route in ROUTES:
                path = prefix + re.sub(r"{\w+}", "1", route.path)
                answer = await client.request(route.method, path)
                assert answer.status_code == 401, path
                assert answer.json()["code"] == 200101


async def test_aut_02_a_restricted_key_writes_nowhere(api: Api) -> None:
    restricted = {"authorization": f"Bearer {await api.key(Access.READ)}"}
    async with client_of(app_with(api.db, ROUTES)) as client:
        for route in ROUTES:
            if route.access is Access.READ:
                continue
            answer = await client.request(
                route.method, "/api/v1" + route.path, headers=restricted, content=b"{"
            )
            assert answer.status_code == 403, route.path
            assert answer.json()["code"] == 200102
    assert await api.events() == 0
