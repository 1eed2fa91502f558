"""What the fake refuses, it refuses in the server's words: the same bytes are sent to both."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from gstable import Request, Timeout
from gstable.testing import FakeGStable
from gstable.testing._fake import BASE_URL
from gstable.testing._mail import WAITS_SECONDS as WAITS
from gstable.testing._refusals import MESSAGES
from gstable.testing._webhooks import EVENT_TYPES as FAKE_EVENT_TYPES
from gstable_server.kernel.errors import Code
from gstable_server.webhooks.machine import WAITS_SECONDS
from gstable_server.webhooks.model import EVENT_TYPES
from tests.contract.support import USDC, Merchant, Wire
from tests.running import Running

ACCOUNT, PRODUCT = "<account>", "<product>"
LONG = "x" * 1001


def test_the_fake_knows_the_servers_codes_events_and_waits() -> None:
    words = {code.number: code.message for code in Code}
    assert {number: words.get(number) for number in MESSAGES} == MESSAGES
    assert FAKE_EVENT_TYPES == EVENT_TYPES
    assert (0, *WAITS) == WAITS_SECONDS


def product(**changes: Any) -> dict[str, Any]:
    return {"name": "Tea", "commonPrices": [1], **changes}


def line(**changes: Any) -> dict[str, Any]:
    return {
        "itemType": "product",
        "productId": PRODUCT,
        "quantity": 1,
        "unitPrice": 10_000,
        **changes,
    }


def one_time(**changes: Any) -> dict[str, Any]:
    own = {"itemType": "one_time", "quantity": 1, "unitPrice": 10_000}
    return {**own, "productData": {"productName": "Tea"}, **changes}


def link(**changes: Any) -> dict[str, Any]:
    return {
        "linkType": "fixed",
        "linkName": "Tea",
        "accountId": ACCOUNT,
        "settlementToken": USDC,
        "feeModel": 1,
        "lineItems": [line()],
        **changes,
    }


def session(**changes: Any) -> dict[str, Any]:
    return {
        "accountId": ACCOUNT,
        "settlementToken": USDC,
        "lineItems": [line(), one_time()],
        **changes,
    }


def webhook(**changes: Any) -> dict[str, Any]:
    return {
        "webhookName": "Shop",
        "webhookUrl": "https://hooks.example.com/",
        "subscribedEvents": ["session.paid"],
        **changes,
    }


WIDE = {"minimum": 1, "maximum": 1_001}
BOUNDS = (
    1, {}, {"minimum": 0, "maximum": 2}, {"minimum": 1, "maximum": 10**6 + 1},
    {"minimum": 1, "maximum": 1}, {"minimum": 2, "maximum": 3}, {**WIDE, "step": 1},
)  # fmt: skip
OPEN_LINE = {"itemType": "user_priced", "productId": PRODUCT, "quantity": 1}
REQUESTS: list[tuple[str, Any]] = [
    *(
        ("/product/create", body)
        for body in (
            {}, product(name=None), product(name=1), product(name=" "), product(name="x" * 101),
            product(name="a\u0001"), product(commonPrices=1), product(commonPrices=[]),
            product(commonPrices=[1] * 6), product(commonPrices=["1"]), product(commonPrices=[0]),
            product(commonPrices=[1, 10**12 + 1]), product(commonPrices=[1.5]),
            product(commonPrices=[True]), product(description=LONG), product(description=1),
            product(imageUrl="ftp://a.example"), product(imageUrl="http://a.example/"),
            product(imageUrl="https://a@b.example/"), product(imageUrl="https://ä.example/"),
            product(imageUrl="https://a.example/" + "x" * 500), product(imageUrl=LONG),
            product(attributes={}), product(attributes=[{}]), product(attributes=[1]),
            product(attributes=[{"name": "", "value": ""}]),
            product(attributes=[{"name": "a", "value": "x" * 201}]),
            product(attributes=[{"name": "a", "value": "b"}] * 11),
            product(attributes=[{"name": "a", "value": "b", "c": 1}]),
            product(colour="green"), {**product(), "name": [], "colour": 1},
        )
    ),
    ("/product/update", product()), ("/product/update", product(productId="prd_1")),
    ("/product/archive", {}), ("/product/archive", {"productId": 1}),
    ("/product/archive", {"productId": "x" * 101}), ("/product/list/by/ids", {}),
    ("/product/list/by/ids", {"productIds": "a"}), ("/product/list/by/ids", {"productIds": [1]}),
    *(
        ("/payment/link/create", body)
        for body in (
            {}, link(linkType="free"), link(linkType=1), link(linkName=""), link(accountId="acc_1"),
            link(settlementToken="dogechain::doge"), link(settlementToken="x" * 65),
            link(feeModel=0), link(feeModel="1"), link(feeModel=None), link(lineItems=[]),
            link(lineItems=[line()] * 101), link(lineItems=[{}]),
            link(lineItems=[line(quantity=0)]),
            link(lineItems=[line(itemType="one_time")]), link(lineItems=[OPEN_LINE]),
            link(lineItems=[line(unitPrice=0)]), link(lineItems=[line(unitPrice=-1)]),
            link(lineItems=[line(unitPrice=None)]), link(lineItems=[line(productId="prd_1")]),
            link(lineItems=[line(productId="prd_1"), line()]),
            *(link(lineItems=[line(adjustableQuantity=bounds)]) for bounds in BOUNDS),
            link(lineItems=[line(quantity=1_000, unitPrice=10**12, adjustableQuantity=WIDE)]),
            link(linkType="custom", lineItems=[{**OPEN_LINE, "adjustableQuantity": WIDE}]),
            link(linkType="custom"),
            link(linkType="custom", lineItems=[{**OPEN_LINE, "unitPrice": 5}]),
            link(lineItems=[line(quantity=1_000_000, unitPrice=10**12)]),
            link(payerEmailRequired=2), link(payerEmailRequired=True),
            link(payerEmailRequired=None),
            link(successUrl="http://a.example/"), link(successUrl="javascript:alert(1)"),
            link(customSuccessText="x" * 501), link(customDisabledText=1), link(unknown=1),
        )
    ),
    ("/payment/link/update", link()), ("/payment/link/update", link(linkId="lnk_1")),
    ("/payment/link/disable", {"linkId": "lnk_1"}),
    *(
        ("/session/checkout/create", body)
        for body in (
            {}, session(accountId=None), session(settlementToken=""), session(lineItems={}),
            session(settlementToken="dogechain::doge"), session(lineItems=[]),
            session(lineItems=[{}]), session(lineItems=[{"itemType": "user_priced"}]),
            session(lineItems=[{"itemType": 1}]), session(lineItems=["a"]),
            session(lineItems=[one_time(productData=None)]),
            session(lineItems=[one_time(productData={})]),
            session(lineItems=[one_time(productData={"productName": ""})]),
            session(lineItems=[line(), one_time(productData={"productName": "T", "sku": 1})]),
            session(lineItems=[one_time(productData={"productName": "T", "imageUrl": "http://a.b/"})]),
            session(lineItems=[one_time(unitPrice=9_999)]),
            session(lineItems=[one_time(quantity=0)]),
            session(lineItems=[one_time(unitPrice=10**12, quantity=2)]),
            session(lineItems=[one_time(unitPrice=10**12, quantity=10**6)]),
            session(lineItems=[one_time(productId=PRODUCT)]),
            session(lineItems=[line(unitPrice=None)]), session(feeModel=3), session(feeModel=None),
            session(expirationTime=1), session(expirationTime="soon"), session(expirationTime=1.5),
            session(metadata=[]), session(metadata={"x" * 41: 1}),
            session(metadata={"a": "x" * 8200}),
            session(metadata={"a": "b\u0001"}), session(metadata={str(n): n for n in range(51)}),
            session(captureMethod="later"), session(captureMethod=None),
            session(payerEmailRequired="1"), session(successUrl="http://a.example/"),
        )
    ),
    ("/session/checkout/cancel", {}), ("/session/checkout/cancel", {"sessionId": "sess_1"}),
    ("/session/checkout/capture", {"sessionId": "sess_1", "amount": 0}),
    ("/session/checkout/void", {"sessionId": "sess_1", "amount": 1}),
    ("/session/refund/prepare", {"sessionId": "sess_1", "amount": 10**15 + 1}),
    ("/session/refund/prepare", {"sessionId": "sess_1", "to": "x" * 65}),
    ("/session/refund/prepare", {"sessionId": "sess_1"}), ("/session/refund/cancel", {}),
    *(
        ("/webhook/create", body)
        for body in (
            {}, webhook(webhookName=""), webhook(webhookUrl=""), webhook(webhookUrl="http://a.b/"),
            webhook(webhookUrl="https://a.example:444/"), webhook(webhookUrl="https://a.example/#b"),
            webhook(webhookUrl="https://inside/"), webhook(webhookUrl="https://a@b.example/"),
            webhook(subscribedEvents=[]), webhook(subscribedEvents="session.paid"),
            webhook(subscribedEvents=["payment.done"]), webhook(subscribedEvents=[1]),
            webhook(subscribedEvents=["session.paid"] * 2), webhook(webhookDescription=LONG),
        )
    ),
    ("/webhook/update", webhook()), ("/webhook/update", webhook(webhookId="wkid_1")),
    ("/webhook/disable", {"webhookId": "wkid_1"}),
    ("/webhook/key/refresh", {"webhookId": "wkid_1"}),
    ("/webhook/key/refresh", {"webhookId": "wkid_1", "graceSeconds": None}),
    ("/webhook/key/refresh", {"webhookId": "wkid_1", "graceSeconds": 604_801}),
    ("/event/resend", {}), ("/event/resend", {"eventId": "evt_1"}),
    ("/event/resend/range", {"webhookId": "wkid_1", "since": 2, "until": 1}),
    ("/event/resend/range", {"webhookId": "wkid_1", "since": -1, "until": 1}),
    ("/test/session/advance", {"sessionId": "sess_1", "seconds": 0}),
    ("/product/create", b"{"), ("/product/create", b"[]"), ("/product/create", b'"a"'),
    ("/product/create", b'{"name":"a","name":"b"}'), ("/product/create", b"\xff"),
    ("/product/create", b'{"name":NaN}'), ("/product/nothing", {}), ("/event/feed/start/1", {}),
    ("/product/list/0/1", None), ("/product/list/1/101", None), ("/product/list/a/b", None),
    ("/payment/link/list/1/0", None), ("/session/list/all/99999999999/1", None),
    ("/session/sess_1", None), ("/event/feed/x/1", None), ("/event/feed/start/0", None),
    ("/event/detail/evt_1", None), ("/webhook/attempts/wkid_1/1/0", None), ("/log/feed/x/1", None),
]  # fmt: skip


class Twins:
    """One request to both; ids that differ are written as what they stand for."""

    def __init__(self, wire: Wire, merchant: Merchant) -> None:
        self.fake = FakeGStable()
        self._transport = self.fake.transport()
        self._wire = wire
        self._names = {
            "real": {ACCOUNT: merchant.account_id},
            "fake": {ACCOUNT: self.fake.account_id},
        }
        for place, send in (("real", self.real), ("fake", self.pretended)):
            made = send("/product/create", product())
            self._names[place][PRODUCT] = made[1]["data"]["productId"]

    def real(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        content, headers = self._content("real", body), {"content-type": "application/json"}
        method = "GET" if body is None else "POST"
        http: httpx2.Client = self._wire.http
        answer = http.request(method, "/api/v1" + path, content=content, headers=headers)
        return answer.status_code, self._told("real", answer.text)

    def pretended(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        headers = {
            "authorization": f"Bearer {self.fake.api_key}",
            "content-type": "application/json",
        }
        method = "GET" if body is None else "POST"
        content = self._content("fake", body)
        request = Request(method, BASE_URL + path, headers, content, Timeout())
        answer = self._transport.send(request)
        return answer.status, self._told("fake", answer.body.decode())

    def _content(self, place: str, body: Any) -> bytes | None:
        if body is None or isinstance(body, bytes):
            return body
        text = json.dumps(body)
        for name, real in self._names[place].items():
            text = text.replace(name, real)
        return text.encode()

    def _told(self, place: str, text: str) -> dict[str, Any]:
        for name, real in self._names[place].items():
            text = text.replace(real, name) if PRODUCT in self._names[place] else text
        told: dict[str, Any] = json.loads(text)
        return told


@pytest.fixture(scope="module")
def twins(running: Running, wire: Wire, merchant: Merchant) -> Twins:
    return Twins(wire, merchant)


@pytest.mark.parametrize(
    ("path", "body"), REQUESTS, ids=[f"{n}-{path}" for n, (path, _) in enumerate(REQUESTS)]
)
def test_the_fake_refuses_in_the_servers_words(twins: Twins, path: str, body: Any) -> None:
    real = twins.real(path, body)
    assert real[1]["code"] != 0, "a refusal was expected"
    assert twins.pretended(path, body) == real
