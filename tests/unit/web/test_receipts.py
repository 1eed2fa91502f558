"""Receipts: what they say, as a page, as a PDF, and signed for programs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette

from gstable_server.accounts.branding import operations as brandings
from gstable_server.chain.checksum import to_checksum
from gstable_server.kernel.errors import Passing
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing.db import Database
from gstable_server.receipts import operations as receipts
from gstable_server.sessions.model import Session, SessionState
from gstable_server.web.base import Pages
from gstable_server.web.receipts import routes as receipt_routes
from gstable_server.web.receipts.order import Fonts
from gstable_server.web.receipts.pdf import NoFont, pdf
from gstable_server.web.receipts.press import WAITING_MAX, Press
from gstable_server.web.receipts.sheet import sheet
from tests.unit.web.console import reader
from tests.unit.web.shop import PUBLIC_URL, Merchant, add_payment, set_state

pytestmark = pytest.mark.anyio

HOSTILE = 'Tea "><script>alert(1)</script>'


@pytest.fixture
async def payer(merchant: Merchant, press: Press) -> AsyncIterator[AsyncClient]:
    pages = Pages.load()
    routes = receipt_routes.routes(merchant.db, merchant.desk, pages, press)
    transport = ASGITransport(app=Starlette(routes=[*routes, *pages.routes()]))
    async with AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        yield client


@pytest.fixture(scope="module")
def press() -> Iterator[Press]:
    made = Press(Fonts())
    yield made
    made.close()


async def _paid(
    merchant: Merchant, state: SessionState = SessionState.COMPLETED, name: str = "Workshop ticket"
) -> Session:
    line = {
        "itemType": "one_time",
        "quantity": 2,
        "unitPrice": 50_000_000,
        "productData": {"productName": name},
    }
    session = await merchant.session(lineItems=[line])
    await add_payment(merchant.db, session)
    async with merchant.db.begin() as tx:
        await tx.execute("UPDATE payments SET state = 'final', final_at = $1", tx.now)
        await tx.execute("UPDATE sessions SET paid_at = $1, completed_at = $1", tx.now)
    return await set_state(merchant.db, session, state)


async def _brand(merchant: Merchant, **entries: str) -> None:
    await merchant.db.run(
        brandings.save,
        merchant.tenant.merchant_id,
        {"displayName": "Blue Door Books", **entries},
        actor="anna@books.example",
    )


async def _give_back(db: Database, session: Session, state: str) -> None:
    """A refund of 1 USDC as it stands once its transfer is seen or final."""
    async with db.begin() as tx:
        await tx.execute(
            "INSERT INTO refunds (refund_id, session_id, payment_id, network, chain_id, token_id,"
            " token, decimals, sender, receiver, token_amount, amount, state, expires_at,"
            " created_at, tx_hash, log_position)"
            " SELECT 'rfd_1', session_id, payment_id, network, chain_id, token_id, $2, 6, merchant,"
            " payer, 1000000, 1000000, $3, $4, $4, $5, 0 FROM payments WHERE session_id = $1",
            session.session_id,
            b"\x22" * 20,
            state,
            tx.now,
            b"\xcd" * 32,
        )


async def test_a_receipt_names_everything_that_was_paid(
    merchant: Merchant, payer: AsyncClient
) -> None:
    await _brand(merchant, supportEmail="help@books.example", accent="#0044cc")
    session = await _paid(merchant, name=HOSTILE)
    answer = await payer.get(f"/receipt/{session.session_id}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    assert "/branding/sheet-0044cc-soft-" in answer.text
    text = " ".join(reader(answer).text.split())
    for shown in (
        "Blue Door Books",
        HOSTILE,
        "2 × 50.00 USD",
        "100.00 USD",
        "Complete: the merchant has the money.",
        "Test payment: no real money.",
        # What the payer gave, and the fee of it.
        "You paid 100.00 USDC",
        "0.20 USDC",
        "99.80 USDC",
        "Polygon (local)",
        "0x" + "ab" * 32,
        to_checksum(session.recipient),
        "help@books.example",
    ):
        assert shown in text, shown


async def test_a_receipt_says_what_can_still_change(merchant: Merchant, payer: AsyncClient) -> None:
    session = await _paid(merchant, SessionState.SETTLING)
    text = (await payer.get(f"/receipt/{session.session_id}")).text
    assert "not final yet" in text
    assert "Complete:" not in text
    await set_state(merchant.db, session, SessionState.SETTLEMENT_PENDING)
    assert "longer than usual" in (await payer.get(f"/receipt/{session.session_id}")).text


async def test_a_receipt_shows_what_came_back(merchant: Merchant, payer: AsyncClient) -> None:
    session = await _paid(merchant)
    await _give_back(merchant.db, session, "seen")
    text = reader(await payer.get(f"/receipt/{session.session_id}")).text
    assert "Refund" in text
    assert "given back since" in text
    assert "the merchant has the money" not in text
    assert "0x" + "cd" * 32 in text
    refund = (await payer.get(f"/receipt/{session.session_id}.json")).json()["receipt"]["refunds"]
    assert [(one["amount"]["atomic"], one["final"]) for one in refund] == [("1000000", False)]


async def test_chk_there_is_no_receipt_of_what_is_not_paid(
    merchant: Merchant, payer: AsyncClient
) -> None:
    unpaid = await merchant.session()
    taken_back = await _paid(merchant)
    async with merchant.db.begin() as tx:
        await tx.execute(
            "UPDATE payments SET state = 'reverted' WHERE session_id = $1", taken_back.session_id
        )
    for name in (unpaid.session_id, taken_back.session_id, "sess_none", "%00", "lnk_1"):
        for kind in ("", ".pdf", ".json"):
            assert (await payer.get(f"/receipt/{name}{kind}")).status_code == 404, name


async def test_a_receipt_is_in_the_payers_language(merchant: Merchant, payer: AsyncClient) -> None:
    session = await _paid(merchant)
    path = f"/receipt/{session.session_id}"
    answer = await payer.get(path, headers={"accept-language": "ar"})
    assert '<html lang="ar" dir="rtl">' in answer.text
    await _brand(merchant, defaultLanguage="de")
    assert '<html lang="de"' in (await payer.get(path)).text


async def test_a_signed_receipt_can_be_checked_by_anybody(
    merchant: Merchant, payer: AsyncClient
) -> None:
    session = await _paid(merchant)
    answer = await payer.get(f"/receipt/{session.session_id}.json")
    assert answer.headers["access-control-allow-origin"] == "*"
    body = answer.json()
    key_set = jwt.PyJWKSet.from_dict((await payer.get("/.well-known/jwks.json")).json())
    assert body["keys"] == f"{PUBLIC_URL}/.well-known/jwks.json"
    [key] = key_set.keys
    # The key is the one that routers have as their signer.
    assert key.key_id == to_checksum(merchant.desk.signer.address)

    claims = _checked(body["token"], key)
    assert claims == body["receipt"]
    assert jwt.get_unverified_header(body["token"])["typ"] == "receipt+jwt"
    assert (claims["sub"], claims["status"], claims["final"]) == (
        session.session_id,
        "completed",
        True,
    )
    [payment] = claims["payments"]
    assert payment["given"] == {
        "atomic": "100000000",
        "decimals": 6,
        "symbol": "USDC",
        "token": "polygon::usdc",
    }
    assert payment["transaction"]["hash"] == "0x" + "ab" * 32

    head, payload, signature = body["token"].split(".")
    forged = json.dumps({**claims, "amount": "1"}).encode()
    for token in (
        f"{head}.{jwt.utils.base64url_encode(forged).decode()}.{signature}",
        ".".join((head, payload, "A" * len(signature))),
    ):
        with pytest.raises(jwt.InvalidSignatureError):
            _checked(token, key)


def _checked(token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
    claims: Mapping[str, Any] = jwt.decode(token, key, algorithms=["ES256K"], issuer=PUBLIC_URL)
    return claims


async def test_a_pdf_is_the_same_every_time_and_in_a_language_that_has_a_font(
    merchant: Merchant, payer: AsyncClient
) -> None:
    session = await _paid(merchant, name="Größe – किताब – مكتبة")
    path = f"/receipt/{session.session_id}.pdf"
    answer = await payer.get(path)
    assert answer.content.startswith(b"%PDF-1.")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["x-content-type-options"] == "nosniff"
    # The labels are not in Chinese, for which there is no font here, rather than to be boxes.
    assert (await payer.get(path, headers={"accept-language": "zh-CN"})).content == answer.content


async def test_a_pdf_is_set_in_a_process_of_its_own_which_may_die(
    merchant: Merchant, payer: AsyncClient, press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSTABLE_ORDER_SIGNING_KEY", "for nobody who sets type")
    session = await _paid(merchant)
    path = f"/receipt/{session.session_id}.pdf"
    first = await payer.get(path)
    child = press.child_id
    assert child is not None
    assert child != os.getpid()
    # There is nothing behind 19, where the tests may run already.
    least = min(os.getpriority(os.PRIO_PROCESS, 0) + 1, 19)
    assert os.getpriority(os.PRIO_PROCESS, child) >= least
    assert b"GSTABLE_" not in _environment_of(child)

    os.kill(child, signal.SIGKILL)
    # What was set before is not set again.
    assert (await payer.get(path)).content == first.content
    died = await payer.get(path, headers={"accept-language": "de"})
    assert (died.status_code, died.headers["retry-after"]) == (503, "1")
    assert (await payer.get(path, headers={"accept-language": "de"})).status_code == 200
    assert press.child_id not in {None, child}


def _environment_of(process_id: int) -> bytes:
    return Path(f"/proc/{process_id}/environ").read_bytes()


async def test_the_process_ends_when_nobody_asks_for_receipts(
    merchant: Merchant,
) -> None:
    words = Pages.load().languages.words("en")
    session = await _paid(merchant)
    async with merchant.db.read() as tx:
        held = await receipts.receipt(tx, merchant.desk, SessionId(session.session_id))
    assert held is not None
    shown = sheet(held, words, "http://shop.test/receipt/x")
    resting = Press(Fonts(), idle_seconds=0.01)
    assert not resting.child_id
    assert await resting.set(shown, words, held.as_of)
    async with asyncio.timeout(60):
        while resting.child_id is not None:
            await asyncio.sleep(0.01)
    # So many may wait and no more: all of them ask for another receipt.
    others = [replace(shown, title=f"Receipt {number}") for number in range(WAITING_MAX + 1)]
    async with resting._turn:
        asking = [asyncio.create_task(resting.set(one, words, held.as_of)) for one in others[1:]]
        await asyncio.sleep(0)
        with pytest.raises(Passing):
            await resting.set(others[0], words, held.as_of)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_no_pdf_is_made_with_boxes_for_letters(
    merchant: Merchant, payer: AsyncClient
) -> None:
    session = await _paid(merchant, name="蓝门书店")
    answer = await payer.get(f"/receipt/{session.session_id}.pdf")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/receipt/{session.session_id}"
    answer = await payer.get(f"/receipt/{session.session_id}.pdf?lang=de")
    assert answer.headers["location"] == f"/receipt/{session.session_id}?lang=de"

    words = Pages.load().languages.words("en")
    async with merchant.db.read() as tx:
        held = await receipts.receipt(tx, merchant.desk, SessionId(session.session_id))
    assert held is not None
    shown = sheet(held, words, "http://shop.test/receipt/x")
    with pytest.raises(NoFont, match="书店蓝门"):
        pdf(shown, words, Fonts(), held.as_of)
