"""Managing endpoints: what is stored, what is refused, and what another tenant sees."""

from __future__ import annotations

import asyncio
import re

import pytest
from pydantic import ValidationError

from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import ApiKeyId, WebhookId
from gstable_server.kernel.tenant import Access, Caller, Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.route import Call, Json
from gstable_server.plumbing.testing import FakeClock
from gstable_server.webhooks import operations, wire
from gstable_server.webhooks.model import EVENT_TYPES, Target
from gstable_server.webhooks.routes import routes
from tests.unit.webhooks.support import new_tenant

pytestmark = pytest.mark.anyio

URL = "https://shop.example.com/hooks"
BODY = {"webhookName": "Orders", "webhookUrl": URL, "subscribedEvents": ["session.paid"]}
TARGET = Target("Orders", URL, None, ("session.paid",))


class Api:
    """Calls the slice's routes as ``api`` does, without HTTP."""

    def __init__(self, db: Database, tenant: Tenant, access: Access = Access.WRITE) -> None:
        self.db = db
        self.caller = Caller(tenant, db.ids.mint(ApiKeyId), access)

    async def __call__(self, path: str, body: Json = None) -> Json:
        for route in routes():
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)
            match = re.fullmatch(pattern, f"/webhook/{path}")
            if match:
                parsed = route.body.model_validate(body) if route.body else None
                async with self.db.begin() as tx:
                    return await route.handler(Call(tx, self.caller, match.groupdict(), parsed))
        raise AssertionError(f"no route {path}")


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await new_tenant(database, Mode.LIVE)


@pytest.fixture
def api(database: Database, tenant: Tenant) -> Api:
    return Api(database, tenant)


async def refused(awaitable: object) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value


async def test_create_answers_the_whole_endpoint(api: Api) -> None:
    made = await api("create", {**BODY, "webhookDescription": "All of them"})
    assert WebhookId(made["webhookId"])
    assert re.fullmatch(r"wkk_[0-9A-Za-z]{40}", made["key"])
    assert made == {
        "webhookId": made["webhookId"],
        "webhookName": "Orders",
        "webhookUrl": URL,
        "webhookDescription": "All of them",
        "subscribedEvents": ["session.paid"],
        "key": made["key"],
        "status": "active",
        "createAt": "2026-01-01 12:00:00",
        "updateAt": "2026-01-01 12:00:00",
    }
    assert await api(f"detail/{made['webhookId']}") == made


async def test_update_replaces_everything_but_key_and_status(api: Api, clock: FakeClock) -> None:
    made = await api("create", {**BODY, "webhookDescription": "Old"})
    await api("disable", {"webhookId": made["webhookId"]})
    clock.advance(60)
    changed = {
        "webhookName": "Sales",
        "webhookUrl": "https://other.example.com:8443/x",
        "subscribedEvents": ["product.created", "session.completed"],
    }
    body = {**changed, "webhookId": made["webhookId"], "webhookDescription": ""}
    assert await api("update", body) == {"success": True}
    assert await api(f"detail/{made['webhookId']}") == {
        **made,
        **changed,
        "webhookDescription": "",
        "status": "inactive",
        "updateAt": "2026-01-01 12:01:00",
    }


async def test_list_shows_own_endpoints_newest_first(api: Api) -> None:
    names = ["first", "second", "third"]
    for name in names:
        await api("create", {**BODY, "webhookName": name})
    listed = (await api("list"))["webhooks"]
    assert [each["webhookName"] for each in listed] == names[::-1]


async def test_a_restricted_key_does_not_see_signing_keys(api: Api, tenant: Tenant) -> None:
    made = await api("create", BODY)
    reader = Api(api.db, tenant, Access.READ)
    assert (await reader(f"detail/{made['webhookId']}"))["key"] == wire.HIDDEN_KEY
    assert (await reader("list"))["webhooks"][0]["key"] == wire.HIDDEN_KEY
    writes = {route.path for route in routes() if route.access is Access.WRITE}
    assert writes == {route.path for route in routes() if route.method == "POST"}


async def test_disable_and_enable_and_again(api: Api) -> None:
    made = await api("create", BODY)
    reference = {"webhookId": made["webhookId"]}
    for verb, status in [("disable", "inactive")] * 2 + [("enable", "active")] * 2:
        assert await api(verb, reference) == {"success": True}
        assert (await api(f"detail/{made['webhookId']}"))["status"] == status


async def test_a_paused_endpoint_is_enabled_again(api: Api) -> None:
    made = await api("create", BODY)
    async with api.db.begin() as tx:
        await tx.execute("UPDATE webhook_endpoints SET status = 'paused'")
    await api("enable", {"webhookId": made["webhookId"]})
    assert (await api(f"detail/{made['webhookId']}"))["status"] == "active"


async def test_remove_is_for_ever(api: Api) -> None:
    made = await api("create", BODY)
    reference = {"webhookId": made["webhookId"]}
    assert await api("remove", reference) == {"success": True}
    assert await api("list") == {"webhooks": []}
    for verb in ("remove", "enable", "disable", "key/refresh"):
        assert (await refused(api(verb, reference))).code is Code.WEBHOOK_NOT_FOUND
    assert (await refused(api("update", {**BODY, **reference}))).code is Code.WEBHOOK_NOT_FOUND
    problem = await refused(api(f"detail/{made['webhookId']}"))
    assert problem.code is Code.WEBHOOK_NOT_FOUND


async def test_refresh_gives_a_new_key_and_the_old_one_dies_at_once(api: Api) -> None:
    made = await api("create", BODY)
    answer = await api("key/refresh", {"webhookId": made["webhookId"]})
    assert answer["success"] is True
    assert re.fullmatch(r"wkk_[0-9A-Za-z]{40}", answer["key"])
    assert answer["key"] != made["key"]
    assert (await api(f"detail/{made['webhookId']}"))["key"] == answer["key"]
    endpoint = await api.db.run(operations.detail, api.caller.tenant, WebhookId(made["webhookId"]))
    assert endpoint.keys.valid_at(api.db.clock.now()) == (answer["key"],)


async def test_whk_15_with_grace_both_keys_are_valid_until_it_ends(
    api: Api, clock: FakeClock
) -> None:
    made = await api("create", BODY)
    body = {"webhookId": made["webhookId"], "graceSeconds": 60}
    new = (await api("key/refresh", body))["key"]
    endpoint = await api.db.run(operations.detail, api.caller.tenant, WebhookId(made["webhookId"]))
    assert endpoint.keys.valid_at(clock.now()) == (new, made["key"])
    clock.advance(59)
    assert endpoint.keys.valid_at(clock.now()) == (new, made["key"])
    clock.advance(1)
    assert endpoint.keys.valid_at(clock.now()) == (new,)


async def test_other_tenants_and_malformed_ids_find_nothing(api: Api, tenant: Tenant) -> None:
    made = await api("create", BODY)
    stranger = Api(api.db, await new_tenant(api.db, Mode.LIVE))
    other_mode = Api(api.db, Tenant(tenant.merchant_id, Mode.TEST))
    for caller in (stranger, other_mode):
        assert await caller("list") == {"webhooks": []}
        for verb in ("disable", "enable", "remove", "key/refresh"):
            problem = await refused(caller(verb, {"webhookId": made["webhookId"]}))
            assert problem.code is Code.WEBHOOK_NOT_FOUND
    for text in ("wkid_unknown", "nonsense", "wkid_ü", ""):
        assert (await refused(api("remove", {"webhookId": text}))).code is Code.WEBHOOK_NOT_FOUND
    assert (await api(f"detail/{made['webhookId']}"))["status"] == "active"


async def test_ten_endpoints_and_no_more_also_in_a_race(api: Api) -> None:
    results = await asyncio.gather(
        *(api("create", BODY) for _ in range(15)), return_exceptions=True
    )
    refusals = [each for each in results if isinstance(each, Refused)]
    assert {each.code for each in refusals} == {Code.WEBHOOK_LIMIT}
    assert len(refusals) == 5
    listed = (await api("list"))["webhooks"]
    assert len(listed) == 10
    await api("remove", {"webhookId": listed[0]["webhookId"]})
    await api("create", BODY)


REFUSED_URLS = [
    "http://shop.example.com/hooks",
    "http://127.0.0.1:9000/hook",
    "https://localhost/hook",
    "https://127.0.0.1/hook",
    "https://10.0.0.1/",
    "https://172.16.4.4/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[fd00::1]/",
    "https://[fe80::1]/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://0x7f.1/",
    "https://127.1/",
    "https://①②⑦.0.0.1/",
    "https://intranet/",
    "https://shop.example.com:22/",
    "https://shop.example.com:25/",
    "https://shop.example.com:6379/",
    "https://shop.example.com:5432/",
    "https://shop.example.com/#part",
    "https://user:password@shop.example.com/",
    "gopher://shop.example.com/",
    "ftp://shop.example.com/",
    "file:///etc/passwd",
    "https://shop.example.com/" + "x" * 8_000,
    "shop.example.com",
    "",
]


@pytest.mark.parametrize("url", REFUSED_URLS, ids=lambda url: url[:40])
@pytest.mark.parametrize("verb", ["create", "update"])
async def test_whk_01_whk_05_inward_and_odd_urls_are_refused(api: Api, url: str, verb: str) -> None:
    made = await api("create", BODY)
    body = {**BODY, "webhookUrl": url}
    if verb == "update":
        body["webhookId"] = made["webhookId"]
    with pytest.raises((Refused, ValidationError), match="webhookUrl"):
        await api(verb, body)
    assert (await api("list"))["webhooks"] == [made]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/hook", "http://localhost:1234/"])
async def test_loopback_is_for_test_mode(database: Database, url: str) -> None:
    test = Api(database, await new_tenant(database, Mode.TEST))
    assert (await test("create", {**BODY, "webhookUrl": url}))["webhookUrl"] == url
    with pytest.raises(Refused, match="webhookUrl"):
        await test("create", {**BODY, "webhookUrl": "http://shop.example.com/"})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"webhookName": ""}, "webhookName"),
        ({"webhookName": "x" * 101}, "webhookName"),
        ({"webhookName": None}, "webhookName"),
        ({"webhookDescription": "x" * 1001}, "webhookDescription"),
        ({"subscribedEvents": []}, "subscribedEvents"),
        ({"subscribedEvents": "session.paid"}, "subscribedEvents"),
        ({"subscribedEvents": ["session.paid"] * 2}, "subscribedEvents"),
        ({"subscribedEvents": ["payment.completed"]}, "subscribedEvents"),
        ({"subscribedEvents": ["session.paid\r\nx: y"]}, "subscribedEvents"),
        ({"subscribedEvents": [1]}, "subscribedEvents"),
        ({"key": "wkk_mine"}, "key"),
        ({"status": "paused"}, "status"),
    ],
    ids=str,
)
async def test_whk_22_bad_fields_are_named_and_nothing_is_stored(
    api: Api, change: dict[str, object], field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        await api("create", {**BODY, **change})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}
    assert await api("list") == {"webhooks": []}


@pytest.mark.parametrize("seconds", [-1, 604_801, 1.5, "60", True, None])
async def test_grace_is_a_whole_number_of_seconds_within_a_week(api: Api, seconds: object) -> None:
    made = await api("create", BODY)
    with pytest.raises(ValidationError, match="graceSeconds"):
        await api("key/refresh", {"webhookId": made["webhookId"], "graceSeconds": seconds})
    assert await api(f"detail/{made['webhookId']}") == made


async def test_every_known_event_can_be_subscribed(api: Api) -> None:
    made = await api("create", {**BODY, "subscribedEvents": list(EVENT_TYPES)})
    assert made["subscribedEvents"] == list(EVENT_TYPES)
