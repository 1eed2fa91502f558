"""Unusual money in the dashboard: found by what is unusual, decided after a question back."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from gstable_server.kernel.tenant import Mode
from gstable_server.sessions.model import Session, SessionState
from gstable_server.sessions.unmatched import operations
from gstable_server.sessions.unmatched.judging import judge_session
from gstable_server.sessions.unmatched.model import Act, State, Why
from gstable_server.web.dashboard.payments.unmatched_presenter import (
    ACTS,
    DONE_WORDS,
    STATE_BADGES,
    WHY,
)
from gstable_server.web.dashboard.words import DONE
from tests.unit.web.console import EMAIL, Browser, reader
from tests.unit.web.shop import Merchant, add_payment, set_state

pytestmark = pytest.mark.anyio

HERE = "/dashboard/test/unusual"


async def seller_of(owner: Merchant) -> Merchant:
    """The same business with something to sell."""
    other = await Merchant.open(owner.db, owner.desk, "Blue Door Books")
    async with owner.db.begin() as tx:
        await tx.execute("UPDATE receiving_accounts SET merchant_id = $1", owner.tenant.merchant_id)
    return replace(other, tenant=owner.tenant)


async def late(owner: Merchant, *, final: bool = True) -> tuple[Session, str]:
    """An expired session that was paid late, and the address of what came in."""
    return await late_of(await seller_of(owner), final=final)


async def late_of(owner: Merchant, *, final: bool = True) -> tuple[Session, str]:
    """The same once more, for who sells already."""
    session = await set_state(owner.db, await owner.session(), SessionState.EXPIRED)
    tx_hash = sha256(session.session_id.encode()).digest()
    await add_payment(owner.db, session, flags=("late",), pays=False, tx_hash=tx_hash)
    if final:
        async with owner.db.begin() as tx:
            await tx.execute("UPDATE payments SET state = 'final', final_at = seen_at")
    await owner.db.run(judge_session, owner.desk, session.session_id)
    async with owner.db.read() as tx:
        inflows = await operations.list_inflows(tx)
    [found] = [one for one in inflows if one.session_id == session.session_id]
    return session, f"{HERE}/{found.inflow_id}"


async def test_the_list_is_filtered_by_flag_and_state(browser: Browser, owner: Merchant) -> None:
    _, one = await late(owner)
    for query, shown in {
        "": True, "?flag=late": True, "?state=open": True, "?flag=late&state=open": True,
        "?flag=stray": False, "?state=resolved": False, "?flag=nonsense&state=nonsense": True,
    }.items():  # fmt: skip
        page = reader(await browser.get(HERE + query))
        assert (one in page.links()) is shown, query
        assert ("Nothing like that" in page.text) is not shown, query
    assert one not in reader(await browser.get("/dashboard/live/unusual")).links()
    assert (await browser.get(one.replace("/test/", "/live/"))).status_code == 404


async def test_money_is_accepted_after_a_question_back(browser: Browser, owner: Merchant) -> None:
    session, one = await late(owner)
    page = reader(await browser.get(one))
    assert [link for link in page.links() if link.startswith(f"{one}/")] == [
        f"{one}/accept", f"{one}/refund", f"{one}/dismiss",
    ]  # fmt: skip
    assert "It is not at a deposit address." in page.text
    question = reader(await browser.get(f"{one}/accept"))
    assert "Accept it as payment?" in question.text
    # Without a reason nothing is done, and the question stands with what is wrong.
    refused = await browser.post(f"{one}/accept", reason="")
    assert refused.status_code == 422
    assert "Must have 1 to 500 characters." in refused.text
    answer = await browser.post(f"{one}/accept", reason="<b>agreed</b> by phone")
    assert answer.headers["location"] == f"{one}?done=unmatched-accepted"
    after = await browser.get(answer.headers["location"])
    assert "It was accepted." in after.text
    assert "&lt;b&gt;agreed&lt;/b&gt; by phone" in after.text
    assert EMAIL in after.text
    assert "Accepted as payment" in after.text
    shown = await browser.get(f"/dashboard/test/sessions/{session.session_id}")
    assert "Completed" in shown.text
    again = await browser.post(f"{one}/accept", reason="again")
    assert again.status_code == 422
    assert "it is resolved" in again.text


async def test_money_is_given_back_from_the_refunds_own_page(
    browser: Browser, owner: Merchant
) -> None:
    _, one = await late(owner)
    await browser.get(f"{one}/refund")
    wallet = "0x70997970C51812dc3A010C7d01b50e0d17dc79C9"
    for wrong, field in (({"amount": "x"}, "amount"), ({"to": wallet}, "to")):
        answer = await browser.post(f"{one}/refund", reason="late", **wrong)
        assert answer.status_code == 422, field
        assert reader(answer).field(field)["aria-invalid"] == "true"
    good = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
    answer = await browser.post(f"{one}/refund", reason="late", to=good, amount="1.50")
    assert answer.status_code == 303
    refund = await browser.get(answer.headers["location"])
    assert "Give back" in refund.text
    assert "1.50 USDC" in refund.text
    page = reader(await browser.get(one))
    assert "On its way" in page.text
    assert answer.headers["location"] in page.links()


async def test_what_is_not_final_can_only_be_dismissed(browser: Browser, owner: Merchant) -> None:
    _, one = await late(owner, final=False)
    page = reader(await browser.get(one))
    assert [link for link in page.links() if link.startswith(f"{one}/")] == [f"{one}/dismiss"]
    await browser.get(f"{one}/dismiss")
    answer = await browser.post(f"{one}/dismiss", reason="dust")
    assert "It was dismissed." in (await browser.get(answer.headers["location"])).text


async def test_aut_09_a_foreign_form_decides_nothing(browser: Browser, owner: Merchant) -> None:
    _, one = await late(owner)
    foreign = {"sec-fetch-site": "cross-site"}
    assert (await browser.post(f"{one}/dismiss", foreign, reason="x")).status_code == 403
    browser.form_token = "0" * 64
    assert (await browser.post(f"{one}/dismiss", reason="x")).status_code == 403
    async with owner.db.read() as tx:
        [found] = await operations.list_inflows(tx)
    assert found.state is State.OPEN


async def test_what_there_is_not_has_no_page(browser: Browser, owner: Merchant) -> None:
    _, one = await late(owner)
    for path in (f"{HERE}/inf_{'A' * 24}", f"{HERE}/x", f"{one}/x"):
        assert (await browser.get(path)).status_code == 404, path


async def test_another_merchants_money_is_not_shown(browser: Browser, owner: Merchant) -> None:
    _, one = await late(owner)
    other = await Merchant.open(owner.db, owner.desk, "Somebody else")
    async with owner.db.begin() as tx:
        await tx.execute("UPDATE inflows SET merchant_id = $1", other.tenant.merchant_id)
    assert one not in reader(await browser.get(HERE)).links()
    assert (await browser.get(one)).status_code == 404
    assert other.tenant.mode is Mode.TEST


async def test_what_is_nobodys_is_for_the_first_merchant_alone(
    browser: Browser, owner: Merchant
) -> None:
    _, one = await late(owner)
    async with owner.db.begin() as tx:
        await tx.execute("UPDATE inflows SET merchant_id = NULL, session_id = NULL")
        await tx.execute("UPDATE merchants SET created_at = created_at + interval '1 day'")
        await tx.execute(
            "UPDATE merchants SET created_at = created_at - interval '2 days'"
            " WHERE merchant_id <> $1",
            owner.tenant.merchant_id,
        )
    assert one not in reader(await browser.get(HERE)).links()
    assert (await browser.get(one)).status_code == 404
    await browser.get("/dashboard/test/team")
    assert (await browser.post(f"{one}/dismiss", reason="not ours")).status_code == 404
    async with owner.db.begin() as tx:
        await tx.execute(
            "UPDATE merchants SET created_at = created_at - interval '9 days'"
            " WHERE merchant_id = $1",
            owner.tenant.merchant_id,
        )
    assert one in reader(await browser.get(HERE)).links()
    await browser.get(f"{one}/dismiss")
    assert (await browser.post(f"{one}/dismiss", reason="spam")).status_code == 303


def test_every_word_is_there() -> None:
    assert set(WHY) == set(Why)
    assert set(STATE_BADGES) == set(State)
    assert set(ACTS) == set(Act)
    assert set(DONE_WORDS.values()) <= set(DONE)


async def test_a_long_list_is_read_page_by_page(browser: Browser, owner: Merchant) -> None:
    await late(owner)
    async with owner.db.begin() as tx:
        await tx.execute(
            "INSERT INTO inflows OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(one,"
            " jsonb_build_object('inflow_id', 'inf_' || lpad(n::text, 24, '0'), 'log_position', n,"
            " 'sequence', one.sequence + n, 'payment_id', NULL, 'source', 'transfer'))).*"
            " FROM inflows one, generate_series(1, 60) n"
        )
    first = reader(await browser.get(f"{HERE}?flag=late"))
    [older] = [link for link in first.links() if "before=" in link]
    assert "flag=late" in older
    second = reader(await browser.get(older))
    named = [
        {link for link in page.links() if link.startswith(f"{HERE}/inf_")}
        for page in (first, second)
    ]
    assert (len(named[0]), len(named[1])) == (50, 11)
    assert not named[0] & named[1]


async def test_several_are_decided_at_once_after_one_question(
    browser: Browser, owner: Merchant
) -> None:
    seller = await seller_of(owner)
    chosen = {(await late_of(seller))[1].rpartition("/")[2] for _ in range(2)}
    page = reader(await browser.get(HERE))
    boxes = [at for _, at in page.tags if at.get("type") == "checkbox"]
    assert {at["name"] for at in boxes if "name" in at} == chosen
    ticked = dict.fromkeys(chosen, "on")
    query = "&".join(f"{one}=on" for one in sorted(chosen))
    question = reader(await browser.get(f"{HERE}/many?act=accept&{query}"))
    assert "Accept them as payment?" in question.text
    refused = await browser.post(f"{HERE}/many", act="accept", reason="", **ticked)
    assert refused.status_code == 422
    assert "Must have 1 to 500 characters." in refused.text
    answer = await browser.post(f"{HERE}/many", act="accept", reason="agreed", **ticked)
    assert answer.headers["location"] == f"{HERE}?done=unmatched-many-accepted"
    assert "They were accepted." in (await browser.get(answer.headers["location"])).text
    async with owner.db.read() as tx:
        found = await operations.list_inflows(tx, states=tuple(State))
        assert {one.inflow_id: one.state for one in found} == dict.fromkeys(chosen, State.RESOLVED)
        after = await tx.fetch("SELECT what, after FROM audit_entries ORDER BY number DESC LIMIT 1")
    assert after[0]["what"] == "unmatched.accept"
    assert all(one in str(after[0]["after"]) for one in chosen)


async def test_of_several_nothing_is_done_unless_all_can_be(
    browser: Browser, owner: Merchant
) -> None:
    seller = await seller_of(owner)
    one, other = [(await late_of(seller))[1].rpartition("/")[2] for _ in range(2)]
    await browser.get(HERE)
    assert (await browser.post(f"{HERE}/{one}/dismiss", reason="dust")).status_code == 303
    ticked = {one: "on", other: "on"}
    answer = await browser.post(f"{HERE}/many", act="dismiss", reason="dust", **ticked)
    assert answer.status_code == 422
    asked = reader(answer)
    assert "It is dismissed." in asked.text
    # The one that is left can be decided by sending this page again.
    assert [name for tag, at in asked.tags if (name := at.get("name", "")).startswith("inf_")] == [
        other
    ]
    async with owner.db.read() as tx:
        states = {
            found.inflow_id: found.state
            for found in await operations.list_inflows(tx, states=tuple(State))
        }
    assert states == {one: State.DISMISSED, other: State.OPEN}


async def test_several_of_somebody_elses_are_decided_by_nobody(
    browser: Browser, owner: Merchant
) -> None:
    _, one = await late(owner)
    inflow_id = one.rpartition("/")[2]
    other = await Merchant.open(owner.db, owner.desk, "Somebody else")
    async with owner.db.begin() as tx:
        await tx.execute("UPDATE inflows SET merchant_id = $1", other.tenant.merchant_id)
    await browser.get("/dashboard/test/team")
    ticked = {inflow_id: "on"}
    for fields in (
        {"act": "dismiss", "reason": "x", **ticked},
        {"act": "refund", "reason": "x", **ticked},
        {"act": "dismiss", "reason": "x"},
    ):
        assert (await browser.post(f"{HERE}/many", **fields)).status_code == 404
    assert (await browser.get(f"{HERE}/many?act=dismiss&{inflow_id}=on")).status_code == 404
    assert "Tick the boxes" in (await browser.get(f"{HERE}/many?act=dismiss")).text
    async with owner.db.read() as tx:
        [found] = await operations.list_inflows(tx, states=tuple(State))
    assert found.state is State.OPEN
