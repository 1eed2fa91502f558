"""A thief with somebody's login adds a wallet: what the team sees, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import Browser as From
from gstable_server.accounts.members.model import By
from gstable_server.accounts.payouts import operations as payouts
from gstable_server.kernel.roles import Role
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.web.console import PASSWORD, Browser, browser_on, reader, registered
from tests.unit.web.shop import WALLET, Merchant, new_desk
from tests.unit.web.test_dashboard_pages import stocked

pytestmark = pytest.mark.anyio

ACCOUNTS = "/dashboard/live/accounts"
THIEFS = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
BEN = "ben@example.com"


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[tuple[Browser, Merchant]]:
    async with browser_on(database, new_desk(), sends_mail=True) as browser:
        merchant = await stocked(await registered(database, new_desk(), browser))
        yield browser, merchant


async def test_dsh_04_a_stolen_login_adds_no_wallet_before_the_team_can_stop_it(
    owner: tuple[Browser, Merchant], database: Database, clock: FakeClock
) -> None:
    browser, merchant = owner
    await browser.get(ACCOUNTS)
    first = {"accountName": "Main", "accountAddress": WALLET}
    assert "account-created" in (await browser.post(ACCOUNTS, **first)).headers["location"]
    async with database.begin() as tx:
        [anna] = await team.members_of(tx, merchant.tenant.merchant_id)
        _, token = await team.invite(tx, By(anna, ""), BEN, Role.FINANCE)
        await team.join_anew(tx, token, PASSWORD, From())
    # The thief has Anna's cookie, and Anna's password was typed some time ago.
    clock.advance(16 * 60)
    theirs = {"accountName": "Main 2", "accountAddress": THIEFS}
    assert (await browser.post(ACCOUNTS, **theirs)).status_code == 403
    guessed = await browser.post(ACCOUNTS, **theirs, confirmPassword="a guess")
    assert guessed.status_code == 422
    # Even with the password it waits, and everybody is told.
    asked = await browser.post(ACCOUNTS, **theirs, confirmPassword=PASSWORD)
    assert asked.headers["location"] == f"{ACCOUNTS}?done=payout-asked"
    async with database.read() as tx:
        letters = await tx.fetch(
            "SELECT email, body FROM notices WHERE body LIKE $1", f"%{THIEFS}%"
        )
    assert {one["email"] for one in letters} == {anna.email, BEN}
    async with browser_on(database, new_desk(), sends_mail=True) as ben:
        await ben.login(email=BEN)
        page = reader(await ben.get(ACCOUNTS))
        assert THIEFS in page.text
        [cancel] = [at["action"] for _, at in page.tags if "/payouts/" in at.get("action", "")]
        cancelled = await ben.post(cancel)
        assert cancelled.headers["location"] == f"{ACCOUNTS}?done=payout-cancelled"
        clock.advance(48 * 3600)
        await database.run(payouts.carry_out, new_desk().networks, sends_mail=True)
        await ben.login(email=BEN)
        assert THIEFS not in (await ben.get(ACCOUNTS)).text


async def test_aut_12_an_account_shows_the_open_sessions_that_keep_its_address(
    owner: tuple[Browser, Merchant], clock: FakeClock
) -> None:
    browser, merchant = owner
    session = await merchant.session()
    page = f"/dashboard/test/accounts/{merchant.account.account_id}"
    for place in (page, f"{page}/remove"):
        assert session.session_id in (await browser.get(place)).text
    clock.advance(31 * 60)
    assert session.session_id not in (await browser.get(page)).text
