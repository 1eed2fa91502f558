"""A letter that got lost: found in the console's log, read, and sent again."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.test_webhooks import receiving
from tests.running import Running, eventually

pytestmark = [pytest.mark.browser, pytest.mark.anvil]

PATIENCE = 60_000


def test_a_lost_webhook_is_found_and_sent_again(running: Running, chromium: Browser) -> None:
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    with receiving() as receiver, running.client() as client:
        receiver.status = 500
        page.goto(running.about["dashboardUrl"])
        page.get_by_label("E-mail").fill(running.about["dashboardEmail"])
        page.get_by_label("Password").fill(running.about["dashboardPassword"])
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(re.compile("/dashboard/(test|live)$"))

        # An endpoint is added in test mode, and its key is shown.
        page.goto(f"{running.base_url}/dashboard/test/webhooks/new")
        page.get_by_label("Name", exact=True).fill("Lost and found")
        page.get_by_label("Address").fill(receiver.url)
        page.get_by_label("A product was made").check()
        page.get_by_role("button", name="Add the endpoint").click()
        assert (page.locator("#secret").text_content() or "").startswith("wkk_")
        page.get_by_role("link", name="I have copied it").click()
        endpoint = page.url

        # Something happens while the shop's server is broken.
        client.product.create(name="Umbrella", common_prices=[1])
        eventually(lambda: len(receiver.arrived) >= 1, "the letter was tried")
        [lost, *_] = receiver.ids()

        # The owner finds it among what failed, and reads what the shop answered.
        failed = page.get_by_role("link", name="product.created").first

        def is_listed() -> bool:
            page.goto(f"{endpoint}?view=failed")
            return failed.is_visible()

        eventually(is_listed, "the try is in the log")
        failed.click()
        expect(page.get_by_text(lost).first).to_be_visible()
        expect(page.get_by_text("Answered 500").first).to_be_visible()
        expect(page.get_by_text("Umbrella").first).to_be_visible()

        # The shop's server is mended, and the letter sent once more. The page shows its answer.
        receiver.status = 204
        page.get_by_role("button", name=re.compile("Send again")).first.click()
        expect(page.get_by_text("Answered 204").first).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_text("Delivered").first).to_be_visible()
        assert set(receiver.ids()) == {lost}

        page.goto(f"{endpoint}/remove")
        page.get_by_role("button", name="Remove the endpoint").click()
        expect(page).to_have_url(re.compile("/webhooks\\?done=webhook-removed$"))
    page.close()
