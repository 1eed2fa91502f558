"""What a page with a relay may connect to, and what it may ask of a network through this server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette

from gstable_server.chain.rpc import NodeRefused
from gstable_server.plumbing.config import Settings
from gstable_server.plumbing.db import Database
from gstable_server.sessions.model import Session, SessionState
from gstable_server.web.base import Pages
from gstable_server.web.checkout import routes as checkout
from gstable_server.web.checkout.walletconnect import Relay
from tests.unit.web.shop import PUBLIC_URL, Merchant, new_desk, set_state

pytestmark = pytest.mark.anyio

ROUTER, USDC = "0x" + "11" * 20, "0x" + "22" * 20
STRANGE, PAYER = "0x" + "99" * 20, "0x" + "3c" * 20
CHAIN = 1337137


@dataclass
class Node:
    """Notes what it is asked."""

    asked: list[tuple[str, list[Any]]] = field(default_factory=list)
    refuses: bool = False

    async def ask(self, questions: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        self.asked += questions
        if self.refuses:
            raise NodeRefused("execution reverted")
        return ["0x01" for _ in questions]


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
async def merchant(database: Database) -> Merchant:
    return await Merchant.open(database, new_desk())


def _client(merchant: Merchant, relay: Relay | None) -> AsyncClient:
    pages = Pages.load()
    app = Starlette(routes=checkout.routes(merchant.db, merchant.desk, pages, relay=relay))
    headers = {"sec-fetch-site": "same-origin"}
    return AsyncClient(transport=ASGITransport(app=app), base_url=PUBLIC_URL, headers=headers)


@pytest.fixture
async def payer(merchant: Merchant, node: Node) -> AsyncIterator[AsyncClient]:
    relay = Relay("project", "wss://relay.example.com/path", {"polygon": node})
    async with _client(merchant, relay) as client:
        yield client


async def _ask(client: AsyncClient, session: Session, **asked: Any) -> Response:
    body = {"clientCode": session.client_code, "chainId": CHAIN, **asked}
    return await client.post(f"/pay/{session.session_id}/network", json=body)


def _connects_to(answer: Response) -> str:
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    return policy["connect-src"]


async def test_only_a_page_that_can_be_paid_may_reach_the_relay(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session()
    url = f"/pay/{session.session_id}"
    answer = await payer.get(url)
    assert _connects_to(answer) == "'self' wss://relay.example.com"
    assert 'data-project="project"' in answer.text
    assert (
        "relay.example.com"
        not in (await payer.get(f"{url}/status")).headers["content-security-policy"]
    )
    await set_state(merchant.db, session, SessionState.EXPIRED)
    over = await payer.get(url)
    assert _connects_to(over) == "'self'"
    assert "remote-wallet" not in over.text


async def test_without_a_project_nothing_of_it_is_there(merchant: Merchant) -> None:
    session = await merchant.session()
    async with _client(merchant, None) as client:
        answer = await client.get(f"/pay/{session.session_id}")
        assert _connects_to(answer) == "'self'"
        assert "remote" not in answer.text
        assert "walletconnect" not in answer.text
        refused = await _ask(client, session, method="eth_getBlockByNumber")
        assert refused.status_code == 404


async def test_a_network_is_asked_what_a_payment_is_rehearsed_with(
    payer: AsyncClient, merchant: Merchant, node: Node
) -> None:
    session = await merchant.session()
    questions: list[dict[str, Any]] = [
        {"method": "eth_call", "to": USDC, "data": "0x70a08231", "account": PAYER},
        {"method": "eth_call", "to": ROUTER, "data": "0x5c975abb"},
        {"method": "eth_getBalance", "account": PAYER},
        {"method": "eth_getTransactionReceipt", "txHash": "0x" + "ab" * 32},
        {"method": "eth_getBlockByNumber"},
    ]
    for asked in questions:
        assert (await _ask(payer, session, **asked)).json() == {"result": "0x01"}
    assert node.asked == [
        ("eth_call", [{"from": PAYER, "to": USDC, "data": "0x70a08231"}, "latest"]),
        ("eth_call", [{"to": ROUTER, "data": "0x5c975abb"}, "latest"]),
        ("eth_getBalance", [PAYER, "latest"]),
        ("eth_getTransactionReceipt", ["0x" + "ab" * 32]),
        ("eth_getBlockByNumber", ["latest", False]),
    ]
    node.refuses = True
    refused = await _ask(payer, session, **questions[0])
    assert refused.json() == {"problem": "execution reverted"}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"method": "eth_call", "to": STRANGE, "data": "0x70a08231"}, 404),
        ({"method": "eth_call", "data": "0x70a08231"}, 404),
        ({"method": "eth_getBlockByNumber", "chainId": 1}, 404),
        ({"method": "eth_getBlockByNumber", "clientCode": "another"}, 404),
        ({"method": "eth_getBalance"}, 404),
        ({"method": "eth_getTransactionReceipt"}, 404),
        ({"method": "eth_sendRawTransaction"}, 400),
        ({"method": "eth_call", "to": USDC, "data": "0x" + "00" * 5_000}, 400),
    ],
)
async def test_a_network_is_asked_nothing_else(
    payer: AsyncClient, merchant: Merchant, node: Node, asked: dict[str, Any], status: int
) -> None:
    session = await merchant.session()
    assert (await _ask(payer, session, **asked)).status_code == status
    assert node.asked == []


async def test_networks_of_the_other_mode_are_not_asked(
    payer: AsyncClient, merchant: Merchant, node: Node
) -> None:
    """Test sessions cost nothing, and the nodes of live networks are paid for."""
    session = await merchant.session()
    async with merchant.db.begin() as tx:
        await tx.execute("UPDATE sessions SET mode = 'live'")
    assert (await _ask(payer, session, method="eth_getBlockByNumber")).status_code == 404
    assert node.asked == []


@pytest.mark.parametrize(
    "url",
    ["https://relay.example.com", "wss://a b", "wss://a; script-src *", "wss://a'x'", "wss://"],
)
def test_a_relay_that_is_no_address_is_refused_at_the_start(url: str) -> None:
    settings = {
        "DATABASE_URL": "postgresql://",
        "order_signing_key": "00",
        "fee_receiver": "0x",
        "walletconnect_relay_url": url,
    }
    with pytest.raises(ValueError, match="walletconnect_relay_url"):
        Settings.model_validate(settings)
