"""A new owner, from the first visit to the first payment, by what each page offers next."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.office import PASSWORD
from tests.browser.wallet import InjectedWallet, choose_wallet

pytestmark = [pytest.mark.browser, pytest.mark.anvil]

RECEIVER = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"


@pytest.fixture
def owner(chromium: Browser) -> Iterator[Page]:
    """The window of somebody who has just installed it."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


def test_a_new_owner_comes_to_a_paid_link_without_reading_anything(
    owner: Page, page: Page, wallet: InjectedWallet, fresh: str
) -> None:
    """An account, a product and a link; a payer with a wallet pays at it, on a chain; and the
    owner sees it. ``owner`` and ``page``, which is the payer's, are two browsers."""
    owner.goto(f"{fresh}/dashboard")
    owner.get_by_label("Business name").fill("Tea for two")
    owner.get_by_label("E-mail").fill("owner@example.com")
    owner.get_by_label("Password", exact=True).fill(PASSWORD)
    owner.get_by_label("Password once more").fill(PASSWORD)
    owner.get_by_role("button", name="Create the owner").click()
    _press_what_comes_next(owner)
    owner.get_by_label("Name", exact=True).fill("Till")
    owner.get_by_label("Wallet address").fill(RECEIVER)
    owner.get_by_role("button", name="Add account").click()
    expect(owner.get_by_text(RECEIVER)).to_be_visible()
    _press_what_comes_next(owner)
    owner.get_by_label("Name", exact=True).fill("Pot of tea")
    owner.get_by_label("Price 1").fill("4.50")
    owner.get_by_role("button", name="Make the product").click()
    expect(owner.get_by_role("heading", level=1)).to_have_text("Pot of tea")
    _press_what_comes_next(owner)
    owner.get_by_label("Name", exact=True).fill("Tea at the table")
    owner.get_by_label("Product", exact=True).select_option(index=1)
    owner.get_by_role("button", name="Make the payment link").click()
    expect(owner.get_by_text("The payment link is ready.")).to_be_visible()
    _press_what_comes_next(owner)
    address = owner.get_by_role("link", name="Open the payer's page").get_attribute("href")
    assert address is not None
    session_id = _pay(page, f"{fresh}{address}")
    assert len(wallet.hashes) > 0
    owner.goto(f"{fresh}/dashboard")
    latest = owner.get_by_role("region", name="Latest sessions").get_by_role("row")
    expect(latest.filter(has_text=session_id)).to_contain_text("Completed")
    latest.get_by_role("link").first.click()
    expect(owner).to_have_url(re.compile(session_id))
    expect(owner.get_by_role("main")).to_contain_text(wallet.hashes[-1])


def _press_what_comes_next(page: Page) -> None:
    """The overview shows the first thing that is still to be done; nothing else is looked for."""
    page.goto(re.sub("/dashboard.*", "/dashboard", page.url))
    page.locator(".first-step:not(.first-step-done) a.button").first.click()


def _pay(page: Page, address: str) -> str:
    """As a payer with a wallet does who opens a link; returns the session that it opened."""
    page.goto(address)
    page.locator("#link-continue").click()
    expect(page).to_have_url(re.compile("/pay/sess_"))
    choose_wallet(page)
    expect(page.locator("#review")).to_be_visible()
    page.locator("#confirm").click()
    expect(page.locator("#headline")).to_have_text("Payment complete")
    session_id: str = re.findall(r"sess_\w+", page.url)[0]
    return session_id
