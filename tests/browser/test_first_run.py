"""A new owner, from the first visit to the first payment, by what each page offers next."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.gallery import Gallery
from tests.browser.office import PASSWORD

pytestmark = [pytest.mark.browser]

WALLET = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"


def test_a_new_owner_comes_to_a_paid_link_without_reading_anything(
    chromium: Browser, gallery: Gallery
) -> None:
    """An account, a product, a link, and its payment, seen in the console."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"{gallery.base_url}/dashboard")
    page.get_by_label("Business name").fill("Tea for two")
    page.get_by_label("E-mail").fill("owner@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password once more").fill(PASSWORD)
    page.get_by_role("button", name="Create the owner").click()
    _press_what_comes_next(page)
    page.get_by_label("Name", exact=True).fill("Till")
    page.get_by_label("Wallet address").fill(WALLET)
    page.get_by_role("button", name="Add account").click()
    expect(page.get_by_text(WALLET)).to_be_visible()
    _press_what_comes_next(page)
    page.get_by_label("Name", exact=True).fill("Pot of tea")
    page.get_by_label("Price 1").fill("4.50")
    page.get_by_role("button", name="Make the product").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pot of tea")
    _press_what_comes_next(page)
    page.get_by_label("Name", exact=True).fill("Tea at the table")
    page.get_by_label("Product", exact=True).select_option(index=1)
    page.get_by_role("button", name="Make the payment link").click()
    expect(page.get_by_text("The payment link is ready.")).to_be_visible()
    _press_what_comes_next(page)
    page.get_by_role("link", name="Open the payer's page").click()
    page.locator("#link-continue").click()
    expect(page).to_have_url(re.compile("/pay/sess_"))
    session_id = re.findall(r"sess_\w+", page.url)[0]
    gallery.run(_pay(gallery, session_id))
    page.goto(f"{gallery.base_url}/dashboard")
    page.get_by_role("region", name="Latest sessions").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(session_id))
    expect(page.get_by_role("main").get_by_text("Completed", exact=True).first).to_be_visible()
    context.close()


def _press_what_comes_next(page: Page) -> None:
    """The overview shows the first thing that is still to be done; nothing else is looked for."""
    page.goto(re.sub("/dashboard.*", "/dashboard", page.url))
    page.locator(".first-step:not(.first-step-done) a.button").first.click()


async def _pay(gallery: Gallery, session_id: str) -> None:
    """The payment of that session, as the indexer would tell of it."""
    found = await gallery.studio.found(session_id)
    await gallery.studio.paid(found, token_id=found.settlement_token)
