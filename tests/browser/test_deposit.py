"""Paying from any wallet or exchange, as a person sees it: also in a browser without JavaScript."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from gstable_server.chain.checksum import address_from_text
from gstable_server.chain.http_rpc import open_rpc
from gstable_server.chain.keys import private_key_from_hex
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.tenant import Mode
from tests.browser.conftest import Seller, until
from tests.browser.reading import note_texts
from tests.running import eventually

pytestmark = [pytest.mark.browser, pytest.mark.anvil]

DUE = 24_750_000


def transfer(seller: Seller, address: str, token_id: str, amount: int) -> None:
    """From a wallet that the page knows nothing of."""
    running = seller.running
    token = running.networks.require_token(token_id, Mode.TEST)
    key = private_key_from_hex(running.payer_keys[2])

    async def send() -> None:
        async with open_rpc(running.networks.network(token.network)) as rpc:
            wallet = Wallet(key, rpc, token.chain_id)
            sent = await wallet.transfer(token, address_from_text(address), amount)
            assert (await wallet.wait(sent)).succeeded

    # The browser's own event loop counts as running in this thread.
    with ThreadPoolExecutor(1) as other:
        other.submit(asyncio.run, send()).result()


def ask_for_address(page: Page, token_id: str) -> str:
    page.get_by_label("Token and network").select_option(token_id)
    page.get_by_role("button", name="Show the address").click()
    expect(page.locator("#deposit-address")).to_be_visible()
    address = page.locator("#deposit-address").text_content()
    assert address is not None
    return address.strip()


def test_a_payer_without_javascript_pays_by_a_transfer(
    context: BrowserContext, seller: Seller
) -> None:
    session_id, url = seller.session()
    browser = context.browser
    assert browser is not None
    bare = browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640})
    try:
        page = bare.new_page()
        page.goto(url)
        address = ask_for_address(page, "base::usdc")
        expect(page.locator("#deposit-network")).to_have_text(re.compile("^Base"))
        expect(page.locator("#deposit-amount")).to_have_text("24.75")
        code = page.get_by_role("img", name="QR code of the whole transfer")
        expect(page.get_by_role("img", name="QR code of the address")).to_be_visible()
        expect(code).to_be_hidden()
        page.get_by_text("Address and amount").click()
        expect(code).to_be_visible()
        expect(page.locator("button[data-copy]").first).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        transfer(seller, address, "base::usdc", DUE)
        eventually(lambda: seller.state(session_id) == "completed", "the session is completed")
        page.goto(url)
        expect(page.locator("#headline")).to_have_text("Payment complete")
        expect(page.locator("#deposit")).to_be_hidden()
    finally:
        bare.close()


def test_the_page_follows_a_transfer_that_comes_in_two_parts(
    page: Page, context: BrowserContext, seller: Seller
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    _, url = seller.session()
    page.goto(url)
    address = ask_for_address(page, "polygon::usdt")
    copy = page.get_by_role("button", name="Copy: To this address")
    texts = note_texts(copy)
    copy.click()
    until(page, lambda: "Copied" in texts())
    assert page.evaluate("navigator.clipboard.readText()") == address
    expect(copy).to_have_text("Copy")
    transfer(seller, address, "polygon::usdt", DUE - 1_000_000)
    expect(page.locator("#notices")).to_contain_text("Send 1.00 USDT more to the same address")
    page.reload()
    expect(page.locator("#deposit-amount")).to_have_text("1.00")
    transfer(seller, address, "polygon::usdt", 1_000_000)
    expect(page.locator("#headline")).to_have_text("Payment complete")
    expect(page.locator("#deposit")).to_be_hidden()
