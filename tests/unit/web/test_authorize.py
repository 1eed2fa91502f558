"""Choosing what to pay with on the page, and handing in a signature."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from gstable_server.chain import abi
from gstable_server.chain.orders import DOMAIN_NAME, ORDER, ROUTED_ORDER
from gstable_server.chain.typed_data import Domain
from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Database
from gstable_server.sessions.model import Session
from tests.unit.routing.market import every_network, rails_of
from tests.unit.web.shop import PUBLIC_URL, Merchant, new_app, new_desk
from tests.unit.web.test_events import next_status, serving

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
OURS = {"sec-fetch-site": "same-origin"}
PAYER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
SIGNATURE = "0x" + "5a" * 65


@pytest.fixture
async def merchant(database: Database) -> Merchant:
    """Where four networks can pay, by every rail, and what a payer signs is sent."""
    networks = every_network()
    desk = new_desk(networks)
    return await Merchant.open(database, replace(desk, rails=rails_of(networks), relays=True))


@pytest.fixture
async def payer(merchant: Merchant) -> AsyncIterator[AsyncClient]:
    app = new_app(merchant.db, merchant.desk)
    async with AsyncClient(transport=ASGITransport(app=app), base_url=PUBLIC_URL) as client:
        yield client


async def prepare(payer: AsyncClient, session: Session, **fields: Any) -> dict[str, Any]:
    body = {
        "clientCode": session.client_code,
        "tokenId": "polygon::usdc",
        "payer": PAYER,
        **fields,
    }
    answer = await payer.post(f"/pay/{session.session_id}/prepare", json=body, headers=OURS)
    assert answer.status_code == 200, answer.text
    prepared: dict[str, Any] = answer.json()
    return prepared


async def authorize(
    client: AsyncClient,
    session: Session,
    prepared: dict[str, Any],
    headers: dict[str, str] | None = None,
    **changes: Any,
) -> Response:
    body = {
        "clientCode": session.client_code,
        "digest": prepared["digest"],
        "way": prepared["way"],
        "payer": PAYER,
        "signature": SIGNATURE,
        **changes,
    }
    body = {name: value for name, value in body.items() if value is not None}
    return await client.post(
        f"/pay/{session.session_id}/authorize",
        json=body,
        headers=OURS if headers is None else headers,
    )


async def test_the_page_offers_every_token_by_network_the_nearest_first(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session(feeModel=2)
    page = (await payer.get(f"/pay/{session.session_id}")).text
    assert re.findall(r">On ([A-Za-z]+)<", page) == ["Polygon", "Ethereum", "Base", "Arbitrumone"]
    shown = re.findall(r'name="tokenId" value="([^"]+)" required\s+data-way="([^"]+)"', page)
    assert shown == [
        ("polygon::usdc", "erc3009"),
        ("polygon::usdt", "permit2"),
        ("ethereum::usdt", "permit2"),
        ("ethereum::usdc", "erc3009"),
        ("base::usdc", "erc3009"),
        ("arbitrumone::usdt", "permit2"),
        ("arbitrumone::usdc", "erc3009"),
    ]
    assert page.count(" checked") == 1
    text = " ".join(page.split())
    assert '100.20 USDC<br><span class="small muted">incl. 0.20 USD fee' in text
    # All that comes on top, of which a solver gets a part.
    assert '100.60 USDT<br><span class="small muted">incl. 0.60 USD fee' in text
    # Where the merchant bears it, the payer is not told of it with every token.
    free = await merchant.session(feeModel=1)
    assert "USD fee" not in (await payer.get(f"/pay/{free.session_id}")).text


async def test_a_routed_payment_says_what_arrives_and_where(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session()
    prepared = await prepare(payer, session, tokenId="arbitrumone::usdt", way="approve")
    terms = prepared["terms"]
    assert (terms["totalText"], terms["merchantAmountText"]) == ("100.00 USDT", "99.40 USDC")
    assert terms["merchantNetworkName"] == "Polygon"
    assert terms["railCostText"] == "0.0994 USDT"
    assert int(terms["amount"]) + int(terms["feeAmount"]) == int(terms["total"])
    assert prepared["pay"]["data"][:10] == f"0x{abi.selector(abi.ROUTE).hex()}"
    assert terms["rail"][2:].lower() in prepared["pay"]["data"]
    assert prepared["ways"] == ["permit2", "approve"]


async def test_a_signature_is_handed_in_and_followed(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session()
    prepared = await prepare(payer, session, way="erc3009")
    assert (prepared["approve"], prepared["pay"], prepared["spender"]) == (None, None, None)
    assert prepared["typedData"]["primaryType"] == "ReceiveWithAuthorization"
    answer = await authorize(payer, session, prepared)
    assert answer.status_code == 200, answer.text
    handed_in = answer.json()
    assert (handed_in["relayed"], handed_in["pay"]) == (True, None)
    path = f"/pay/{session.session_id}/status"
    assert (await payer.get(path)).json()["relay"] is None
    followed = await payer.get(path, params={"relay": handed_in["relay"]})
    assert followed.json()["relay"] == "waiting"
    other = await merchant.session()
    foreign = await payer.get(
        f"/pay/{other.session_id}/status", params={"relay": handed_in["relay"]}
    )
    assert foreign.json()["relay"] is None


async def test_an_open_page_is_told_of_what_was_handed_in(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session()
    prepared = await prepare(payer, session, way="erc3009")
    relay = (await authorize(payer, session, prepared)).json()["relay"]
    query = f"?{urlencode({'relay': relay})}"
    async with serving(merchant) as door, door.stream(session.session_id, query=query) as answer:
        assert (await next_status(answer))["relay"] == "waiting"


async def test_a_permit_comes_back_as_a_call(payer: AsyncClient, merchant: Merchant) -> None:
    session = await merchant.session()
    prepared = await prepare(payer, session, way="permit")
    handed_in = (await authorize(payer, session, prepared)).json()
    assert (handed_in["relayed"], handed_in["relay"]) == (False, None)
    assert handed_in["pay"]["to"] == prepared["terms"]["router"]
    assert "5a" * 32 in handed_in["pay"]["data"]


async def test_nothing_but_our_pages_own_form_is_taken(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session()
    prepared = await prepare(payer, session, way="erc3009")
    foreign = await authorize(payer, session, prepared, {"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    for changes in (
        {"way": "approve"},
        {"way": "deposit"},
        {"digest": "0x12"},
        {"signature": "0x"},
        {"signature": "0x123"},
        {"signature": None},
        {"payer": "me"},
        {"extra": 1},
    ):
        assert (await authorize(payer, session, prepared, **changes)).status_code == 400
    refused = await authorize(payer, session, prepared, digest="0x" + "00" * 32)
    assert refused.status_code == 409
    assert "problem" in refused.json()


def test_the_page_knows_the_router_by_the_same_words() -> None:
    sources = (ROOT / "web/src/checkout" / name for name in ("order.ts", "work.ts"))
    script = "".join(source.read_text() for source in sources)
    for name in ("APPROVE", "PAY", "PAY_WITH", "ROUTE", "ROUTE_WITH"):
        selector = abi.selector(getattr(abi, name)).hex()
        assert f'const {name} = "0x{selector}";' in script
    joined = re.sub(r'" \+\s+"', "", script)
    for struct in (ORDER, ROUTED_ORDER, Domain("", "", 1, Address(bytes(20))).struct):
        members = ",".join(f"{kind} {name}" for kind, name in struct.members)
        assert f'"{struct.name}({members})"' in joined
    assert f'textToHex("{DOMAIN_NAME}")' in script
