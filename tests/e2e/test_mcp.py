"""A language model's host drives a payment to completion, with the tools of ``gstable mcp``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from gstable_server.cli.payer import Payer, open_http
from tests.contract.support import Merchant, new_merchant
from tests.running import LOOK_SECONDS, WAIT_SECONDS, Running

pytestmark = pytest.mark.anyio
TOLD = ["session.created", "session.paid", "session.completed"]


class Host:
    """What a model's host has: tools by name, and their structured answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> list[str]:
        """The names of what it is offered."""
        return [tool.name for tool in (await self._client.list_tools()).tools]

    async def tool(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The answer of a tool that succeeds."""
        found = await self._client.call_tool(name, arguments)
        assert not found.is_error, found.content
        answer: dict[str, Any] | None = found.structured_content
        assert answer is not None
        return answer

    async def refused(self, name: str, **arguments: Any) -> Any:
        """The code of a tool that the platform refuses."""
        found = await self._client.call_tool(name, arguments)
        assert found.is_error
        assert found.structured_content is not None
        return found.structured_content["code"]

    async def events(self, object_id: str) -> list[dict[str, Any]]:
        """What is listed about an object, in its order."""
        listed = await self.tool("list_events", size=100)
        about = [event for event in listed["items"] if event["business_id"] == object_id]
        return sorted(about, key=lambda event: int(event["sequence"]))

    async def told(self, object_id: str) -> list[str]:
        return [event["event_type"] for event in await self.events(object_id)]


@asynccontextmanager
async def a_host(running: Running, api_key: str | None = None) -> AsyncIterator[Host]:
    """A host that starts the command as its configuration says."""
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "gstable_server.cli", "mcp"],
        env={
            "GSTABLE_API_KEY": api_key or running.api_key,
            "GSTABLE_BASE_URL": running.about["baseUrl"],
        },
    )
    async with Client(command) as client:
        yield Host(client)


async def test_a_host_makes_a_link_and_a_session_and_sees_them_paid(running: Running) -> None:
    async with a_host(running) as host, open_http() as http:
        payer = Payer(http, running.base_url, running.networks, running.payer_keys[0])
        # Given a link for a product of the catalogue, and a session for something with a name
        product = (await host.tool("list_products"))["items"][0]
        terms = {"account_id": running.account_id, "settlement_token": "polygon::usdc"}
        price = product["prices"][0]
        line = {"product_id": product["product_id"], "unit_price_usd": price["usd"]}
        link = await host.tool("create_payment_link", link_name="Hi", line_items=[line], **terms)
        tea = {"product_name": "Tea", "unit_price_usd": "2.50", "quantity": 2}
        session = await host.tool("create_checkout_session", line_items=[tea], **terms)
        assert link["amount"] == price
        assert session["amount"] == {"micro_usd": 5_000_000, "usd": "5.00"}
        # When a payer pays both
        link_url = await payer.open_link(link["link_url"])
        for url in (session["payment_url"], link_url):
            await payer.pay(url, "polygon::usdc")
        # Then the host reads both as completed, and what happened
        for session_id in (session["session_id"], link_url.rsplit("/", 1)[1]):
            paid = await _completed(host, session_id)
            assert paid["payer"].lower() == f"0x{payer.address.hex()}"
            assert await host.told(session_id) == TOLD
        [*_, last] = await host.events(session["session_id"])
        letter = await host.tool("get_event", event_id=last["event_id"])
        assert letter["payload"]["sessionData"]["status"] == "completed"


async def test_a_host_cancels_once_and_is_told_why_not_twice(running: Running) -> None:
    async with a_host(running) as host:
        terms = {"account_id": running.account_id, "settlement_token": "polygon::usdc"}
        tea = {"product_name": "Tea", "unit_price_usd": "2.50"}
        session = await host.tool("create_checkout_session", line_items=[tea], **terms)
        done = await host.tool("cancel_session", session_id=session["session_id"])
        assert done["success"] is True
        assert await host.refused("cancel_session", session_id=session["session_id"]) == 100205
        assert await host.refused("get_session", session_id="sess_of_nobody") == 100201
        found = await host.tool("get_session", session_id=session["session_id"])
        assert found["status"] == "cancelled"


@pytest.fixture
def merchant(running: Running) -> Merchant:
    """Another merchant, with a key that only reads."""
    return new_merchant(running)


async def test_a_restricted_key_reads_everything_and_is_offered_nothing_else(
    running: Running, merchant: Merchant
) -> None:
    async with a_host(running, merchant.restricted) as host:
        assert [name for name in await host.tools() if not name.startswith(("list_", "get_"))] == []
        for name in ("list_products", "list_payment_links", "list_sessions"):
            assert (await host.tool(name))["items"] == []
        accounts = (await host.tool("list_accounts"))["items"]
        assert merchant.account_id in [account["account_id"] for account in accounts]
        assert "account.created" in await host.told(merchant.account_id)


async def _completed(host: Host, session_id: str) -> dict[str, Any]:
    async with asyncio.timeout(WAIT_SECONDS):
        while (found := await host.tool("get_session", session_id=session_id))[
            "status"
        ] != "completed":
            await asyncio.sleep(LOOK_SECONDS)
    return found
