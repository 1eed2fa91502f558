"""What is typed while a login ends is there after signing in again, in whatever way."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.kernel.ids import MerchantId
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing import db as plumbing_db
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemIdMint
from gstable_server.plumbing.testing import FakeClock
from tests.unit.web.console import FROM_OUR_PAGE, Browser, browser_on, reader
from tests.unit.web.shop import new_desk

pytestmark = pytest.mark.anyio

WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
TYPED = "/dashboard/test/typed"


@pytest.fixture
async def browser(database: Database) -> AsyncIterator[Browser]:
    """Somebody's whose login has come to its end while their page stood open."""
    async with browser_on(database, new_desk()) as browser:
        await browser.register()
        await browser.get("/dashboard/test/accounts")
        async with database.begin() as tx:
            await tx.execute("DELETE FROM login_sessions")
        yield browser


async def test_a_form_that_came_too_late_is_sent_after_signing_in_again(browser: Browser) -> None:
    sent = await browser.post(
        "/dashboard/test/accounts", accountName="Main wallet", accountAddress=WALLET
    )
    assert sent.headers["location"] == "/dashboard/login"
    assert "What you typed is kept" in (await browser.get("/dashboard/login")).text
    await browser.login()
    assert (await browser.get("/dashboard/test")).headers["location"] == TYPED
    page = await browser.get(TYPED)
    shown = reader(page)
    assert shown.field("accountName")["value"] == "Main wallet"
    assert shown.field("accountAddress")["value"] == WALLET
    assert 'action="/dashboard/test/accounts"' in page.text
    # Nothing was done yet; the button does it, once.
    assert WALLET not in (await browser.get("/dashboard/test/accounts")).text
    await browser.get(TYPED)
    done = await browser.post(
        "/dashboard/test/accounts", accountName="Main wallet", accountAddress=WALLET
    )
    assert "done=" in done.headers["location"]
    assert (await browser.get("/dashboard/test")).status_code == 200
    assert (await browser.get(TYPED)).headers["location"] == "/dashboard/test"


async def test_what_a_form_with_files_says_is_kept_without_its_files(browser: Browser) -> None:
    await browser.client.post(
        "/dashboard/test/branding",
        data={"formToken": "old", "displayName": "Blue Door"},
        files={"logo": ("logo.png", b"picture bytes", "image/png")},
        headers=FROM_OUR_PAGE,
    )
    await browser.login()
    page = await browser.get(TYPED)
    assert reader(page).field("displayName")["value"] == "Blue Door"
    assert 'enctype="multipart/form-data"' in page.text
    assert "picture bytes" not in page.text


async def test_no_secret_is_kept_and_what_is_thrown_away_is_gone(browser: Browser) -> None:
    await browser.post(
        "/dashboard/test/security/password", passwordNow="a secret", password="another secret"
    )
    assert "gstable-typed" not in browser.client.cookies
    await browser.post("/dashboard/test/keys", name="Shop", confirmPassword="a secret")
    await browser.login()
    page = await browser.get(TYPED)
    assert "a secret" not in page.text
    assert reader(page).field("name")["value"] == "Shop"
    assert (await browser.get(f"{TYPED}?drop=yes")).headers["location"] == "/dashboard/test"
    assert (await browser.get("/dashboard/test")).status_code == 200


@pytest.mark.parametrize("value", ["", "!", "eJw", "eJyLVkrLz1fSUUpKLFKKBQAsGwVc", "A" * 5000])
async def test_a_cookie_that_is_not_ours_is_nothing(browser: Browser, value: str) -> None:
    await browser.login()
    browser.client.cookies.set("gstable-typed", value)
    assert (await browser.get("/dashboard/test")).status_code == 200


async def test_what_somebody_else_did_meanwhile_is_not_kept_any_longer(
    database: Database, browser: Browser
) -> None:
    await browser.login()
    await browser.get("/dashboard/test/keys")
    async with database.begin() as tx:
        [owner] = await tx.fetch("SELECT merchant_id FROM memberships")
        tenant = Tenant(MerchantId(owner["merchant_id"]), Mode.TEST)
        key, _ = await accounts.issue_key(tx, tenant, Access.READ, "Till")
    right, browser.form_token = browser.form_token, "0" * 64
    revoke = f"/dashboard/test/keys/{key.key_id}/revoke"
    assert (await browser.post(revoke, why="lost")).status_code == 403
    assert (await browser.get("/dashboard/test")).headers["location"] == TYPED
    await database.run(accounts.revoke_key, tenant, key.key_id)
    browser.form_token = right
    assert (await browser.post(revoke, why="lost")).status_code == 409
    assert (await browser.get("/dashboard/test")).status_code == 200


async def test_a_form_of_an_old_page_is_kept_and_a_foreign_one_is_not(browser: Browser) -> None:
    """Whoever signs in anew in one tab has pages of the login before it in the others."""
    fields = {"accountName": "Main wallet", "accountAddress": WALLET}
    await browser.login()
    foreign = {"sec-fetch-site": "cross-site"}
    assert (await browser.post("/dashboard/test/accounts", foreign, **fields)).status_code == 403
    assert (await browser.get("/dashboard/test")).status_code == 200
    browser.form_token = "0" * 64
    old = await browser.post("/dashboard/test/accounts", **fields)
    assert (old.status_code, "is there when you go to" in old.text) == (403, True)
    assert (await browser.get("/dashboard/test")).headers["location"] == TYPED
    assert reader(await browser.get(TYPED)).field("accountName")["value"] == "Main wallet"


async def test_what_a_busy_server_did_not_take_is_kept(
    database_url: str, browser: Browser, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plumbing_db, "FREE_WITHIN_SECONDS", 0.05)
    db = await Database.connect(database_url, clock=clock, ids=SystemIdMint(), size=1)
    async with browser_on(db, new_desk()) as other:
        await other.login()
        await other.get("/dashboard/test/products/new")
        async with db.read():
            busy = await other.post("/dashboard/test/products", name="Map")
        assert busy.status_code == 503
        assert reader(await other.get(TYPED)).field("name")["value"] == "Map"
    await db.close()
