"""Every method: what it sends, and how it reads the answer, on both clients."""

from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from gstable import (
    Attribute,
    FeeModel,
    LineItem,
    Page,
    QuantityRange,
    RefreshedKey,
    __version__,
)
from tests.unit.sdk import samples
from tests.unit.sdk.cases import REFUND_CASES, Case, operation
from tests.unit.sdk.event_cases import EVENT, EVENT_CASES, WEBHOOK_ATTEMPT
from tests.unit.sdk.log_cases import LOG_CASES
from tests.unit.sdk.support import API_KEY, ASKS, World, answering

TEA = {"item_type": "product", "product_id": "prd_1", "quantity": 2, "unit_price": 4_500_000}
TEA_WIRE = {"itemType": "product", "productId": "prd_1", "quantity": 2, "unitPrice": 4_500_000}
WRAP = {
    "item_type": "one_time",
    "quantity": 1,
    "unit_price": 1_500_000,
    "product_data": {"product_name": "Wrapping", "attributes": [Attribute("colour", "red")]},
}
WRAP_WIRE = {
    "itemType": "one_time",
    "quantity": 1,
    "unitPrice": 1_500_000,
    "productData": {
        "productName": "Wrapping",
        "attributes": [{"name": "colour", "value": "red"}],
    },
}
LINK_ARGUMENTS: dict[str, Any] = {
    "link_type": "fixed",
    "link_name": "Tea",
    "account_id": "acc_1",
    "settlement_token": "polygon::usdc",
    "fee_model": FeeModel.PAYER_PAYS,
    "line_items": [TEA],
    "payer_email_required": True,
    "success_url": "https://shop.example.com/success",
    "custom_success_text": "Thanks",
    "custom_disabled_text": "Closed",
}
LINK_WIRE: dict[str, Any] = {
    "linkType": "fixed",
    "linkName": "Tea",
    "accountId": "acc_1",
    "settlementToken": "polygon::usdc",
    "feeModel": 2,
    "lineItems": [TEA_WIRE],
    "payerEmailRequired": 1,
    "successUrl": "https://shop.example.com/success",
    "customSuccessText": "Thanks",
    "customDisabledText": "Closed",
}
PRODUCT_ARGUMENTS: dict[str, Any] = {
    "name": "Green tea",
    "common_prices": (4_500_000,),
    "description": "Loose",
    "image_url": "https://img.example.com/1.png",
    "attributes": [Attribute("colour", "green"), {"name": "size", "value": "L"}],
}
PRODUCT_WIRE: dict[str, Any] = {
    "name": "Green tea",
    "commonPrices": [4_500_000],
    "description": "Loose",
    "imageUrl": "https://img.example.com/1.png",
    "attributes": [{"name": "colour", "value": "green"}, {"name": "size", "value": "L"}],
}
HOOK_ARGUMENTS: dict[str, Any] = {
    "webhook_name": "Shop",
    "webhook_url": "https://shop.example.com/gstable",
    "subscribed_events": ["session.paid"],
    "webhook_description": "",
}
HOOK_WIRE: dict[str, Any] = {
    "webhookName": "Shop",
    "webhookUrl": "https://shop.example.com/gstable",
    "subscribedEvents": ["session.paid"],
    "webhookDescription": "",
}


def paged_sessions(name: str, route: str) -> Case:
    def call(client: Any) -> Any:
        return getattr(client.checkout_session, name)(3, 50)

    path = f"/session/list/{route}/3/50"
    return Case(f"checkout_session.{name}", call, path, None, samples.SESSIONS_PAGE, "page")


CASES = [
    Case(
        "product.create",
        lambda c: c.product.create(**PRODUCT_ARGUMENTS),
        "/product/create",
        PRODUCT_WIRE,
        samples.PRODUCT,
        samples.PRODUCT,
    ),
    Case(
        "product.create, least",
        lambda c: c.product.create(name="Tea", common_prices=[1]),
        "/product/create",
        {"name": "Tea", "commonPrices": [1]},
        samples.PRODUCT,
        samples.PRODUCT,
    ),
    operation(
        "product.update",
        "/product/update",
        lambda c: c.product.update("prd_1", **PRODUCT_ARGUMENTS),
        {"productId": "prd_1", **PRODUCT_WIRE},
    ),
    Case(
        "product.list",
        lambda c: c.product.list(2, 10),
        "/product/list/2/10",
        None,
        samples.PRODUCTS_PAGE,
        "page",
    ),
    Case(
        "product.list_by_ids",
        lambda c: c.product.list_by_ids(["prd_1", "prd_absent"]),
        "/product/list/by/ids",
        {"productIds": ["prd_1", "prd_absent"]},
        [samples.PRODUCT],
        [samples.PRODUCT],
    ),
    operation(
        "product.archive",
        "/product/archive",
        lambda c: c.product.archive("prd_1"),
        {"productId": "prd_1"},
    ),
    operation(
        "product.unarchive",
        "/product/unarchive",
        lambda c: c.product.unarchive(product_id="prd_1"),
        {"productId": "prd_1"},
    ),
    operation(
        "product.remove",
        "/product/remove",
        lambda c: c.product.remove("prd_1"),
        {"productId": "prd_1"},
    ),
    Case(
        "account.detail",
        lambda c: c.account.detail("acc_1/../x?y #%"),
        "/account/detail/acc_1%2F..%2Fx%3Fy%20%23%25",
        None,
        samples.ACCOUNT,
        samples.ACCOUNT,
    ),
    Case(
        "account.list",
        lambda c: c.account.list(),
        "/account/list",
        None,
        [samples.ACCOUNT],
        [samples.ACCOUNT],
    ),
    Case(
        "payment_link.create",
        lambda c: c.payment_link.create(**LINK_ARGUMENTS),
        "/payment/link/create",
        LINK_WIRE,
        {**samples.LINK, "lineItems": {"lineItems": {"items": [samples.LINE]}}},
        samples.LINK,
    ),
    operation(
        "payment_link.update",
        "/payment/link/update",
        lambda c: c.payment_link.update("lnk_1", **LINK_ARGUMENTS),
        {"linkId": "lnk_1", **LINK_WIRE},
    ),
    operation(
        "payment_link.disable",
        "/payment/link/disable",
        lambda c: c.payment_link.disable("lnk_1"),
        {"linkId": "lnk_1"},
    ),
    operation(
        "payment_link.enable",
        "/payment/link/enable",
        lambda c: c.payment_link.enable("lnk_1"),
        {"linkId": "lnk_1"},
    ),
    Case(
        "payment_link.detail",
        lambda c: c.payment_link.detail("lnk_1"),
        "/payment/link/lnk_1",
        None,
        samples.LINK,
        samples.LINK,
    ),
    Case(
        "payment_link.list",
        lambda c: c.payment_link.list(),
        "/payment/link/list/1/20",
        None,
        samples.LINKS_PAGE,
        "page",
    ),
    Case(
        "checkout_session.create",
        lambda c: c.checkout_session.create(
            account_id="acc_1",
            settlement_token="polygon::usdc",
            line_items=[TEA, WRAP],
            success_url="https://shop.example.com/success?orderId=1",
            payer_email_required=False,
            fee_model=1,
            expiration_time=1_800_001_800,
            metadata={"order_id": "1", "nested": {"snake_key": [1, None, True]}},
            capture_method="manual",
        ),
        "/session/checkout/create",
        {
            "accountId": "acc_1",
            "settlementToken": "polygon::usdc",
            "lineItems": [TEA_WIRE, WRAP_WIRE],
            "successUrl": "https://shop.example.com/success?orderId=1",
            "payerEmailRequired": 0,
            "feeModel": 1,
            "expirationTime": 1_800_001_800,
            "metadata": {"order_id": "1", "nested": {"snake_key": [1, None, True]}},
            "captureMethod": "manual",
        },
        samples.SESSION,
        samples.SESSION,
    ),
    operation(
        "checkout_session.cancel",
        "/session/checkout/cancel",
        lambda c: c.checkout_session.cancel("sess_1"),
        {"sessionId": "sess_1"},
    ),
    Case(
        "checkout_session.detail",
        lambda c: c.checkout_session.detail("sess_1"),
        "/session/sess_1",
        None,
        samples.DETAIL,
        samples.DETAIL,
    ),
    *REFUND_CASES,
    paged_sessions("list_all", "all"),
    paged_sessions("list_paid", "paid"),
    paged_sessions("list_settling", "settling"),
    paged_sessions("list_completed", "completed"),
    paged_sessions("list_cancelled", "cancelled"),
    paged_sessions("list_settlement_pending", "settlement/pending"),
    Case(
        "webhook.create",
        lambda c: c.webhook.create(**HOOK_ARGUMENTS),
        "/webhook/create",
        HOOK_WIRE,
        samples.WEBHOOK,
        samples.WEBHOOK,
    ),
    operation(
        "webhook.update",
        "/webhook/update",
        lambda c: c.webhook.update("wkid_1", **HOOK_ARGUMENTS),
        {"webhookId": "wkid_1", **HOOK_WIRE},
    ),
    Case(
        "webhook.list",
        lambda c: c.webhook.list(),
        "/webhook/list",
        None,
        {"webhooks": [samples.WEBHOOK]},
        [samples.WEBHOOK],
    ),
    Case(
        "webhook.detail",
        lambda c: c.webhook.detail("wkid_1"),
        "/webhook/detail/wkid_1",
        None,
        samples.WEBHOOK,
        samples.WEBHOOK,
    ),
    operation(
        "webhook.disable",
        "/webhook/disable",
        lambda c: c.webhook.disable("wkid_1"),
        {"webhookId": "wkid_1"},
    ),
    operation(
        "webhook.enable",
        "/webhook/enable",
        lambda c: c.webhook.enable("wkid_1"),
        {"webhookId": "wkid_1"},
    ),
    Case(
        "webhook.refresh_key",
        lambda c: c.webhook.refresh_key("wkid_1", grace_seconds=60),
        "/webhook/key/refresh",
        {"webhookId": "wkid_1", "graceSeconds": 60},
        {"success": True, "key": "wkk_new"},
        RefreshedKey(success=True, key="wkk_new"),
    ),
    operation(
        "webhook.remove",
        "/webhook/remove",
        lambda c: c.webhook.remove("wkid_1"),
        {"webhookId": "wkid_1"},
    ),
    *EVENT_CASES,
    *LOG_CASES,
    Case(
        "capability.all",
        lambda c: c.capability.all(),
        "/capabilities/all",
        None,
        samples.CAPABILITIES,
        samples.CAPABILITIES,
    ),
]


def camel(name: str) -> str:
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


def assert_same(result: Any, sample: Any) -> None:
    """The result holds exactly what the sample says, field by field, whatever its form."""
    if isinstance(result, Page):
        assert (result.total, result.page, result.size) == (1, 1, 20)
        (item,) = result.items
        originals = {
            "Product": samples.PRODUCT,
            "PaymentLink": samples.LINK,
            "SessionDetail": samples.DETAIL,
            "Event": EVENT,
            "WebhookAttempt": WEBHOOK_ATTEMPT,
        }
        assert_same(item, originals[type(item).__name__])
    elif isinstance(result, tuple):
        wanted = sample["items"] if isinstance(sample, dict) else sample or ()
        assert len(result) == len(wanted)
        for one, other in zip(result, wanted, strict=True):
            assert_same(one, other)
    elif is_dataclass(result) and not isinstance(sample, type(result)):
        for field in fields(result):
            name = {"feeRatePpm": "feeRatePPM"}.get(camel(field.name), camel(field.name))
            assert_same(getattr(result, field.name), sample.get(name))
    elif isinstance(result, dict) and isinstance(sample, dict):
        assert set(result) == set(sample)
        for key, value in result.items():
            assert_same(value, sample[key])
    elif isinstance(result, int) and isinstance(sample, str):
        assert str(result) == sample
    else:
        assert result == sample


@pytest.mark.parametrize("kind", ASKS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_sends_and_reads(case: Case, kind: str) -> None:
    transport = answering(case.data)
    result = ASKS[kind](case.call, World(), transport)

    (request,) = transport.requests
    is_public = case.name == "capability.all"
    prefix = (
        "https://api.gstable.io/public/api/v1" if is_public else "https://api.gstable.io/api/v1"
    )
    assert request.method == ("GET" if case.wire is None else "POST")
    assert request.url == prefix + case.path
    assert request.json() == case.wire
    headers = dict(request.headers)
    assert headers.pop("Accept") == headers.pop("Content-Type") == "application/json"
    assert headers.pop("User-Agent") == f"gstable-python/{__version__}"
    assert headers.pop("Authorization", None) == (None if is_public else f"Bearer {API_KEY}")
    assert headers.pop("Idempotency-Key", None) == (None if case.wire is None else "key-1")
    assert headers == {}
    assert_same(result, case.sample)


def test_every_public_method_has_a_case() -> None:
    from gstable import Client

    client = Client(API_KEY, transport=answering(None))
    namespaces = {n: v for n, v in vars(client).items() if not n.startswith("_")}
    methods = {
        f"{name}.{method}"
        for name, namespace in namespaces.items()
        for method in dir(namespace)
        if not method.startswith("_") and not method.startswith("iterate")
    }
    assert methods == {case.name.partition(",")[0] for case in CASES}
    assert len(methods) == 49


ADJUSTABLE = ("item_4", "product", "prd_1", 2, 5, None)
ADJUSTABLE_WIRE = {
    "itemType": "product",
    "productId": "prd_1",
    "quantity": 2,
    "unitPrice": 5,
    "adjustableQuantity": {"minimum": 1, "maximum": 10},
}


@pytest.mark.parametrize("kind", ASKS)
def test_lines_and_attributes_of_an_answer_can_be_handed_back(kind: str) -> None:
    link = ASKS[kind](lambda c: c.payment_link.detail("lnk_1"), World(), answering(samples.LINK))
    one_time = LineItem("item_2", "one_time", None, 1, 5, link.line_items[0].product_data)
    user_priced = LineItem("item_3", "user_priced", "prd_1", 1, None, None)
    transport = answering(samples.SUCCESS)
    lines = (*link.line_items, one_time, user_priced, LineItem(*ADJUSTABLE, QuantityRange(1, 10)))
    arguments = {**LINK_ARGUMENTS, "line_items": lines}
    ASKS[kind](lambda c: c.payment_link.update("lnk_1", **arguments), World(), transport)
    sent: Any = transport.requests[0].json()
    assert sent["lineItems"] == [
        TEA_WIRE,
        {
            "itemType": "one_time",
            "quantity": 1,
            "unitPrice": 5,
            "productData": {
                "productName": "Green tea",
                "productDescription": "Loose leaves",
                "attributes": [{"name": "colour", "value": "green"}],
            },
        },
        {"itemType": "user_priced", "productId": "prd_1", "quantity": 1},
        ADJUSTABLE_WIRE,
    ]


@pytest.mark.parametrize("bounds", [{"minimum": 1, "maximum": 10}, QuantityRange(1, 10)])
def test_a_line_says_how_many_a_payer_may_choose(bounds: Any) -> None:
    transport = answering({**samples.LINK, "lineItems": {"items": [ADJUSTABLE_WIRE]}})
    line = {
        "item_type": "product",
        "product_id": "prd_1",
        "quantity": 2,
        "unit_price": 5,
        "adjustable_quantity": bounds,
    }
    arguments = {**LINK_ARGUMENTS, "line_items": [line]}
    made = ASKS["sync"](lambda c: c.payment_link.create(**arguments), World(), transport)
    sent: Any = transport.requests[0].json()
    assert sent["lineItems"] == [ADJUSTABLE_WIRE]
    assert made.line_items[0].adjustable_quantity == QuantityRange(1, 10)


@pytest.mark.parametrize("kind", ASKS)
def test_own_idempotency_key_is_sent(kind: str) -> None:
    transport = answering(samples.SUCCESS)
    ASKS[kind](lambda c: c.product.archive("prd_1", idempotency_key="mine 1"), World(), transport)
    assert transport.requests[0].headers["Idempotency-Key"] == "mine 1"


def test_two_calls_have_two_keys() -> None:
    from gstable import Client

    transport = answering(samples.SUCCESS)
    with Client(API_KEY, transport=transport) as client:
        client.product.archive("prd_1")
        client.product.archive("prd_1")
    first, second = (request.headers["Idempotency-Key"] for request in transport.requests)
    assert first != second
    assert len(first) == 36
