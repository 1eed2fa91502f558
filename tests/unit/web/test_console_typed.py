"""What is typed while a login ends is there after signing in again, in whatever way."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.plumbing.db import Database
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
