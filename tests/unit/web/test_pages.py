"""The link's page, opening a session from it, and preparing a payment."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from httpx2 import AsyncClient, Response

from gstable_server.kernel.ids import SessionId
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.model import SessionState as S
from gstable_server.web.base import HERE
from tests.unit.web.shop import PRICE, Merchant, set_link_status, set_state

pytestmark = pytest.mark.anyio

OURS = {"sec-fetch-site": "same-origin"}
PAYER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"


async def submit(payer: AsyncClient, link_id: str, **fields: str) -> Response:
    # A browser names the type of an empty form too; the test's client does not.
    headers = {**OURS, "content-type": "application/x-www-form-urlencoded"}
    return await payer.post(f"/link/{link_id}/open", content=urlencode(fields), headers=headers)


async def session_count(merchant: Merchant) -> int:
    async with merchant.db.read() as tx:
        return int(await tx.fetchval("SELECT count(*) FROM sessions"))


async def amount_of(merchant: Merchant, answer: Response) -> int:
    assert answer.status_code == 303, answer.text
    location = answer.headers["location"]
    assert location.startswith("/pay/")
    async with merchant.db.read() as tx:
        return (await sessions.view(tx, SessionId(location[5:]))).session.amount


async def test_a_fixed_link_shows_the_order_and_opens_a_session(
    payer: AsyncClient, merchant: Merchant
) -> None:
    link = await merchant.link()
    page = (await payer.get(f"/link/{link.link_id}")).text
    for text in ("Blue Door Books", "Field guide to harbour birds", "2 × 25.00 USD", "50.00 USD"):
        assert text in page
    assert await amount_of(merchant, await submit(payer, link.link_id)) == 2 * PRICE


async def test_a_custom_link_takes_exact_amounts(payer: AsyncClient, merchant: Merchant) -> None:
    link = await merchant.link(linkType="custom")
    page = (await payer.get(f"/link/{link.link_id}")).text
    assert re.findall(r'name="pick" value="([^"]+)"', page) == ["5.00", "10.00", "25.00", "other"]
    picked = await submit(payer, link.link_id, pick="10.00", amount="")
    assert await amount_of(merchant, picked) == 10_000_000
    typed = await submit(payer, link.link_id, pick="other", amount="0.333333")
    assert await amount_of(merchant, typed) == 333_333


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("", "Write the amount in figures"),
        ("1,500", "Write the amount in figures, like 12.50."),
        ("0", "above zero"),
        ("0.001", "Only amounts from 0.01 USD to 1,000,000.00 USD can be paid here."),
        ("2000000", "Only amounts from 0.01 USD to 1,000,000.00 USD can be paid here."),
        ('"><script>alert(1)</script>', "Write the amount in figures"),
    ],
)
async def test_a_wrong_amount_is_told_and_opens_nothing(
    payer: AsyncClient, merchant: Merchant, amount: str, text: str
) -> None:
    link = await merchant.link(linkType="custom")
    answer = await submit(payer, link.link_id, pick="other", amount=amount)
    assert answer.status_code == 422
    assert text in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "<script>" not in answer.text
    assert await session_count(merchant) == 0


async def test_a_required_email_is_asked_for_and_kept(
    payer: AsyncClient, merchant: Merchant
) -> None:
    link = await merchant.link(payerEmailRequired=1)
    for wrong in ("", "nonsense", "a@b@c", "a@example.com\r\nBcc: x@example.com"):
        answer = await submit(payer, link.link_id, email=wrong)
        assert answer.status_code == 422
        assert "Enter your e-mail address" in answer.text
    assert await session_count(merchant) == 0
    payer.headers["accept-language"] = "ar"
    answer = await submit(payer, link.link_id, email="reader@example.com")
    async with merchant.db.read() as tx:
        # The letter with the receipt will be in the language of this page.
        assert await tx.fetchval("SELECT language FROM receipt_letters") == "ar"
    page = (await payer.get(answer.headers["location"])).text
    assert 'name="payerEmail"' not in page


async def test_closed_links_say_so_and_open_nothing(payer: AsyncClient, merchant: Merchant) -> None:
    disabled = await merchant.link(customDisabledText="Counting stock. <i>Back</i> on Monday.")
    await set_link_status(merchant.db, disabled, "inactive")
    archived = await merchant.link()
    await set_link_status(merchant.db, archived, "archived")
    page = await payer.get(f"/link/{disabled.link_id}")
    assert page.status_code == 200
    assert "Counting stock. &lt;i&gt;Back&lt;/i&gt; on Monday." in page.text
    assert "<form" not in page.text
    assert (await submit(payer, disabled.link_id)).status_code == 422
    page = await payer.get(f"/link/{archived.link_id}")
    assert page.status_code == 410
    assert "closed for good" in page.text
    assert (await submit(payer, archived.link_id)).status_code == 422
    for missing in ("lnk_none", "nonsense"):
        assert (await payer.get(f"/link/{missing}")).status_code == 404
        assert (await submit(payer, missing)).status_code == 404
    assert await session_count(merchant) == 0


async def test_foreign_pages_cannot_open_a_session(payer: AsyncClient, merchant: Merchant) -> None:
    link = await merchant.link()
    path = f"/link/{link.link_id}/open"
    for headers in ({}, {"origin": "https://evil.example.com"}, {"sec-fetch-site": "cross-site"}):
        assert (await payer.post(path, data={"a": "b"}, headers=headers)).status_code == 403
    plain = {**OURS, "content-type": "text/plain"}
    assert (await payer.post(path, content=b"a=b", headers=plain)).status_code == 403
    assert await session_count(merchant) == 0


async def test_chk_01_what_merchants_write_is_inert(payer: AsyncClient, merchant: Merchant) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    session = await merchant.session(
        lineItems=[
            {
                "itemType": "one_time",
                "quantity": 1,
                "unitPrice": 1_000_000,
                "productData": {
                    "productName": evil,
                    "productDescription": evil,
                    "imageUrl": "https://evil.example.com/pixel.png",
                    "attributes": [{"name": evil[:50], "value": evil}],
                },
            }
        ],
        metadata={"note": evil},
    )
    link = await merchant.link(linkName=evil)
    for path in (f"/pay/{session.session_id}", f"/link/{link.link_id}"):
        page = (await payer.get(path)).text
        assert "&lt;script&gt;" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "evil.example.com" not in page


async def prepare(
    client: AsyncClient, session_id: str, headers: dict[str, str] | None = None, **fields: Any
) -> Response:
    return await client.post(
        f"/pay/{session_id}/prepare", json=fields, headers=OURS if headers is None else headers
    )


async def test_the_prepared_terms_are_those_of_the_signed_order(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session(feeModel=2)
    answer = await prepare(
        payer,
        session.session_id,
        clientCode=session.client_code,
        tokenId="polygon::usdc",
        payer=PAYER,
    )
    assert answer.status_code == 200
    prepared = answer.json()
    assert (prepared["chainId"], prepared["chainIdHex"]) == (1337137, "0x146731")
    # The other RPC address of the network carries the operator's key.
    assert prepared["rpcUrl"] == "http://127.0.0.1:8545"
    terms = prepared["terms"]
    assert (terms["merchantAmount"], terms["feeAmount"], terms["total"]) == (
        "100000000",
        "200000",
        "100200000",
    )
    assert terms["totalText"] == "100.20 USDC"
    spender = terms["router"][2:].lower().rjust(64, "0")
    assert prepared["approve"] == {
        "to": prepared["tokenAddress"],
        "data": f"0x095ea7b3{spender}{100_200_000:064x}",
        "value": "0x0",
    }
    assert prepared["resetApprove"]["data"] == f"0x095ea7b3{spender}{0:064x}"
    assert prepared["pay"]["to"] == terms["router"]
    assert f"{100_000_000:064x}" in prepared["pay"]["data"]
    assert session.session_key.hex() in prepared["pay"]["data"]


async def test_a_refused_preparation_says_what_to_do(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session(payerEmailRequired=1)
    right: dict[str, Any] = {
        "clientCode": session.client_code,
        "tokenId": "polygon::usdc",
        "payer": PAYER,
        "payerEmail": "reader@example.com",
    }

    async def problem(state: S = S.INITIALIZED, **changes: Any) -> tuple[int, str]:
        await set_state(merchant.db, session, state)
        fields = {name: value for name, value in {**right, **changes}.items() if value is not None}
        answer = await prepare(payer, session.session_id, **fields)
        return answer.status_code, str(answer.json()["problem"])

    assert await problem(clientCode="cc_wrong") == (
        409,
        "This page is out of date. Reload it and try again.",
    )
    assert (await problem(tokenId="polygon::usdt"))[0] == 409
    assert "e-mail" in (await problem(payerEmail=None))[1]
    assert "Do not pay again" in (await problem(S.PAID))[1]
    assert "time for this payment is over" in (await problem(S.EXPIRED))[1]
    assert "withdrawn" in (await problem(S.CANCELLED))[1]
    for changes in ({"payer": "0x12"}, {"payer": 5}, {"extra": 1}, {"clientCode": None}):
        assert (await problem(**changes))[0] == 400
    foreign = await prepare(payer, session.session_id, {"sec-fetch-site": "cross-site"}, **right)
    assert foreign.status_code == 403
    plain = await payer.post(
        f"/pay/{session.session_id}/prepare",
        content=b"{}",
        headers={**OURS, "content-type": "text/plain"},
    )
    assert plain.status_code == 403
    assert (await prepare(payer, "sess_none", **right)).status_code == 404


def test_no_template_switches_escaping_off() -> None:
    templates = list(HERE.rglob("*.html"))
    assert templates
    for template in templates:
        text = template.read_text()
        assert "|safe" not in text.replace(" ", "")
        assert "autoescape" not in text
        assert "style=" not in text
        assert " on" + "click" not in text
