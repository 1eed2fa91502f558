"""What a host sees of the tools, and what they ask the API for; the API is the SDK's mock."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client

from gstable import AsyncClient, MockTransport, Request, Response
from gstable_server.agents.mcp.inputs import micro_usd
from gstable_server.agents.mcp.server import may_write, merchant_server
from tests.unit.sdk.samples import ACCOUNT, LINK, LINKS_PAGE, PRODUCTS_PAGE, SESSION, SESSIONS_PAGE

pytestmark = pytest.mark.anyio

EVENT = {
    "eventId": "evt_1",
    "eventType": "session.created",
    "businessType": "session",
    "occurrence": "2026-01-02 03:04:05",
    "isSubscribable": True,
    "sequence": 1,
    "payload": {"sessionData": SESSION},
}
ANSWERS: dict[str, Any] = {
    "/account/list": [ACCOUNT],
    "/product/list/1/20": PRODUCTS_PAGE,
    "/payment/link/list/2/5": LINKS_PAGE,
    "/payment/link/lnk_1": LINK,
    "/payment/link/create": LINK,
    "/session/sess_1": {"session": SESSION, "transaction": None},
    "/session/checkout/create": SESSION,
    "/session/checkout/cancel": {"success": True},
    "/session/list/settlement/pending/1/20": SESSIONS_PAGE,
    "/event/list/1/20": {"total": 1, "page": 1, "size": 20, "events": [EVENT]},
    "/event/detail/evt_1": EVENT,
}
READING: dict[str, dict[str, Any]] = {
    "list_accounts": {},
    "list_products": {},
    "list_payment_links": {"page": 2, "size": 5},
    "get_payment_link": {"link_id": "lnk_1"},
    "list_sessions": {"status": "settlement_pending"},
    "get_session": {"session_id": "sess_1"},
    "list_events": {},
    "get_event": {"event_id": "evt_1"},
}
WRITING: dict[str, dict[str, Any]] = {
    "create_payment_link": {
        "link_name": "Tea for two",
        "account_id": "acc_1",
        "settlement_token": "polygon::usdc",
        "line_items": [{"product_id": "prd_1", "quantity": 2, "unit_price_usd": "4.50"}],
    },
    "create_checkout_session": {
        "account_id": "acc_1",
        "settlement_token": "polygon::usdc",
        "line_items": [{"product_name": "Tea", "unit_price_usd": "0.000001"}],
        "metadata": {"orderId": "7"},
    },
    "cancel_session": {"session_id": "sess_1"},
}


def answer(request: Request) -> Response:
    """What the API would say."""
    return Response.envelope(ANSWERS[request.url.removeprefix("http://api.test")])


@asynccontextmanager
async def host(
    api_key: str = "sk_test_1", handler: Callable[[Request], Response] = answer
) -> AsyncIterator[tuple[Client, MockTransport]]:
    """A host that is connected to the tools, and what went to the API."""
    transport = MockTransport(handler)
    api = AsyncClient(api_key, base_url="http://api.test", transport=transport, max_retries=0)
    async with api, Client(merchant_server(api, writes=may_write(api_key))) as client:
        yield client, transport


async def test_a_secret_key_has_all_tools_and_hints_say_what_they_do() -> None:
    async with host() as (client, _):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == set(READING) | set(WRITING)
    for name, tool in tools.items():
        assert tool.title
        assert tool.description
        assert tool.output_schema is not None
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (name in READING)
        assert tool.annotations.destructive_hint is (name == "cancel_session")


async def test_a_restricted_key_has_only_the_tools_that_read() -> None:
    async with host("rk_test_1") as (client, transport):
        tools = {tool.name for tool in (await client.list_tools()).tools}
        refused = await client.call_tool("cancel_session", {"session_id": "sess_1"})
    assert tools == set(READING)
    assert refused.is_error
    assert transport.requests == []


@pytest.mark.parametrize(("name", "arguments"), [*READING.items(), *WRITING.items()])
async def test_every_tool_is_one_call_with_a_structured_answer(
    name: str, arguments: dict[str, Any]
) -> None:
    async with host() as (client, transport):
        found = await client.call_tool(name, arguments)
    assert not found.is_error, found.content
    assert found.structured_content
    assert len(transport.requests) == 1


async def test_prices_are_text_in_usd_and_travel_as_micro_usd() -> None:
    async with host() as (client, transport):
        link = await client.call_tool("create_payment_link", WRITING["create_payment_link"])
        await client.call_tool("create_checkout_session", WRITING["create_checkout_session"])
    sent = [request.json() for request in transport.requests]
    assert sent[0]["lineItems"] == [  # type: ignore[index]
        {"itemType": "product", "productId": "prd_1", "quantity": 2, "unitPrice": 4_500_000}
    ]
    assert sent[1]["lineItems"] == [  # type: ignore[index]
        {
            "itemType": "one_time",
            "quantity": 1,
            "unitPrice": 1,
            "productData": {"productName": "Tea"},
        }
    ]
    assert link.structured_content is not None
    assert link.structured_content["amount"] == {"micro_usd": 9_000_000, "usd": "9.00"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12", 12_000_000), ("12.5", 12_500_000), ("0.000001", 1), ("1000000", 10**12)],
)
async def test_decimal_text_is_exact(text: str, expected: int) -> None:
    assert micro_usd(text) == expected


@pytest.mark.parametrize("price", ["-1", "1e3", "1,50", "0.0000001", "NaN", 1.5, 100, True])
async def test_a_price_that_is_not_decimal_text_is_not_sent(price: object) -> None:
    arguments = {
        **WRITING["create_checkout_session"],
        "line_items": [{"product_name": "Tea", "unit_price_usd": price}],
    }
    async with host() as (client, transport):
        refused = await client.call_tool("create_checkout_session", arguments)
    assert refused.is_error
    assert transport.requests == []


@pytest.mark.parametrize(
    "line",
    [
        {"unit_price_usd": "1"},
        {"product_id": "prd_1", "product_name": "Tea", "unit_price_usd": "1"},
        {"product_id": "prd_1", "unit_price_usd": "1", "discount": "0.5"},
        {"product_id": "prd_1", "unit_price_usd": "1", "quantity": 0},
    ],
)
async def test_a_line_that_is_not_one_thing_is_not_sent(line: dict[str, object]) -> None:
    arguments = {**WRITING["create_checkout_session"], "line_items": [line]}
    async with host() as (client, transport):
        refused = await client.call_tool("create_checkout_session", arguments)
    assert refused.is_error
    assert transport.requests == []


async def test_an_argument_that_no_tool_has_is_refused_by_name() -> None:
    arguments = {**WRITING["create_checkout_session"], "sucess_url": "https://shop.example.com"}
    async with host() as (client, transport):
        schemas = [tool.input_schema for tool in (await client.list_tools()).tools]
        refused = await client.call_tool("create_checkout_session", arguments)
    assert all(schema["additionalProperties"] is False for schema in schemas)
    assert refused.is_error
    assert "sucess_url" in refused.content[0].text  # type: ignore[union-attr]
    assert transport.requests == []


async def test_a_line_without_a_price_makes_a_link_whose_payer_names_it() -> None:
    arguments = {**WRITING["create_payment_link"], "line_items": [{"product_id": "prd_1"}]}
    async with host() as (client, transport):
        await client.call_tool("create_payment_link", arguments)
    [request] = transport.requests
    sent: Any = request.json()
    assert sent["linkType"] == "custom"
    assert sent["lineItems"] == [{"itemType": "user_priced", "productId": "prd_1", "quantity": 1}]


async def test_a_refusal_is_a_tool_error_with_code_and_message() -> None:
    def refuse(_: Request) -> Response:
        words = "Payment session not found"
        return Response.envelope(code=100201, message=words, headers={"x-request-id": "req_1"})

    async with host(handler=refuse) as (client, _):
        refused = await client.call_tool("get_session", {"session_id": "sess_9"})
    told = {"code": 100201, "message": "Payment session not found", "request_id": "req_1"}
    assert refused.is_error
    assert refused.structured_content == told
    assert json.loads(refused.content[0].text) == told  # type: ignore[union-attr]


async def test_what_is_secret_is_not_shown() -> None:
    async with host() as (client, _):
        found = await client.call_tool("get_session", {"session_id": "sess_1"})
    assert "cc_1" not in found.model_dump_json()


async def test_an_event_names_what_it_is_about_and_a_list_leaves_payloads_out() -> None:
    async with host() as (client, _):
        listed = await client.call_tool("list_events", {})
        read = await client.call_tool("get_event", {"event_id": "evt_1"})
    assert listed.structured_content is not None
    assert read.structured_content is not None
    [head] = listed.structured_content["items"]
    assert head["business_id"] == "sess_1"
    assert "payload" not in head
    assert read.structured_content == {**head, "payload": EVENT["payload"]}
