from __future__ import annotations

import pytest
import structlog
from structlog.testing import LogCapture

from gstable_server.accounts import operations as accounts
from gstable_server.api import edge
from gstable_server.api.auth import CACHED_SECONDS, KeyRing
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import ApiKeyId
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.limits import RateLimiter
from tests.unit.api.notes import Api, Ticker, app_of, client_of

pytestmark = pytest.mark.anyio

PATH = "/api/v1/note/1"


async def _key_id(api: Api, tenant: Tenant | None = None) -> ApiKeyId:
    async with api.db.read() as tx:
        return (await accounts.list_keys(tx, tenant or api.tenant))[0].key_id


NO_KEYS = [
    "",
    "Bearer",
    "Bearer ",
    "Bearer  {}",
    "Bearer {} {}",
    "Bearer\t{}",
    "Basic {}",
    "{}",
    "Bearer {}x",
    "Bearer sk_live_short",
    "Bearer sk_live_" + "0" * 40,
    "Bearer sk_live_" + "é" * 40,
    "Bearer {}, Bearer {}",
]


async def test_aut_01_anything_but_one_good_key_is_401(api: Api, subtests: pytest.Subtests) -> None:
    for value in NO_KEYS:
        with subtests.test(value):
            header = value.format(api.secret, api.secret).encode("latin-1")
            answer = await api.client.get(PATH, headers=[(b"authorization", header)])
            assert answer.status_code == 401
            assert answer.json()["code"] == 200101
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_aut_01_no_header_and_a_key_in_the_query_are_401(api: Api) -> None:
    for path in (PATH, f"{PATH}?key={api.secret}", f"{PATH}?authorization=Bearer%20{api.secret}"):
        answer = await api.client.get(path)
        assert answer.status_code == 401
        assert answer.json()["code"] == 200101


async def test_aut_01_two_headers_are_refused_even_with_the_same_key(api: Api) -> None:
    header = (b"authorization", f"Bearer {api.secret}".encode())
    answer = await api.client.get(PATH, headers=[header, header])
    assert answer.status_code == 401
    assert "exactly one" in answer.json()["message"]


async def test_aut_01_the_key_is_never_logged_but_its_id_is(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    captured = LogCapture()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(), processors=[structlog.processors.format_exc_info, captured]
    )
    monkeypatch.setattr(edge, "log", logger)
    await api.get(f"{PATH}?key={api.secret}")
    await api.client.get(f"{PATH}?key={api.secret}")
    await api.post("/api/v1/note/create", {"noteName": "break"})
    lines = captured.entries
    requests = [line for line in lines if line["event"] == "request"]
    assert [line["status"] for line in requests] == [200, 401, 500]
    assert [line["code"] for line in requests] == [0, 200101, 999999]
    assert requests[0]["key_id"] == await _key_id(api)
    assert requests[0]["path"] == PATH
    assert "a secret of ours" in repr(lines), "the cause of a failure is in the log"
    assert api.secret not in repr(lines)


async def test_aut_01_authentication_comes_before_the_body(api: Api) -> None:
    answer = await api.post("/api/v1/note/create", b"{broken", authorization="Bearer nobody")
    assert answer.status_code == 401


async def test_aut_02_a_restricted_key_reads_and_does_not_write(api: Api) -> None:
    api.secret = await api.key(Access.READ)
    assert api.secret.startswith("rk_live_")
    assert (await api.get(PATH)).json()["code"] == 0
    answer = await api.post("/api/v1/note/create", {"noteName": "x"})
    assert answer.status_code == 403
    assert answer.json()["code"] == 200102
    # Permission is checked before the body, so that its errors tell nothing either.
    answer = await api.post("/api/v1/note/create", b"{broken")
    assert answer.status_code == 403
    assert await api.events() == 0


async def test_aut_02_the_key_decides_the_mode(api: Api) -> None:
    api.secret = await api.key(Access.WRITE, Mode.TEST)
    assert api.secret.startswith("sk_test_")
    assert (await api.get(PATH)).json()["data"]["noteName"] == "test"


async def test_aut_04_a_revoked_key_dies_on_every_worker_within_a_second(
    database: Database, api: Api
) -> None:
    ticker = Ticker()
    workers = [
        KeyRing(database, RateLimiter(1000, 1000), monotonic=ticker.monotonic) for _ in range(2)
    ]
    for worker in workers:
        assert (await worker.caller(api.secret, "a")).tenant == api.tenant
    async with database.begin() as tx:
        assert await accounts.revoke_key(tx, api.tenant, await _key_id(api))
    ticker.advance(CACHED_SECONDS)
    assert CACHED_SECONDS < 1
    for worker in workers:
        with pytest.raises(Refused) as refusal:
            await worker.caller(api.secret, "a")
        assert refusal.value.code is Code.KEY_REVOKED


async def test_aut_04_a_revoked_key_is_401_with_its_own_code(api: Api) -> None:
    async with api.db.begin() as tx:
        await accounts.revoke_key(tx, api.tenant, await _key_id(api))
    answer = await api.get(PATH)
    assert answer.status_code == 401
    assert answer.json() == {"code": 200103, "message": "API key is revoked", "data": None}


async def test_aut_06_an_unknown_scheme_beside_bearer_is_no_way_down(api: Api) -> None:
    answer = await api.client.get(
        PATH,
        headers=[
            (b"authorization", b"Basic " + api.secret.encode()),
            (b"authorization", f"Bearer {api.secret}".encode()),
        ],
    )
    assert answer.status_code == 401


async def test_aut_09_a_form_cannot_act_for_a_merchant(api: Api) -> None:
    """A browser sends ``text/plain`` across sites without asking; such a body is not read."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"):
        answer = await api.post(
            "/api/v1/note/create", b'{"noteName":"x"}', **{"content-type": kind}
        )
        assert answer.json()["code"] == 400101
        assert "Content-Type" in answer.json()["message"]
    assert await api.events() == 0


async def test_keys_of_other_databases_and_modes_do_not_exist_here(api: Api) -> None:
    wrong_mode = api.secret.replace("sk_live_", "sk_test_")
    async with client_of(app_of(api.db)) as client:
        answer = await client.get(PATH, headers={"authorization": f"Bearer {wrong_mode}"})
    assert answer.status_code == 401
