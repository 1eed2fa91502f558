"""A payment link is built in a real browser: the preview follows, and the link is paid at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from gstable_server.kernel.roles import Role
from tests.browser.gallery import Gallery
from tests.browser.office import Office

pytestmark = [pytest.mark.browser]


@pytest.fixture(scope="module")
def office(gallery: Gallery) -> Office:
    return Office.open(gallery)


@pytest.fixture(params=[True, False], ids=["scripts", "no-scripts"])
def desk(
    chromium: Browser, office: Office, request: pytest.FixtureRequest
) -> Iterator[BrowserContext]:
    context = chromium.new_context(java_script_enabled=request.param)
    office.sign_in(context, Role.DEVELOPER)
    yield context
    context.close()


def test_a_link_is_built_with_the_payers_page_beside_it(
    gallery: Gallery, office: Office, desk: BrowserContext, request: pytest.FixtureRequest
) -> None:
    has_scripts = "no-scripts" not in request.node.name
    page = desk.new_page()
    page.goto(f"{gallery.base_url}/dashboard/test/links/new?product={office.values['product_id']}")
    seen = page.frame_locator("iframe[name=preview]")
    expect(seen.locator("h1")).to_have_text("Field guide to harbour birds")
    page.get_by_label("Name", exact=True).fill("Birds for schools")
    page.get_by_label("Price, USD").fill("7.25")
    page.get_by_label("Quantity").fill("4")
    if not has_scripts:
        page.get_by_role("button", name="Show the preview").click()
    expect(seen.locator("h1")).to_have_text("Birds for schools")
    expect(seen.locator("#link-total")).to_have_text("29.00 USD")
    page.get_by_label("Price, USD").fill("1.2.3")
    page.get_by_role("button", name="Make the payment link").click()
    expect(page.get_by_label("Price, USD")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Birds for schools")
    page.get_by_label("Price, USD").fill("7.25")
    page.get_by_role("button", name="Make the payment link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Birds for schools")
    expect(page.get_by_alt_text("QR code of the payer's page")).to_be_visible()
    page.get_by_role("link", name="Open the payer's page").click()
    expect(page.locator("#link-total")).to_have_text("29.00 USD")
