"""What keeps a stolen login from the money, in a real browser: passkeys of a real authenticator,
and wallets that wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from gstable_server.accounts.payouts import operations as payouts
from tests.browser.gallery import Gallery, opened
from tests.browser.office import PASSWORD
from tests.browser.reading import faults
from tests.conftest import Databases

pytestmark = [pytest.mark.browser]

OWNER = "anna@bluedoor.example"
OWN_WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
SECOND_WALLET = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
THIEFS_WALLET = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
A_WHILE = 16 * 60
"""Seconds, after which dangerous acts ask who is there."""
TWO_DAYS = 48 * 3600


@pytest.fixture(scope="module")
def gallery(databases: Databases) -> Iterator[Gallery]:
    """A server with a name, since passkeys are made for names, that writes letters."""
    with opened(databases.take(), "localhost", sends_mail=True) as made:
        yield made
    databases.give_back()


@pytest.fixture(scope="module")
def business(chromium: Browser, gallery: Gallery) -> str:
    """Where the console of a new owner's business is."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{gallery.base_url}/dashboard")
    page.get_by_label("Business name").fill("Blue door")
    page.get_by_label("E-mail").fill(OWNER)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password once more").fill(PASSWORD)
    page.get_by_role("button", name="Create the owner").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    context.close()
    return f"{gallery.base_url}/dashboard"


@pytest.fixture
def window(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    yield context
    context.close()


def _sign_in(page: Page, business: str) -> None:
    page.goto(f"{business}/login")
    page.get_by_label("E-mail").fill(OWNER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def _sign_out(page: Page) -> None:
    page.locator(".me summary").click()
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    expect(page.get_by_role("link", name="Sign in with a passkey")).to_be_visible()


def _add_wallet(page: Page, business: str, mode: str, name: str, wallet: str) -> None:
    page.goto(f"{business}/{mode}/accounts")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Wallet address").fill(wallet)
    page.get_by_role("button", name="Add account").click()


def _give_authenticator(window: BrowserContext, page: Page) -> None:
    """A security key that knows its person (WebAuthn, 11.2), by the browser's own protocol."""
    devtools = window.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_dsh_04_a_login_that_was_stolen_brings_no_wallet_into_the_business(
    chromium: Browser, window: BrowserContext, gallery: Gallery, business: str
) -> None:
    """Not without the password; and with it not before the owner, who is told, can cancel it."""
    page = window.new_page()
    _sign_in(page, business)
    _add_wallet(page, business, "live", "Till", OWN_WALLET)
    expect(page.get_by_text("The account was created.")).to_be_visible()
    gallery.clock.advance(A_WHILE)
    stolen = chromium.new_context()
    [token] = [one["value"] for one in window.cookies() if one["name"] == "gstable"]
    stolen.add_cookies([{"name": "gstable", "value": token, "url": gallery.base_url}])
    thief = stolen.new_page()
    _add_wallet(thief, business, "live", "Till 2", THIEFS_WALLET)
    expect(thief.get_by_role("heading", level=1)).to_have_text("Is it you?")
    thief.get_by_label("Password").fill("bluedoor2026")
    thief.get_by_role("button", name="Go on").click()
    expect(thief.get_by_text("This is not right.")).to_be_visible()
    page.goto(f"{business}/live/accounts")
    expect(page.get_by_text(THIEFS_WALLET)).to_have_count(0)
    # Now a thief who has the password too.
    thief.get_by_label("Password").fill(PASSWORD)
    thief.get_by_role("button", name="Go on").click()
    expect(thief.get_by_text("your team is told")).to_be_visible()
    stolen.close()
    page.reload()
    waiting = page.get_by_role("region", name="Waiting")
    expect(waiting.get_by_text(THIEFS_WALLET)).to_be_visible()
    assert faults(page) == []
    assert gallery.run(_letters(gallery)) == [OWNER]
    waiting.get_by_role("button", name="Cancel Till 2").click()
    expect(page.get_by_text("Nothing will be paid to that wallet.")).to_be_visible()
    gallery.clock.advance(TWO_DAYS)
    networks = gallery.studio.merchant.desk.networks
    gallery.run(gallery.studio.db.run(payouts.carry_out, networks, sends_mail=True))
    _sign_in(page, business)
    page.goto(f"{business}/live/accounts")
    expect(page.get_by_text(OWN_WALLET)).to_be_visible()
    expect(page.get_by_text(THIEFS_WALLET)).to_have_count(0)


async def _letters(gallery: Gallery) -> list[str]:
    """Who is told of the thief's wallet."""
    async with gallery.studio.db.read() as tx:
        found = await tx.fetch("SELECT email FROM notices WHERE body LIKE $1", f"%{THIEFS_WALLET}%")
    return [one["email"] for one in found]


def test_dsh_04_a_passkey_signs_in_alone_and_answers_for_its_person(
    window: BrowserContext, gallery: Gallery, business: str
) -> None:
    page = window.new_page()
    _give_authenticator(window, page)
    _sign_in(page, business)
    page.goto(f"{business}/test/security")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_label("Name", exact=True).fill("My laptop")
    assert faults(page) == []
    page.get_by_role("button", name="Make the passkey").click()
    page.get_by_role("link", name="I have kept them").click()
    kept = page.get_by_role("region", name="Passkeys").locator("bdi")
    expect(kept).to_have_text("My laptop")
    assert faults(page) == []
    _sign_out(page)
    page.get_by_role("link", name="Sign in with a passkey").click()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    gallery.clock.advance(A_WHILE)
    _add_wallet(page, business, "test", "Savings", SECOND_WALLET)
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("The account was created.")).to_be_visible()
    expect(page.get_by_text(SECOND_WALLET)).to_be_visible()
