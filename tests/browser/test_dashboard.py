"""The console in a real browser without scripts: a merchant's first hour on a new installation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from gstable import Client
from tests.running import Running

pytestmark = [pytest.mark.browser, pytest.mark.anvil]

EMAIL = "owner@example.com"
PASSWORD = "correct horse battery"
WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@dataclass(frozen=True)
class Window:
    """A browser window, and the size that it pretends to have."""

    page: Page
    width: int

    def go(self, name: str) -> None:
        """By the menu, which a phone has behind a button."""
        menu = self.page.get_by_role("navigation", name="Dashboard")
        if self.width < 700:
            menu.get_by_text("Menu").click()
        menu.get_by_role("link", name=name, exact=True).last.click()

    def fits(self) -> None:
        """Nothing has to be scrolled to sideways."""
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= self.width, f"{self.page.url} is {wide} wide"


@pytest.fixture(params=[390, 1440])
def window(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Window]:
    width: int = request.param
    context = chromium.new_context(
        viewport={"width": width, "height": 844}, java_script_enabled=False
    )
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    # A browser without JavaScript gives up the modules that a page preloads: no fault of the page.
    page.on(
        "requestfailed",
        lambda failed: failed.resource_type == "script" or refused.append(failed.url),
    )
    yield Window(page, width)
    # Before the end: closing gives up what is still loading. The pages that answer 4xx on purpose
    # are told in the console too.
    problems = [text for text in refused if "status of 4" not in text]
    context.close()
    assert problems == []


@pytest.mark.parametrize(("fresh", "window"), [("api", 390)], indirect=True)
def test_a_merchants_first_hour(fresh: str, window: Window) -> None:
    page = window.page
    _set_up(window, fresh)
    _add_account(window)
    secret = _create_key(window)
    assert secret.startswith("sk_test_")
    with Client(secret, base_url=f"{fresh}/api/v1", public_base_url=fresh) as client:
        account = client.account.list()[0]
        assert account.account_address == WALLET
        session_url = _sell(client, account.account_id)
    for name, text in (
        ("Products", "Harbour map"),
        ("Payment links", "Spring catalogue"),
        ("Sessions", "Workshop ticket"),
        ("Unusual money", "Nothing unusual"),
        ("Overview", "Workshop ticket"),
    ):
        window.go(name)
        expect(page.get_by_role("main")).to_contain_text(text)
        window.fits()
    page.get_by_role("link", name="Workshop ticket").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("24.75 USD")
    window.fits()
    page.get_by_role("link", name="Open the payer's page").click()
    expect(page).to_have_url(session_url)


def _set_up(window: Window, base: str) -> None:
    page = window.page
    page.goto(f"{base}/dashboard")
    expect(page).to_have_url(re.compile("/dashboard/setup$"))
    page.get_by_label("Business name").fill("Blue Door Books")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password once more").fill("something else")
    page.get_by_role("button", name="Create the owner").click()
    expect(page.get_by_text("The two passwords are not the same.")).to_be_visible()
    expect(page.get_by_label("E-mail")).to_have_value(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password once more").fill(PASSWORD)
    page.get_by_role("button", name="Create the owner").click()
    expect(page).to_have_url(re.compile("/dashboard/test$"))
    expect(page.get_by_role("banner")).to_contain_text("Blue Door Books")
    window.fits()


def _add_account(window: Window) -> None:
    page = window.page
    page.get_by_role("link", name="Add an account").click()
    page.get_by_label("Name").fill("Main wallet")
    page.get_by_label("Wallet address").fill(WALLET.replace("C8", "c8"))
    page.get_by_role("button", name="Add account").click()
    expect(page.get_by_text("wrong checksum (EIP-55)")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Main wallet")
    page.get_by_label("Wallet address").fill(WALLET)
    page.get_by_role("button", name="Add account").click()
    expect(page.get_by_role("main").get_by_role("status")).to_have_text("The account was created.")
    expect(page.get_by_text(WALLET)).to_be_visible()
    window.fits()


def _create_key(window: Window) -> str:
    page = window.page
    window.go("API keys")
    page.get_by_label("Name").fill("Web shop")
    page.get_by_role("button", name="Create key").click()
    secret = page.locator("#secret").inner_text()
    assert secret not in page.url
    window.fits()
    page.get_by_role("link", name="I have copied it").click()
    assert secret not in page.content()
    return secret


def _sell(client: Client, account_id: str) -> str:
    """A product, a link and a session through the API; returns the session's payment page."""
    product = client.product.create(name="Harbour map", common_prices=[5_000_000])
    client.payment_link.create(
        link_type="fixed",
        link_name="Spring catalogue",
        account_id=account_id,
        settlement_token="polygon::usdc",
        fee_model=1,
        line_items=[
            {
                "item_type": "product",
                "product_id": product.product_id,
                "quantity": 1,
                "unit_price": 5_000_000,
            }
        ],
    )
    session = client.checkout_session.create(
        account_id=account_id,
        settlement_token="polygon::usdc",
        line_items=[
            {
                "item_type": "one_time",
                "quantity": 1,
                "unit_price": 24_750_000,
                "product_data": {"product_name": "Workshop ticket"},
            }
        ],
    )
    return session.payment_url


def test_the_demo_merchant_signs_in_and_out(running: Running, window: Window) -> None:
    page = window.page
    page.goto(running.about["dashboardUrl"])
    page.get_by_label("E-mail").fill(running.about["dashboardEmail"])
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("The e-mail address or the password is wrong.")).to_be_visible()
    page.get_by_label("Password").fill(running.about["dashboardPassword"])
    page.get_by_role("button", name="Sign in").click()
    window.go("Accounts")
    expect(page.get_by_text(running.account_id)).to_be_visible()
    page.get_by_role("banner").locator("summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/dashboard/login$"))
    page.go_back()
    page.reload()
    expect(page).to_have_url(re.compile("/dashboard/login$"))
