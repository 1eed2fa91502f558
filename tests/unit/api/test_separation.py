"""AUT-02 over the whole merchant API: what is another merchant's, or of the other mode, is answered
like what never was. A route, a path parameter or a field with an id that is not in the table fails
the test."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from gstable_server import serve
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from tests.unit.catalog.support import Caller, serving
from tests.unit.sessions.till import Till, one_time
from tests.unit.sessions.world import new_world
from tests.unit.web.shop import new_desk

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Ids:
    """One object of each kind."""

    account: str
    product: str
    link: str
    session: str
    payment: str
    refund: str
    webhook: str
    event: str


NEVER = Ids(
    account="acc_" + "0" * 24,
    product="prd_" + "0" * 24,
    link="lnk_" + "0" * 32,
    session="sess_" + "0" * 32,
    payment="pay_" + "0" * 24,
    refund="rfd_" + "0" * 24,
    webhook="wkid_" + "0" * 24,
    event="evt_" + "0" * 16,
)
"""Ids of the right form that nobody was given."""

ANOTHER = "0x" + "66" * 20
HOOK = {
    "webhookName": "Hook",
    "webhookUrl": "https://hooks.example.com/",
    "subscribedEvents": ["session.paid"],
}
Ask = Callable[[Ids], Any]


def line(ids: Ids) -> dict[str, Any]:
    return {"itemType": "product", "productId": ids.product, "quantity": 1, "unitPrice": 1_000_000}


def terms(ids: Ids) -> dict[str, Any]:
    return {
        "linkType": "fixed",
        "linkName": "Tea",
        "accountId": ids.account,
        "settlementToken": "polygon::usdc",
        "feeModel": 1,
        "lineItems": [line(ids)],
    }


def session_terms(ids: Ids) -> dict[str, Any]:
    return {
        "accountId": ids.account,
        "settlementToken": "polygon::usdc",
        "lineItems": [one_time(), line(ids)],
    }


def refund_terms(ids: Ids) -> dict[str, Any]:
    return {"sessionId": ids.session, "paymentId": ids.payment, "to": ANOTHER}


BY_PATH: Mapping[str, str] = {
    "{accountId}": "account",
    "{linkId}": "link",
    "{sessionId}": "session",
    "{refundId}": "refund",
    "{webhookId}": "webhook",
    "{eventId}": "event",
}
PLAIN = {"{page}": "1", "{size}": "100", "{cursor}": "begin"}

BODIES: Mapping[str, Ask] = {
    "/product/list/by/ids": lambda ids: {"productIds": [ids.product]},
    "/product/update": lambda ids: {"productId": ids.product, "name": "Tea", "commonPrices": [1]},
    "/product/archive": lambda ids: {"productId": ids.product},
    "/product/unarchive": lambda ids: {"productId": ids.product},
    "/product/remove": lambda ids: {"productId": ids.product},
    "/payment/link/create": terms,
    "/payment/link/update": lambda ids: {"linkId": ids.link, **terms(ids)},
    "/payment/link/disable": lambda ids: {"linkId": ids.link},
    "/payment/link/enable": lambda ids: {"linkId": ids.link},
    "/session/checkout/create": session_terms,
    "/session/checkout/cancel": lambda ids: {"sessionId": ids.session},
    "/session/checkout/capture": lambda ids: {"sessionId": ids.session},
    "/session/checkout/void": lambda ids: {"sessionId": ids.session},
    "/session/refund/prepare": refund_terms,
    "/session/refund/cancel": lambda ids: {"refundId": ids.refund},
    "/test/session/advance": lambda ids: {"sessionId": ids.session, "seconds": 1},
    "/webhook/update": lambda ids: {"webhookId": ids.webhook, **HOOK},
    "/webhook/disable": lambda ids: {"webhookId": ids.webhook},
    "/webhook/enable": lambda ids: {"webhookId": ids.webhook},
    "/webhook/key/refresh": lambda ids: {"webhookId": ids.webhook, "graceSeconds": 0},
    "/webhook/test": lambda ids: {"webhookId": ids.webhook},
    "/event/resend": lambda ids: {"eventId": ids.event, "webhookId": ids.webhook},
    "/event/resend/range": lambda ids: {"webhookId": ids.webhook, "since": 0, "until": 1},
    "/webhook/remove": lambda ids: {"webhookId": ids.webhook},
}
"""What is posted about an object. The rest of the routes name theirs in the path, or
none. In an order in which the owner can do them all."""

ABOUT_NOTHING = {"/product/create", "/webhook/create"}
"""What is posted without naming any object."""


def asked(path: str, ids: Ids) -> tuple[str, Any]:
    """Where to ask for those objects, and with what body."""
    for placeholder, name in BY_PATH.items():
        path = path.replace(placeholder, getattr(ids, name))
    for placeholder, value in PLAIN.items():
        path = path.replace(placeholder, value)
    return path, BODIES[path](ids) if path in BODIES else None


async def answer(caller: Caller, path: str, ids: Ids) -> tuple[int, Any]:
    url, body = asked(path, ids)
    headers = {"authorization": f"Bearer {caller.secret}"}
    method = "GET" if body is None else "POST"
    answered = await caller.client.request(method, f"/api/v1{url}", json=body, headers=headers)
    return answered.status_code, answered.json()


async def objects_of(till: Till) -> Ids:
    """One of each, of a merchant in test mode."""
    account = till.world.account.account_id
    product = await till.product()
    own = replace(NEVER, account=account, product=product)
    link = (await till.caller.data("/payment/link/create", terms(own)))["linkId"]
    view = await till.in_state("completed")
    session, [payment] = view.session.session_id, view.payments
    prepared = await till.caller.data(
        "/session/refund/prepare", {"sessionId": session, "amount": 1_000_000}
    )
    webhook = (await till.caller.data("/webhook/create", HOOK))["webhookId"]
    event = (await till.caller.data("/event/list/1/1"))["events"][0]["eventId"]
    refund = prepared["refundId"]
    return Ids(account, product, link, session, payment.payment_id, refund, webhook, event)


async def test_aut_02_nothing_of_another_merchant_or_mode_is_answered_or_changed(
    database: Database,
) -> None:
    world, another = await new_world(database), await new_world(database)
    routes = [route for rows in serve.merchant_routes(world.desk) for route in rows]
    posted = {route.path for route in routes if route.method == "POST"}
    assert posted == BODIES.keys() | ABOUT_NOTHING
    async with serving(database, routes) as server:
        till = Till(await server.caller(world.tenant), world)
        own = await objects_of(till)
        reading = [route.path for route in routes if route.method == "GET"]
        before = {path: await answer(till.caller, path, own) for path in reading}
        strangers = [
            await server.caller(another.tenant),
            await server.caller(Tenant(world.tenant.merchant_id, Mode.LIVE)),
        ]
        for stranger in strangers:
            for path in [*BODIES, *reading]:
                found = await answer(stranger, path, own)
                assert found == await answer(stranger, path, NEVER), path
                assert not [name for name in ids_of(own) if name in str(found)], path
        for path in reading:
            assert await answer(till.caller, path, own) == before[path], path
        # Their owner is answered otherwise: it is the key that makes the difference.
        for path in [*reading, *BODIES]:
            if asked(path, own) != asked(path, NEVER):
                found = await answer(till.caller, path, own)
                assert found != await answer(till.caller, path, NEVER), path


async def test_aut_02_one_id_of_another_merchant_beside_own_ones_is_like_none(
    database: Database,
) -> None:
    """Every single id of every body that names several: the others are the asking one's own."""
    world, another = await new_world(database), await new_world(database)
    routes = [route for rows in serve.merchant_routes(world.desk) for route in rows]
    async with serving(database, routes) as server:
        stranger = await server.caller(another.tenant)
        foreign = await objects_of(Till(await server.caller(world.tenant), world))
        own = await objects_of(Till(stranger, another))
        tried = set()
        for path in BODIES:
            names = [one.name for one in fields(Ids)]
            named = [name for name in names if asked(path, without(own, name)) != asked(path, own)]
            for name in named if len(named) > 1 else []:
                tried.add((path, name))
                mixed = replace(own, **{name: getattr(foreign, name)})
                found = await answer(stranger, path, mixed)
                never = await answer(stranger, path, without(own, name))
                # A refusal repeats the id that was sent, and nothing else.
                said = str(found).replace(getattr(foreign, name), getattr(NEVER, name))
                assert said == str(never), (path, name)
                assert found[1]["code"] != 0, (path, name)
    assert {path for path, _ in tried} >= {"/payment/link/create", "/session/refund/prepare"}


def without(ids: Ids, name: str) -> Ids:
    """The same with an id that nobody has."""
    return replace(ids, **{name: getattr(NEVER, name)})


def test_every_id_that_a_route_takes_is_in_the_table() -> None:
    """By the bodies' own schemas, and by the placeholders of the paths."""
    for rows in serve.merchant_routes(new_desk()):
        for route in rows:
            assert set(re.findall(r"\{\w+\}", route.path)) <= BY_PATH.keys() | PLAIN.keys()
            if route.body is not None:
                sent = str(BODIES[route.path](NEVER)) if route.path in BODIES else ""
                wanted = set(id_fields(route.body.model_json_schema(by_alias=True)))
                assert {one for one in wanted if f"'{one}'" not in sent} == set(), route.path


def id_fields(schema: Any) -> Iterator[str]:
    """The names of the fields that take ids, however deep they are."""
    if isinstance(schema, dict):
        yield from (name for name in schema.get("properties", {}) if re.search("Ids?$", name))
    for inner in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(inner, dict | list):
            yield from id_fields(inner)


def ids_of(ids: Ids) -> list[str]:
    return [getattr(ids, field.name) for field in fields(ids)]
