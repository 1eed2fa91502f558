"""Every scope of a key at every route of the merchant API: made from the table of routes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.model import KeyLimits
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.scopes import (
    RESOURCES,
    comes_from,
    is_scope,
    networks_from_text,
    resource_of,
)
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.client_address import TrustedProxies
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.route import Call, Json, Route
from gstable_server.plumbing.testing import FakeClock
from gstable_server.serve import merchant_routes
from tests.unit.api.notes import app_with, client_of
from tests.unit.web.shop import new_desk

pytestmark = pytest.mark.anyio

LACKS = 200102
SCOPES = {
    "POST /product/create": "product:write",
    "POST /product/update": "product:write",
    "GET /product/list/{page}/{size}": "product:read",
    "POST /product/list/by/ids": "product:read",
    "POST /product/archive": "product:write",
    "POST /product/unarchive": "product:write",
    "POST /product/remove": "product:write",
    "GET /account/list": "account:read",
    "GET /account/detail/{accountId}": "account:read",
    "POST /payment/link/create": "link:write",
    "POST /payment/link/update": "link:write",
    "POST /payment/link/disable": "link:write",
    "POST /payment/link/enable": "link:write",
    "GET /payment/link/list/{page}/{size}": "link:read",
    "GET /payment/link/{linkId}": "link:read",
    "POST /session/checkout/create": "session:write",
    "POST /session/checkout/cancel": "session:write",
    "POST /test/session/advance": "session:write",
    "GET /session/list/all/{page}/{size}": "session:read",
    "GET /session/list/paid/{page}/{size}": "session:read",
    "GET /session/list/settling/{page}/{size}": "session:read",
    "GET /session/list/completed/{page}/{size}": "session:read",
    "GET /session/list/cancelled/{page}/{size}": "session:read",
    "GET /session/list/settlement/pending/{page}/{size}": "session:read",
    "GET /session/{sessionId}": "session:read",
    "POST /session/refund/prepare": "refund:write",
    "POST /session/refund/cancel": "refund:write",
    "GET /session/refund/list/{sessionId}": "refund:read",
    "GET /session/refund/detail/{refundId}": "refund:read",
    "POST /session/checkout/capture": "session:write",
    "POST /session/checkout/void": "session:write",
    "POST /webhook/create": "webhook:write",
    "POST /webhook/update": "webhook:write",
    "GET /webhook/list": "webhook:read",
    "GET /webhook/detail/{webhookId}": "webhook:read",
    "POST /webhook/disable": "webhook:write",
    "POST /webhook/enable": "webhook:write",
    "POST /webhook/remove": "webhook:write",
    "POST /webhook/key/refresh": "webhook:write",
    "POST /webhook/test": "webhook:write",
    "GET /webhook/attempts/{webhookId}/{page}/{size}": "webhook:read",
    "GET /event/list/{page}/{size}": "event:read",
    "GET /event/detail/{eventId}": "event:read",
    "GET /event/feed/{cursor}/{size}": "event:read",
    "GET /event/deliveries/{eventId}": "event:read",
    "POST /event/resend": "event:write",
    "POST /event/resend/range": "event:write",
    "GET /log/feed/{cursor}/{size}": "log:read",
}
"""Which scope each route takes, written down apart from the code, so that a slip in either is seen:
a new route without a row fails."""


async def _answer(_call: Call) -> Json:
    return {}


# What the routes do is not the question here; who is let through to it is.
TABLE = [
    replace(route, handler=_answer, body=None)
    for routes in merchant_routes(new_desk())
    for route in routes
]


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    async with database.begin() as tx:
        merchant = await accounts.create_merchant(tx, "Example Ltd")
    return Tenant(merchant.merchant_id, Mode.TEST)


async def _key(db: Database, tenant: Tenant, access: Access, limits: KeyLimits) -> str:
    _, secret = await db.run(accounts.issue_key, tenant, access, "Key", limits)
    return secret


async def _let_through(db: Database, secret: str, address: str = "192.0.2.1") -> set[str]:
    """The routes that a key is let through to."""
    found = set()
    async with client_of(app_with(db, TABLE), address) as client:
        for route in TABLE:
            path = "/api/v1" + re.sub(r"\{\w+\}", "1", route.path)
            headers = {"authorization": f"Bearer {secret}"}
            answer = await client.request(route.method, path, headers=headers)
            if answer.json()["code"] != LACKS:
                assert answer.status_code == 200, (path, answer.text)
                found.add(_name(route))
            else:
                assert answer.status_code == 403
    return found


def _name(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("resource", RESOURCES)
async def test_aut_02_a_scope_opens_the_routes_of_its_kind_and_no_other(
    database: Database, tenant: Tenant, resource: str
) -> None:
    reading = {name for name, scope in SCOPES.items() if scope == f"{resource}:read"}
    writing = {name for name, scope in SCOPES.items() if scope == f"{resource}:write"}
    assert reading | writing, "a kind without a route is a slip"
    for access, expected in ((Access.READ, reading), (Access.WRITE, reading | writing)):
        limits = KeyLimits(frozenset({f"{resource}:{access}"}))
        secret = await _key(database, tenant, access, limits)
        assert await _let_through(database, secret) == expected


async def test_aut_02_keys_without_scopes_do_what_their_access_says(
    database: Database, tenant: Tenant
) -> None:
    reading = {_name(one) for one in TABLE if one.access is Access.READ}
    for access, expected in (
        (Access.READ, reading),
        (Access.WRITE, {_name(one) for one in TABLE}),
    ):
        secret = await _key(database, tenant, access, KeyLimits())
        assert await _let_through(database, secret) == expected
    nothing = await _key(database, tenant, Access.WRITE, KeyLimits(frozenset()))
    assert await _let_through(database, nothing) == set()


def test_aut_02_every_route_takes_the_scope_that_is_written_down() -> None:
    assert {_name(one): f"{resource_of(one.path)}:{one.access}" for one in TABLE} == SCOPES
    assert {scope.partition(":")[0] for scope in SCOPES.values()} == set(RESOURCES)


async def test_aut_04_a_key_ends_when_its_time_is_over(
    database: Database, tenant: Tenant, clock: FakeClock
) -> None:
    limits = KeyLimits(expires_at=clock.now() + timedelta(days=30))
    secret = await _key(database, tenant, Access.WRITE, limits)
    clock.advance(30 * 24 * 3600 - 1)
    await database.run(accounts.authenticate, secret)
    clock.advance(1)
    with pytest.raises(Refused, match="its time is over"):
        await database.run(accounts.authenticate, secret)


async def test_a_key_works_from_its_addresses_only(database: Database, tenant: Tenant) -> None:
    limits = KeyLimits(addresses=networks_from_text("203.0.113.0/24 2001:db8::/32"))
    secret = await _key(database, tenant, Access.WRITE, limits)
    assert await _let_through(database, secret, "203.0.113.9")
    assert await _let_through(database, secret, "::ffff:203.0.113.9")
    assert await _let_through(database, secret, "2001:db8::9")
    for elsewhere in ("203.0.114.9", "2001:db9::9", "", "testclient"):
        assert await _let_through(database, secret, elsewhere) == set()


async def test_scopes_that_do_not_exist_are_refused(database: Database, tenant: Tenant) -> None:
    for text in ("", "session", "session:", "session:all", "sessions:read", "*:read", "note:read"):
        assert not is_scope(text)
        with pytest.raises(Refused, match="scopes must be"):
            await _key(database, tenant, Access.READ, KeyLimits(frozenset({text})))


def test_addresses_are_read_strictly() -> None:
    assert networks_from_text("") == ()
    assert [str(one) for one in networks_from_text(" 192.0.2.1\n192.0.2.1 ")] == ["192.0.2.1/32"]
    for text in ("x", "192.0.2.1/24", "192.0.2.0/33", "1 " * 21):
        with pytest.raises(ValueError, match="must be"):
            networks_from_text(text)
    assert comes_from("anything", ())


async def test_behind_a_proxy_a_key_works_from_its_addresses_only(
    database: Database, tenant: Tenant
) -> None:
    limits = KeyLimits(addresses=networks_from_text("203.0.113.0/24"))
    secret = await _key(database, tenant, Access.WRITE, limits)
    [route] = [one for one in TABLE if one.path == "/account/list"]
    proxies = TrustedProxies.from_text("10.0.0.0/24")
    app = app_with(database, [route], proxies=proxies)

    async def status(peer: str, *forwarded: str) -> int:
        headers = [("authorization", f"Bearer {secret}")]
        headers += [("x-forwarded-for", one) for one in forwarded]
        async with client_of(app, peer) as client:
            return (await client.get("/api/v1/account/list", headers=headers)).status_code

    assert await status("10.0.0.1", "203.0.113.9") == 200
    assert await status("10.0.0.1", "198.51.100.7, 203.0.113.9", "10.0.0.2") == 200
    # Who is let in elsewhere cannot say so, through the proxy or past it.
    assert await status("10.0.0.1", "203.0.113.9, 198.51.100.7") == 403
    assert await status("198.51.100.7", "203.0.113.9") == 403
    assert await status("10.0.0.1", "garbage") == await status("10.0.0.1") == 403
