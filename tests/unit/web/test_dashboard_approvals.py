"""A large refund in the console: prepared by one person, approved by another; and the limit."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.operations import Filter
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import Browser as From
from gstable_server.accounts.members.model import By
from gstable_server.kernel.roles import Role
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.web.console import PASSWORD, Browser, browser_on, reader, registered
from tests.unit.web.shop import add_payment, new_desk
from tests.unit.web.test_dashboard_pages import stocked
from tests.unit.web.test_dashboard_refunds import Console, settle

pytestmark = pytest.mark.anyio

LIMITS = "/dashboard/test/limits"
LIVE_LIMITS = "/dashboard/live/limits"
BEN = "ben@example.com"


@pytest.fixture
async def console(database: Database) -> AsyncIterator[Console]:
    async with browser_on(database, new_desk()) as browser:
        owner = await stocked(await registered(database, new_desk(), browser))
        session = await owner.session()
        await add_payment(database, session)
        await settle(database)
        yield Console(browser, owner, session)


async def _joined(database: Database, console: Console, browser: Browser, role: Role) -> None:
    async with database.begin() as tx:
        [owner] = await team.members_of(tx, console.owner.tenant.merchant_id)
        _, token = await team.invite(tx, By(owner, ""), BEN, role)
        await team.join_anew(tx, token, PASSWORD, From())
    assert (await browser.login(email=BEN)).status_code == 303


async def test_dsh_04_one_prepares_a_large_refund_and_another_approves_it(
    console: Console, database: Database, clock: FakeClock
) -> None:
    owner = console.browser
    await owner.get(LIMITS)
    changed = await owner.post(LIMITS, limit="50")
    assert changed.headers["location"] == f"{LIMITS}?done=limit-changed"
    assert "50.00 USD" in (await owner.get(LIMITS)).text
    place = await console.prepare()
    page = reader(await owner.get(place))
    assert "Somebody else has to approve it" in page.text
    assert "Your team has not enough people" in page.text
    waiting = "One large refund waits for somebody to approve it."
    assert waiting in (await owner.get("/dashboard/test")).text
    assert f"{place}/approve" not in [at.get("action") for _, at in page.tags]
    async with browser_on(database, new_desk()) as second:
        await _joined(database, console, second, Role.FINANCE)
        page = reader(await second.get(place))
        terms = page.field("terms")["value"]
        assert "You approve exactly these" in page.text
        own = await owner.post(f"{place}/approve", terms=terms)
        assert "you prepared this refund yourself" in own.text
        other = await second.post(f"{place}/approve", terms="00" * 32)
        assert "other terms" in other.text
        for nonsense in ("", "zz"):
            assert (await second.post(f"{place}/approve", terms=nonsense)).status_code == 422
        clock.advance(15 * 60)
        assert (await second.post(f"{place}/approve", terms=terms)).status_code == 403
        done = await second.post(f"{place}/approve", terms=terms, confirmPassword=PASSWORD)
        assert done.headers["location"] == f"{place}?done=refund-approved"
        twice = await second.post(f"{place}/approve", terms=terms)
        assert "waits for nobody" in twice.text
    assert "Your wallet has to send it" in (await owner.get(place)).text
    async with database.read() as tx:
        wanted = Filter(action="refunds.approve")
        log = await audit.entries(tx, console.owner.tenant.merchant_id, wanted)
    assert [(one.act.note.what, one.act.actor.email) for one in log] == [("refund.approved", BEN)]
    assert log[0].act.note.after["terms"] == terms


async def test_dsh_04_the_limits_page_asks_for_a_second_person(
    console: Console, database: Database
) -> None:
    owner = console.browser
    assert "Nobody but you could approve" in (await owner.get(LIVE_LIMITS)).text
    for wrong, text in (("much", "in figures"), ("-1", "in figures")):
        answer = await owner.post(LIVE_LIMITS, limit=wrong)
        assert (answer.status_code, text in answer.text) == (422, True)
    assert (await owner.post(LIVE_LIMITS, limit="0")).status_code == 303
    asked = await owner.post(LIVE_LIMITS, limit="")
    assert asked.headers["location"] == f"{LIVE_LIMITS}?done=limit-asked"
    page = reader(await owner.get(LIVE_LIMITS))
    actions = [at["action"] for _, at in page.tags if at.get("action", "").endswith("cancel")]
    [cancel] = actions
    approve = cancel.replace("/cancel", "/approve")
    refused = await owner.post(approve)
    assert (refused.status_code, "you asked for it yourself" in refused.text) == (422, True)
    async with browser_on(database, new_desk()) as second:
        await _joined(database, console, second, Role.ADMIN)
        await second.get(LIVE_LIMITS)
        done = await second.post(approve)
        assert done.headers["location"] == f"{LIVE_LIMITS}?done=limit-changed"
        assert (await second.post(approve)).status_code == 404
        assert (await second.post(f"{LIVE_LIMITS}/{'a' * 20}/cancel")).status_code == 404
    assert "No limit" in (await owner.get(LIVE_LIMITS)).text
    await owner.post(LIVE_LIMITS, limit="5")
    await owner.post(LIVE_LIMITS, limit="6")
    page = reader(await owner.get(LIVE_LIMITS))
    [cancel] = [at["action"] for _, at in page.tags if at.get("action", "").endswith("cancel")]
    assert (await owner.post(cancel)).headers["location"].endswith("limit-cancelled")
    assert "5.00 USD" in (await owner.get(LIVE_LIMITS)).text


async def test_dsh_04_the_page_of_a_refund_that_nobody_approved_says_so(
    console: Console, database: Database
) -> None:
    """The wallet is the merchant's own, and can send without asking this server."""
    owner = console.browser
    await owner.get(LIMITS)
    await owner.post(LIMITS, limit="50")
    place = await console.prepare()
    text = "It was sent without approval"
    waiting = await owner.get(f"{place}/status")
    assert (waiting.json()["state"], waiting.json()["missing"]) == ("awaiting_approval", 1)
    assert text not in (await owner.get(place)).text
    for what, state in (("seen", "seen"), ("final", "completed")):
        await console.hear(what, 99_800_000)
        assert (await owner.get(f"{place}/status")).json()["state"] == state
        assert text in (await owner.get(place)).text
