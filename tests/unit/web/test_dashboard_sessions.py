"""The list of sessions as somebody who is signed in uses it: pages, filters, and the search box."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.plumbing.db import Database
from gstable_server.sessions.model import SessionState
from tests.unit.web.console import Browser, reader, registered
from tests.unit.web.shop import WALLET, Merchant, add_payment, new_desk, set_state

pytestmark = pytest.mark.anyio

LIST = "/dashboard/test/sessions"


@pytest.fixture
async def seller(database: Database, browser: Browser) -> Merchant:
    owner = await registered(database, new_desk(), browser)
    async with owner.db.begin() as tx:
        account = await accounts.create_account(
            tx, owner.tenant, owner.desk.networks, "Main", WALLET
        )
    return replace(owner, account=account)


async def test_pages_go_on_where_the_last_one_ended(browser: Browser, seller: Merchant) -> None:
    made = [(await seller.session()).session_id for _ in range(28)]
    first = await browser.get(LIST)
    [older] = [link for link in reader(first).links() if "older=" in link]
    await seller.session()
    second = await browser.get(older)
    shown = [one for one in made if one in second.text]
    assert shown == made[:3], "what is opened meanwhile moves no page"
    [newer] = [link for link in reader(second).links() if "newer=" in link]
    back = await browser.get(newer)
    assert [one for one in made if one in back.text] == made[3:]
    for odd in ("older=x", "older=sess_strange", "newer=", "older=' OR 1=1", "page=9"):
        assert made[27] in (await browser.get(f"{LIST}?{odd}")).text


async def test_filters_stay_as_they_were_typed(browser: Browser, seller: Merchant) -> None:
    kept, other = await seller.session(), await seller.session()
    await set_state(seller.db, kept, SessionState.EXPIRED)
    query = "state=expired&min=99.5&max=100&token=polygon%3A%3Ausdc&from=2025-12-31"
    page = await browser.get(f"{LIST}?{query}")
    assert kept.session_id in page.text
    assert other.session_id not in page.text
    assert reader(page).field("min")["value"] == "99.5"
    assert "selected>Expired" in page.text
    wrong = await browser.get(f"{LIST}?min=a+lot&to=tomorrow&link=lnk&q=%00")
    assert reader(wrong).field("min")["value"] == "a lot"
    assert "Write a day like 2026-01-31." in wrong.text
    assert "Write the amount in figures" in wrong.text
    assert other.session_id in wrong.text, "what cannot be a filter filters nothing"
    empty = await browser.get(f"{LIST}?state=settling")
    assert "No session is like that" in empty.text
    assert "?older=" not in empty.text


async def test_dsh_09_unfinal_money_stands_in_its_own_column_and_is_never_summed(
    browser: Browser, seller: Merchant
) -> None:
    paid, completed = await seller.session(), await seller.session()
    await add_payment(seller.db, paid, given=(99_800_000, 200_000))
    await add_payment(seller.db, completed, given=(11_700_000, 300_000), tx_hash=b"\xcd" * 32)
    await set_state(seller.db, paid, SessionState.PAID)
    await set_state(seller.db, completed, SessionState.COMPLETED)
    page = (await browser.get(LIST)).text
    for session, received, unfinal in (
        (paid, "–", "99.80 USDC"),
        (completed, "11.70 USDC", "–"),
    ):
        row = page[page.index(session.session_id) :].partition("</tr>")[0]
        cells = [part.partition(">")[2].partition("<")[0] for part in row.split("<td")[1:]]
        assert cells[-2:] == [received, unfinal]
    assert "111.50" not in page
    money = (await browser.get("/dashboard/test/exports")).text
    assert "111.50" not in money


async def test_one_box_finds_whatever_somebody_has(browser: Browser, seller: Merchant) -> None:
    session = await seller.session(metadata={"orderId": "ORD-77"})
    await add_payment(seller.db, session)
    async with seller.db.read() as tx:
        event_id = await tx.fetchval(
            "SELECT event_id FROM events WHERE object_id = $1", session.session_id
        )
        payment_id = await tx.fetchval("SELECT payment_id FROM payments")

    async def goes(text: str) -> str:
        answer = await browser.client.get("/dashboard/test/search", params={"q": text})
        assert answer.status_code == 303
        return answer.headers["location"].removeprefix("/dashboard/test")

    here = f"/sessions/{session.session_id}"
    assert await goes(session.session_id) == here
    assert await goes(f"http://shop.test/pay/{session.session_id}") == here
    assert await goes(payment_id) == here
    assert (await goes(event_id)).startswith(here)
    assert await goes("lnk_abc") == "/links/lnk_abc"
    assert await goes("req_abc") == "/requests?q=req_abc"
    assert await goes(" ") == "/sessions"
    for text in ("0x" + "55" * 20, "ab" * 32, "ORD-77"):
        listed = await browser.get("/dashboard/test" + await goes(text))
        assert session.session_id in listed.text, text
    nothing = await browser.get("/dashboard/test" + await goes("sess_unknown"))
    assert "No session is like that" in nothing.text


async def test_a_session_tells_its_whole_story(browser: Browser, seller: Merchant) -> None:
    session = await seller.session(metadata={"table": "7 <b>", "guests": [1, 2]})
    here = f"{LIST}/{session.session_id}"
    answer = await browser.get(here)
    page = answer.text
    for text in ("table", "7 <b>", "guests", "[1, 2]"):
        assert text in reader(answer).text
    assert f"/dashboard/test/accounts/{session.account_id}" in reader(answer).links()
    assert "Through the API" in page
    assert "It waits for the payer" in page
    await add_payment(seller.db, session)
    await set_state(seller.db, session, SessionState.PAID)
    async with seller.db.begin() as tx:
        await tx.execute(
            "INSERT INTO webhook_endpoints (webhook_id, merchant_id, mode, name, url, events, key,"
            " status, created_at, updated_at) VALUES ('wkid_a', $1, 'test', 'Shop',"
            " 'https://shop.example', '{session.created}', 'k', 'active', $2, $2)",
            seller.tenant.merchant_id,
            tx.now,
        )
        await tx.execute(
            "INSERT INTO webhook_messages (webhook_id, event_id, state, attempts, next_attempt_at,"
            " created_at) SELECT 'wkid_a', event_id, 'pending', 1, $1, $1 FROM events"
            " WHERE object_id = $2",
            tx.now,
            session.session_id,
        )
        await tx.execute(
            "INSERT INTO webhook_attempts (message_number, webhook_id, started_at, duration_ms,"
            " status_code) SELECT message_number, webhook_id, $1, 40, 503 FROM webhook_messages",
            tx.now,
        )
    page = (await browser.get(here)).text
    for text in (
        "In a block of the chain",
        "100.00 USDC on Polygon (local)",
        "Seen by this server; not final yet",
        "Your server did not take the news: session.created",
        "Try 1, answer 503, 40 ms",
        "Your server has not taken all the news yet",
    ):
        assert text in page, text


async def test_a_session_that_nobody_pays_is_cancelled_once(
    browser: Browser, seller: Merchant
) -> None:
    session = await seller.session()
    here = f"{LIST}/{session.session_id}"
    assert f'action="{here}/cancel"' in (await browser.get(here)).text
    answer = await browser.post(f"{here}/cancel")
    assert answer.headers["location"] == f"{here}?done=session-cancelled"
    page = (await browser.get(answer.headers["location"])).text
    assert "Nobody can pay it any more." in page
    assert f'action="{here}/cancel"' not in page
    assert (await browser.post(f"{here}/cancel")).status_code == 422
    async with seller.db.read() as tx:
        noted = await tx.fetch(
            "SELECT what, about FROM audit_entries WHERE action = $1", "sessions.cancel"
        )
    assert [tuple(row) for row in noted] == [("session.cancelled", session.session_id)]


async def test_requests_are_found_by_status_key_path_and_identifier(
    browser: Browser, seller: Merchant
) -> None:
    session = await seller.session()
    async with seller.db.begin() as tx:
        await tx.execute(
            "INSERT INTO request_log (merchant_id, mode, key_id, request_id, at, method, path,"
            " status, code, duration_ms, detail) SELECT $1, 'test', 'key_' || n % 2,"
            " 'req_n' || n, $2, 'GET',"
            " CASE n WHEN 7 THEN '/session/' || $3 ELSE '/product/1' END, 200,"
            " CASE n WHEN 9 THEN 400101 ELSE 0 END, 3,"
            " CASE n WHEN 9 THEN 'size must be between 1 and 20' ELSE '' END"
            " FROM generate_series(1, 70) n",
            seller.tenant.merchant_id,
            tx.now,
            session.session_id,
        )
    base = "/dashboard/test/requests"
    first = await browser.get(base)
    assert "req_n70<" in first.text
    assert "req_n20<" not in first.text
    [older] = [link for link in reader(first).links() if "before=" in link]
    assert "req_n20<" in (await browser.get(older)).text
    refused = (await browser.get(f"{base}?status=refused")).text
    assert "req_n9<" in refused
    assert "req_n8<" not in refused
    why = "Invalid field format: size must be between 1 and 20"
    assert why in refused
    assert why in (await browser.get(f"{base}/req_n9")).text
    assert "req_n8<" not in (await browser.get(f"{base}?key=key_1")).text
    about = (await browser.get(f"{base}?q={session.session_id}")).text
    assert "req_n7<" in about
    assert "req_n6<" not in about
    to = (await browser.client.get(f"{base}?q=req_n7")).headers["location"]
    one = await browser.get(to)
    assert f"/dashboard/test/sessions/{session.session_id}" in reader(one).links()
    assert (await browser.get(f"{base}/req_none")).status_code == 404
    assert (await browser.get(f"{base}?before=x&status=9&path=%00")).status_code == 200
