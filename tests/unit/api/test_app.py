from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import asyncpg
import pytest

from gstable_server.api.app import ApiLimits, create_app
from gstable_server.kernel.tenant import Access
from gstable_server.plumbing.client_address import TrustedProxies
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.health import Health, database_check
from tests.unit.api.notes import ROUTES, SELDOM, Api, app_of, app_with, client_of

pytestmark = pytest.mark.anyio


async def test_both_prefixes_answer_the_same_routes(api: Api) -> None:
    for prefix in ("/api/v1", "/payment/v1"):
        answer = await api.post(f"{prefix}/note/create", {"noteName": "first"})
        assert answer.status_code == 200
        assert set(answer.json()) == {"code", "message", "data"}
        assert answer.json()["code"] == 0
        assert answer.json()["message"] == "success"
        assert answer.json()["data"]["noteName"] == "first"
    assert await api.events() == 2


async def test_a_read_route_gets_its_path_value(api: Api) -> None:
    answer = await api.get("/api/v1/note/a%20b%2Fc")
    assert answer.json()["data"] == {"noteId": "a b/c", "noteName": "live"}
    answer = await api.get("/api/v1/note/a%0Ab")
    assert answer.json()["data"] == {"noteId": "a\nb", "noteName": "live"}


async def test_every_answer_has_a_request_id_of_our_own(api: Api) -> None:
    seen = set()
    for path in ("/api/v1/note/1", "/nowhere", "/health/live", "/docs", "/api/v1/nowhere"):
        answer = await api.client.get(path, headers={"x-request-id": "forged"})
        seen.add(answer.headers["x-request-id"])
        assert answer.headers.get_list("x-request-id") == [answer.headers["x-request-id"]]
    assert len(seen) == 5
    assert all(identifier.startswith("req_") for identifier in seen)


async def test_a_refusal_is_http_200_with_its_code_and_changes_nothing(api: Api) -> None:
    answer = await api.post("/api/v1/note/create", {"noteName": "refuse"})
    assert answer.status_code == 200
    assert answer.json() == {"code": 100102, "message": "Payment link is archived", "data": None}
    assert await api.events() == 0


async def test_our_own_fault_is_500_without_a_word_of_the_cause(api: Api) -> None:
    answer = await api.post("/api/v1/note/create", {"noteName": "break"})
    assert answer.status_code == 500
    assert answer.json() == {"code": 999999, "message": "Internal system error", "data": None}
    assert answer.headers["x-request-id"].startswith("req_")
    assert "secret" not in answer.text


async def test_an_unknown_route_is_404_in_the_envelope(api: Api) -> None:
    for path in (
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/note",
        "/api/v1/note/1/",
        "/api/v2/x",
    ):
        answer = await api.client.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["code"] == 400101
        assert answer.json()["data"] is None


async def test_a_wrong_method_is_405_and_says_which_are_right(api: Api) -> None:
    answer = await api.client.request("DELETE", "/api/v1/note/1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    answer = await api.client.request("PUT", "/payment/v1/note/create")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    answer = await api.client.post("/health/live")
    assert answer.status_code == 405
    assert answer.json()["code"] == 400101


async def test_api_27_paths_are_routed_as_they_were_sent(api: Api) -> None:
    """An encoded slash divides nothing, dots climb nowhere, and no header changes the method."""
    for path in (
        "/api/v1/note%2fcreate/../x",
        "/api/v1/%6eote/1/2",
        "/api/v1/note/create;a=b/..",
        "/api%2fv1/note/1",
        "/public/api/v1/..%2f..%2fapi/v1/note/1",
    ):
        answer = await api.client.get(path, headers={"authorization": f"Bearer {api.secret}"})
        assert answer.status_code == 404, path
    answer = await api.get("/api/v1/note/1", **{"x-http-method-override": "POST"})
    assert answer.json()["data"]["noteId"] == "1"
    answer = await api.post("/api/v1/note/%2e%2e%2fcreate", {"noteName": "x"})
    assert answer.status_code == 405
    assert await api.events() == 0


async def test_aut_14_only_listed_paths_exist(api: Api) -> None:
    for path in (
        "/.env", "/debug", "/metrics", "/redoc", "/static/..%2f..%2fsigner.key", "/../signer.key",
        "/docs/../../etc/passwd", "/docs/style.css/x", "/openapi.yaml", "/admin",
    ):  # fmt: skip
        answer = await api.client.get(path)
        assert answer.status_code == 404, path


async def test_public_capabilities_need_no_key(api: Api) -> None:
    answer = await api.client.get("/public/api/v1/capabilities/all")
    assert answer.json() == {"code": 0, "message": "success", "data": {"supportedTokens": []}}


async def test_ops_14_health_tells_a_live_process_from_one_that_can_work(
    database_url: str, database: Database
) -> None:
    at_once = Health([replace(database_check(database), kept_seconds=0)])
    app = create_app(database, [], capabilities=dict, health=at_once)
    parts = urlsplit(database_url)
    name = parts.path.removeprefix("/")
    connection = await asyncpg.connect(parts._replace(path="/postgres").geturl())
    async with client_of(app) as client:
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 200
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:
            await database.pool.expire_connections()
            answer = await client.get("/health/ready")
            assert answer.status_code == 503
            assert answer.json()["code"] == 999999
            assert (await client.get("/health/live")).status_code == 200
        finally:
            await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await connection.close()
        assert (await client.get("/health/ready")).status_code == 200


async def test_api_32_a_key_that_asks_too_often_waits(api: Api) -> None:
    limits = ApiLimits(key_rate=SELDOM, key_burst=3, address_rate=1000, address_burst=1000)
    other = await api.key(Access.READ)
    async with client_of(app_of(api.db, limits)) as client:
        headers = {"authorization": f"Bearer {api.secret}"}
        answers = await asyncio.gather(
            *(
                client.get("/api/v1/note/1", headers={**headers, "x-forwarded-for": f"10.0.0.{n}"})
                for n in range(30)
            )
        )
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) == 27
        assert refused[0].json()["code"] == 900101
        assert int(refused[0].headers["retry-after"]) >= 1
        answer = await client.get("/api/v1/note/1", headers={"authorization": f"Bearer {other}"})
        assert answer.status_code == 200


async def test_api_32_a_public_door_counts_addresses_and_believes_no_header(api: Api) -> None:
    limits = ApiLimits(address_rate=SELDOM, address_burst=5)
    app = app_of(api.db, limits)
    path = "/public/api/v1/capabilities/all"
    async with client_of(app) as client, client_of(app, "192.0.2.2") as neighbour:
        statuses = [
            (await client.get(path, headers={"x-forwarded-for": f"10.0.0.{n}"})).status_code
            for n in range(8)
        ]
        assert statuses[:5] == [200] * 5
        assert statuses[-1] == 429
        assert (await neighbour.get(path)).status_code == 200


async def test_api_32_behind_a_proxy_each_client_has_a_count_of_its_own(api: Api) -> None:
    limits = ApiLimits(address_rate=SELDOM, address_burst=2)
    app = app_with(api.db, ROUTES, limits, proxies=TrustedProxies.from_text("192.0.2.1"))
    path = "/public/api/v1/capabilities/all"
    async with client_of(app, "192.0.2.1") as proxy:
        statuses = [
            (
                await proxy.get(path, headers={"x-forwarded-for": f"10.0.0.{n}, {client}"})
            ).status_code
            for client in ("203.0.113.9", "2001:db8::9")
            for n in range(6)
        ]
        assert statuses[:2] == statuses[6:8] == [200, 200]
        assert statuses[5] == statuses[11] == 429


async def test_api_32_guessing_keys_is_slowed_down_and_good_keys_are_not(api: Api) -> None:
    limits = ApiLimits(address_rate=SELDOM, address_burst=4)
    async with client_of(app_of(api.db, limits)) as client:
        good = {"authorization": f"Bearer {api.secret}"}
        assert (await client.get("/api/v1/note/1", headers=good)).status_code == 200
        guesses = [
            (
                await client.get(
                    "/api/v1/note/1", headers={"authorization": f"Bearer sk_live_{n:040d}"}
                )
            ).status_code
            for n in range(7)
        ]
        assert guesses[:4] == [401] * 4
        assert guesses[-1] == 429
        assert (await client.get("/api/v1/note/1", headers=good)).status_code == 200
