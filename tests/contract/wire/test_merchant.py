"""The exact JSON of every endpoint, as the published JavaScript SDK reads it (spec 2 to 9, 13)."""

from __future__ import annotations

import asyncio
import json
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any
from urllib.request import urlopen

import httpx2
import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.kernel.tenant import Access
from tests.contract.shapes import (
    ACCOUNT,
    CREATED_LINK,
    DETAIL,
    DONE,
    LINK,
    LISTED_LINK,
    MATRIX,
    PRODUCT,
    REFUND,
    ROUTE,
    SESSION,
    TIME,
    WEBHOOK,
    Id,
    matches,
)
from tests.contract.support import (
    USDC,
    WALLET,
    Merchant,
    Wire,
    in_database,
    one_time_line,
    open_wire,
    pay,
    product_line,
)
from tests.running import Running, eventually

PREFIXES = ("/api/v1", "/payment/v1")
WALLET_OF_ANOTHER = "0x" + "2b" * 20


def test_a_shape_finds_what_differs() -> None:
    shape = {"a": int, "b?": [TIME], "c": {None, 1}, "d": Id("x_")}
    good = {"a": 1, "b": ["2026-01-01 00:00:00"], "c": None, "d": "x_1"}
    matches(good, shape)
    for wrong in (
        {"a": "1"}, {"a": True}, {"b": ["2026-01-01"]}, {"b": None}, {"c": True}, {"c": "1"},
        {"d": "y_1"}, {"e": 1},
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            matches({**good, **wrong}, shape)
    with pytest.raises(AssertionError):
        matches({"a": 1, "c": 1}, shape)


# --- products -------------------------------------------------------------------------------------


def new_product(wire: Wire, prefix: str = "/api/v1", **fields: Any) -> dict[str, Any]:
    body = {"name": "Tea", "commonPrices": [4_500_000], **fields}
    made: dict[str, Any] = wire.data("/product/create", body, prefix)
    return made


@pytest.mark.parametrize("prefix", PREFIXES)
def test_products(wire: Wire, prefix: str) -> None:
    bare = new_product(wire, prefix)
    matches(bare, PRODUCT)
    assert not {"description", "imageUrl"} & set(bare)
    full = new_product(wire, prefix, description="Green", attributes=[{"name": "a", "value": ""}])
    matches(full, {**PRODUCT, "description": str})
    product_id = {"productId": full["productId"]}
    update = {**product_id, "name": "Cup", "commonPrices": [1], "description": None}
    for verb, body in (
        ("update", update), ("archive", product_id), ("unarchive", product_id),
        ("remove", product_id),
    ):  # fmt: skip
        matches(wire.data(f"/product/{verb}", body, prefix), DONE)
    page = wire.data("/product/list/1/2", None, prefix)
    matches(page, {"total": int, "page": {"1"}, "size": {"2"}, "products": [PRODUCT]})
    found = wire.data("/product/list/by/ids", {"productIds": [bare["productId"], "x"]}, prefix)
    assert found == [bare]
    assert wire.data("/product/list/by/ids", {"productIds": []}, prefix) == []


# --- accounts and capabilities --------------------------------------------------------------------


@pytest.mark.parametrize("prefix", PREFIXES)
def test_accounts(wire: Wire, merchant: Merchant, prefix: str) -> None:
    listed = wire.data("/account/list", None, prefix)
    matches(listed, [ACCOUNT])
    assert len(listed) == 1
    assert wire.data(f"/account/detail/{merchant.account_id}", None, prefix) == listed[0]
    assert listed[0]["accountAddress"].lower() == f"0x{WALLET.hex()}"
    assert listed[0]["accountAddress"] != listed[0]["accountAddress"].lower()


def test_capabilities_are_public(running: Running) -> None:
    with open_wire(running.base_url, None) as stranger:
        matrix = stranger.data("/capabilities/all", None, "/public/api/v1")
        response = stranger.send("/capabilities/all", None, "/public/api/v1")
    assert response.headers["x-request-id"].startswith("req_")
    matches(matrix, MATRIX)
    for settlement, groups in matrix["paymentCapabilities"].items():
        for group, routes in groups.items():
            assert group.isupper()
            matches(routes, [ROUTE], settlement)
    tokens = [token["tokenId"] for token in matrix["supportedTokens"]]
    assert sorted(tokens) == sorted(matrix["paymentCapabilities"])


# --- payment links --------------------------------------------------------------------------------


def link_body(account_id: str, *lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "linkType": "fixed",
        "linkName": "Two teas",
        "accountId": account_id,
        "settlementToken": USDC,
        "feeModel": 1,
        "lineItems": list(lines),
        **changes,
    }


@pytest.mark.parametrize("prefix", PREFIXES)
def test_payment_links(wire: Wire, merchant: Merchant, prefix: str) -> None:
    line = product_line(new_product(wire)["productId"])
    body = link_body(merchant.account_id, line, successUrl="", customSuccessText=None)
    made = wire.data("/payment/link/create", body, prefix)
    matches(made, CREATED_LINK)
    assert not {"successUrl", "customSuccessText", "customDisabledText"} & set(made)
    assert made["lineItems"]["lineItems"]["items"] == made["lineItems"]["items"]
    assert made["lineItems"]["amount"] == made["amount"] == 9_000_000
    detail = wire.data(f"/payment/link/{made['linkId']}", None, prefix)
    matches(detail, LINK)
    assert {**made, "lineItems": None} == {**detail, "lineItems": None}
    link_id = {"linkId": made["linkId"]}
    texts = {
        "successUrl": "https://a.example/",
        "customSuccessText": "a",
        "customDisabledText": "b",
    }
    update = {**link_body(merchant.account_id, line, **texts), **link_id, "payerEmailRequired": 1}
    for verb, sent in (("update", update), ("disable", link_id), ("enable", link_id)):
        matches(wire.data(f"/payment/link/{verb}", sent, prefix), DONE)
    updated = wire.data(f"/payment/link/{made['linkId']}", None, prefix)
    matches(updated, {**LINK, **dict.fromkeys(texts, str)})
    page = wire.data("/payment/link/list/1/3", None, prefix)
    matches(page, {"total": int, "page": {"1"}, "size": {"3"}, "links": [LISTED_LINK]})


def test_a_custom_link_has_no_price_yet(wire: Wire, merchant: Merchant) -> None:
    line = product_line(new_product(wire)["productId"], quantity=1)
    line = {**line, "itemType": "user_priced"}
    del line["unitPrice"]
    made = wire.data(
        "/payment/link/create", link_body(merchant.account_id, line, linkType="custom")
    )
    matches(made, CREATED_LINK)
    assert made["amount"] == 0
    assert "unitPrice" not in made["lineItems"]["items"][0]


# --- sessions -------------------------------------------------------------------------------------


def session_body(account_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "accountId": account_id,
        "settlementToken": USDC,
        "lineItems": [one_time_line()],
        **changes,
    }


LISTS = ("all", "paid", "settling", "completed", "cancelled", "settlement/pending")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_sessions(wire: Wire, merchant: Merchant, prefix: str) -> None:
    bare = wire.data("/session/checkout/create", session_body(merchant.account_id), prefix)
    matches(bare, SESSION)
    assert not {"successUrl", "metadata"} & set(bare)
    for name in ("payer", "payerEmail", "paidToken", "receiptId", "initiateTx", "completeTx"):
        assert bare[name] == ""
    assert abs(bare["expirationTime"] - (time.time() + 1800)) < 60
    lines = [product_line(new_product(wire)["productId"]), one_time_line()]
    body = session_body(
        merchant.account_id, lineItems=lines, metadata={"n": 1}, successUrl="https://a.example/?b=c"
    )
    full = wire.data("/session/checkout/create", body, prefix)
    matches(full, {**SESSION, "successUrl": str, "metadata": dict})
    detail = wire.data(f"/session/{full['sessionId']}", None, prefix)
    assert detail == {"session": full}
    cancel = {"sessionId": full["sessionId"]}
    matches(wire.data("/session/checkout/cancel", cancel, prefix), DONE)
    for name in LISTS:
        page = wire.data(f"/session/list/{name}/1/2", None, prefix)
        matches(page, {"total": int, "page": {1}, "size": {2}, "sessions": [DETAIL]})


def test_refunds(running: Running, wire: Wire, merchant: Merchant) -> None:
    session = wire.data("/session/checkout/create", session_body(merchant.account_id))
    asyncio.run(pay(running, session["paymentUrl"]))
    path = f"/session/{session['sessionId']}"
    eventually(lambda: wire.data(path)["session"]["status"] == "completed", "it is final")
    for prefix in PREFIXES:
        body = {"sessionId": session["sessionId"], "amount": 1_000_000}
        bare = wire.data("/session/refund/prepare", body, prefix)
        matches(bare, REFUND)
        assert "reason" not in bare
        body |= {"reason": "a", "to": WALLET_OF_ANOTHER, "paymentId": bare["paymentId"]}
        full = wire.data("/session/refund/prepare", body, prefix)
        matches(full, REFUND)
        refund_id = full["refundId"]
        assert wire.data(f"/session/refund/detail/{refund_id}", None, prefix) == full
        listed = wire.data(f"/session/refund/list/{session['sessionId']}", None, prefix)
        assert listed["refunds"][-2:] == [bare, full]
        detail = wire.data(path, None, prefix)
        matches(detail, {**DETAIL, "session": {**SESSION, "refunds": [REFUND]}})
        assert detail["session"]["refunds"] == listed["refunds"]
        cancel = {"refundId": refund_id}
        matches(wire.data("/session/refund/cancel", cancel, prefix), DONE)
        gone = wire.data(f"/session/refund/detail/{refund_id}", None, prefix)
        matches(gone, REFUND)
        assert "transaction" not in gone


# --- webhooks -------------------------------------------------------------------------------------


@pytest.fixture
def endpoint(wire: Wire) -> Iterator[dict[str, Any]]:
    body = {
        "webhookName": "Shop",
        "webhookUrl": "https://hooks.example.com/",
        "subscribedEvents": ["account.removed"],
    }
    made = wire.data("/webhook/create", body)
    yield made
    wire.send("/webhook/remove", {"webhookId": made["webhookId"]})


@pytest.mark.parametrize("prefix", PREFIXES)
def test_webhooks(wire: Wire, endpoint: dict[str, Any], prefix: str) -> None:
    matches(endpoint, WEBHOOK)
    assert endpoint["webhookDescription"] == ""
    webhook_id = {"webhookId": endpoint["webhookId"]}
    matches(wire.data("/webhook/list", None, prefix), {"webhooks": [WEBHOOK]})
    detail = wire.data(f"/webhook/detail/{endpoint['webhookId']}", None, prefix)
    assert detail == endpoint
    update = {
        **webhook_id,
        "webhookName": "Shop",
        "webhookUrl": "https://hooks.example.com/",
        "subscribedEvents": ["account.removed"],
        "webhookDescription": "",
    }
    for verb, body in (("update", update), ("disable", webhook_id), ("enable", webhook_id)):
        matches(wire.data(f"/webhook/{verb}", body, prefix), DONE)
    matches(wire.data("/webhook/key/refresh", webhook_id, prefix), {**DONE, "key": Id("wkk_")})
    matches(wire.data("/webhook/remove", webhook_id, prefix), DONE)


def test_a_restricted_key_sees_no_signing_key(
    running: Running, merchant: Merchant, endpoint: dict[str, Any]
) -> None:
    with open_wire(running.base_url, merchant.restricted) as reports:
        shown = reports.data(f"/webhook/detail/{endpoint['webhookId']}")
    assert endpoint["key"] not in json.dumps(shown)


# --- the envelope and the HTTP statuses -----------------------------------------------------------

OFF = "/api/v1/session/list/all/1/1"


def assert_envelope(response: httpx2.Response, status: int, code: int) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert re.fullmatch(r"req_[0-9A-Za-z]{24}", response.headers["x-request-id"])
    matches(response.json(), {"code": {code}, "message": str, "data": {None}}, "envelope")
    assert response.json()["message"]


def test_every_refusal_is_an_envelope_with_a_request_id(
    running: Running, wire: Wire, merchant: Merchant
) -> None:
    http = wire.http
    assert_envelope(http.get(f"/api/v1/session/{'sess_' + '0' * 32}"), 200, 100201)
    assert_envelope(http.post("/api/v1/product/create", json={}), 200, 400101)
    assert_envelope(http.get("/api/v1/nothing"), 404, 400101)
    assert_envelope(http.get("/nothing"), 404, 400101)
    assert_envelope(http.delete(OFF), 405, 400101)
    assert_envelope(http.get("/payment/v1/product/create"), 405, 400101)
    assert_envelope(http.post("/api/v1/product/create", content=b" " * 600_000), 413, 400101)
    with open_wire(running.base_url, None) as stranger:
        assert_envelope(stranger.http.get(OFF), 401, 200101)
        assert stranger.http.get(OFF).headers["www-authenticate"] == "Bearer"
    with open_wire(running.base_url, merchant.restricted) as reports:
        assert_envelope(reports.http.post("/api/v1/product/create", json={}), 403, 200102)


def test_a_revoked_key_is_told_so(running: Running, merchant: Merchant) -> None:
    async def issue_and_revoke(tx: Any) -> str:
        key, secret = await accounts.issue_key(tx, merchant.tenant, Access.WRITE, "Former")
        await accounts.revoke_key(tx, merchant.tenant, key.key_id)
        return secret

    with open_wire(running.base_url, in_database(running, issue_and_revoke)) as former:
        assert_envelope(former.http.get(OFF), 401, 200103)


def _token(header: dict[str, str], payload: dict[str, str], signature: str) -> str:
    parts = [
        b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, payload)
    ]
    return ".".join([*parts, signature])


def test_aut_16_a_token_of_another_make_is_no_key(running: Running, merchant: Merchant) -> None:
    claims = {"sub": merchant.tenant.merchant_id, "role": "owner"}
    for token in (
        _token({"alg": "none", "typ": "JWT"}, claims, ""),
        _token({"alg": "HS256", "typ": "JWT"}, claims, "x" * 43),
        _token({"alg": "HS256", "kid": "../../dev/null"}, claims, "x" * 43),
        _token({"alg": "HS256", "kid": "' OR 1=1--"}, claims, "x" * 43),
        merchant.secret.swapcase(),
        merchant.secret[:-1],
    ):
        with open_wire(running.base_url, token) as stranger:
            assert_envelope(stranger.http.get(OFF), 401, 200101)


def test_api_32_too_many_requests_are_told_when_to_come_back(running: Running) -> None:
    # From an address of its own, so that the other tests' requests are not counted with these.
    transport = httpx2.HTTPTransport(local_address="127.0.0.9")
    with httpx2.Client(base_url=running.base_url, transport=transport, timeout=180) as hasty:

        def ask(number: int) -> httpx2.Response:
            forged = {"x-forwarded-for": f"203.0.113.{number % 256}"}
            return hasty.get("/public/api/v1/capabilities/all", headers=forged)

        # Many at once, and as many as it takes: a slow machine answers few in a second.
        with ThreadPoolExecutor(16) as threads:
            answers = chain.from_iterable(threads.map(ask, range(300)) for _ in range(20))
            refused = next(answer for answer in answers if answer.status_code != 200)
    assert_envelope(refused, 429, 900101)
    assert int(refused.headers["retry-after"]) >= 1


# --- letters --------------------------------------------------------------------------------------

LETTER = {
    "eventId": re.compile("evt_[0-9A-Za-z]{16}"),
    "eventType": str,
    "businessType": {"session", "payment_link", "product", "account"},
    "occurrence": TIME,
    "isSubscribable": {True},
    "payload": dict,
    "sequence": int,
    "apiVersion": str,
}


def letters(running: Running, object_id: str, count: int) -> list[dict[str, Any]]:
    """The first ``count`` deliveries about an object to the demo merchant, with their headers."""

    def arrived() -> list[dict[str, Any]] | None:
        with urlopen(running.about["webhookInbox"]) as response:
            found = [one for one in json.load(response) if object_id in json.dumps(one["body"])]
        return found if len(found) >= count else None

    told: list[dict[str, Any]] = eventually(arrived, f"{count} letters about {object_id}")
    return sorted(told, key=lambda letter: int(letter["body"]["sequence"]))


def test_letters_carry_what_queries_answer(running: Running) -> None:
    with open_wire(running.base_url, running.api_key) as shop:
        product = new_product(shop)
        line = product_line(product["productId"])
        demo = running.account_id
        link_id = shop.data("/payment/link/create", link_body(demo, line))["linkId"]
        session = shop.data("/session/checkout/create", session_body(demo, metadata={"n": 1}))
        link = shop.data(f"/payment/link/{link_id}")
    for object_id, event_type, business_type, payload in (
        (product["productId"], "product.created", "product", {"productData": product}),
        (link_id, "payment.link.created", "payment_link", {"linkData": link}),
        (
            session["sessionId"],
            "session.created",
            "session",
            {"sessionData": {**session, "currency": USDC}, "transaction": None},
        ),
    ):
        letter = letters(running, object_id, 1)[0]
        matches(letter["body"], LETTER, "letter")
        assert letter["verified"], letter["problem"]
        assert (letter["body"]["eventType"], letter["body"]["businessType"]) == (
            event_type,
            business_type,
        )
        assert letter["body"]["payload"] == payload
        headers = {name.lower(): value for name, value in letter["headers"].items()}
        assert headers["content-type"] == "application/json"
        assert re.fullmatch(r"[0-9a-f]{64}", headers["x-gstable-signature"])
        assert re.fullmatch(r"\d{10}", headers["x-gstable-timestamp"])
        assert headers["webhook-id"] == letter["body"]["eventId"]
        assert headers["webhook-signature"].startswith("v1,")
        assert headers["webhook-timestamp"] == headers["x-gstable-timestamp"]
