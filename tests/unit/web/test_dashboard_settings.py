"""Settings: what holds for the whole business, and what only the server's operator decides."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.operations import Filter
from gstable_server.accounts.preferences import operations as preferences
from gstable_server.accounts.preferences.model import Policies, Preferences
from gstable_server.kernel.money import MicroUsd
from gstable_server.plumbing.db import Database
from tests.unit.web.console import EMAIL, Browser, browser_on, reader
from tests.unit.web.shop import Merchant, new_desk

pytestmark = pytest.mark.anyio

SETTINGS = "/dashboard/test/settings"
FILLED = {"late": "0", "short": "0", "surplus": "ask", "receipts": "on", "network-polygon": "on"}


@pytest.fixture
async def browser(database: Database) -> AsyncIterator[Browser]:
    async with browser_on(database, new_desk(), sends_mail=True) as browser:
        yield browser


async def held(owner: Merchant) -> Preferences:
    async with owner.db.read() as tx:
        return await preferences.preferences(tx, owner.tenant)


async def opened(browser: Browser) -> str:
    return reader(await browser.get(SETTINGS)).field("version")["value"]


async def test_policies_are_saved_and_written_down(browser: Browser, owner: Merchant) -> None:
    version = await opened(browser)
    wanted = {**FILLED, "late": "90", "short": "0.25", "surplus": "keep", "receipts": ""}
    answer = await browser.post(SETTINGS, version=version, **wanted)
    assert answer.status_code == 303
    policies = Policies(late_seconds=5400, short=MicroUsd(250_000), keeps_surplus=True)
    assert await held(owner) == Preferences(policies=policies, mails_receipts=False)
    page = reader(await browser.get(SETTINGS))
    assert page.field("late")["value"] == "90"
    assert page.field("short")["value"] == "0.25"
    async with owner.db.read() as tx:
        [entry] = [
            one.act.note
            for one in await audit.entries(tx, owner.tenant.merchant_id, Filter())
            if one.act.note.what == "settings.changed"
        ]
    assert entry.before["lateSeconds"] == "0"
    assert entry.after["lateSeconds"] == "5400"


@pytest.mark.parametrize(
    ("field", "text"),
    [("late", "-1"), ("late", "10081"), ("late", "soon"), ("short", "1,000"), ("short", "100.01")],
)
async def test_what_cannot_be_is_refused_beside_its_field(
    browser: Browser, owner: Merchant, field: str, text: str
) -> None:
    version = await opened(browser)
    wanted = {**FILLED, "late": "5", field: text}
    answer = await browser.post(SETTINGS, version=version, **wanted)
    page = reader(answer)
    assert answer.status_code == 422
    assert page.field(field)["aria-invalid"] == "true"
    assert page.field(field)["value"] == text
    assert page.field("version")["value"] == version
    assert await held(owner) == Preferences()


async def test_no_network_at_all_is_refused(browser: Browser, owner: Merchant) -> None:
    wanted = {**FILLED, "network-polygon": ""}
    answer = await browser.post(SETTINGS, version=await opened(browser), **wanted)
    assert answer.status_code == 422
    assert "Must have at least one." in reader(answer).text


async def test_dsh_06_two_people_change_the_settings(browser: Browser, owner: Merchant) -> None:
    version = await opened(browser)
    theirs = await browser.post(SETTINGS, version=version, **{**FILLED, "late": "10"})
    mine = await browser.post(SETTINGS, version=version, **{**FILLED, "late": "20"})
    assert (theirs.status_code, mine.status_code) == (303, 409)
    assert (await held(owner)).policies.late_seconds == 600
    assert {"600", "1200"} <= set(reader(mine).text.split())


async def test_the_business_is_renamed(browser: Browser, owner: Merchant) -> None:
    wrong = await browser.post(f"{SETTINGS}/general", name=" ")
    assert wrong.status_code == 422
    assert reader(wrong).field("name")["aria-invalid"] == "true"
    assert (await browser.post(f"{SETTINGS}/general", name="Red Door")).status_code == 303
    async with owner.db.read() as tx:
        found = await accounts.merchant(tx, owner.tenant.merchant_id)
    assert found.name == "Red Door"


async def test_a_test_letter_goes_to_whoever_asks(browser: Browser, owner: Merchant) -> None:
    await browser.get(SETTINGS)
    assert (await browser.post(f"{SETTINGS}/letter")).status_code == 303
    async with owner.db.read() as tx:
        rows = await tx.fetch("SELECT email, subject FROM notices")
    assert [row["email"] for row in rows] == [EMAIL]


async def test_what_the_operator_decides_is_shown_with_its_variable(
    browser: Browser, owner: Merchant
) -> None:
    text = reader(await browser.get(SETTINGS)).text
    for variable in ("GSTABLE_PUBLIC_URL", "GSTABLE_PAYOUT_DELAY_HOURS", "GSTABLE_SMTP_URL"):
        assert variable in text
    # Where nodes are asked may carry a key.
    assert "secret-key" not in text
