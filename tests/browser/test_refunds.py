"""Giving money back in a real browser, on a real local chain, from the merchant's own wallet."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest
from playwright.sync_api import Browser, Page, expect

from gstable_server.chain.checksum import to_checksum
from gstable_server.cli.payer import Payer
from gstable_server.kernel.tenant import Mode
from tests.browser.conftest import Seller
from tests.browser.wallet import InjectedWallet, choose_wallet
from tests.running import Running, eventually

pytestmark = [pytest.mark.browser, pytest.mark.anvil]

TRANSFER = "0xa9059cbb"


@pytest.fixture(scope="module")
def paid(running: Running) -> str:
    """A completed session of 24.75 USD; the parts of it are enough for every test here."""
    with running.client() as client:
        session_id, url = Seller(running, client).session()

        def is_completed() -> bool:
            return client.checkout_session.detail(session_id).session.status == "completed"

        async def pay() -> None:
            async with aiohttp.ClientSession() as http:
                payer = Payer(http, running.base_url, running.networks, running.payer_keys[1])
                await payer.pay(url, "polygon::usdc")

        # On a loop of its own: the browser's runs in this thread.

        with ThreadPoolExecutor(1) as other_thread:
            other_thread.submit(lambda: asyncio.run(pay())).result()
        eventually(is_completed, "the payment is final")
    return session_id


@pytest.fixture
def wallet(running: Running) -> InjectedWallet:
    """The merchant's, on another chain than the payment's, and with another account besides."""
    networks = running.networks
    return InjectedWallet(
        private_keys=[f"0x{running.merchant_key}", f"0x{running.payer_keys[0]}"],
        nodes={network.chain_id: network.rpc_urls[0] for network in networks.all},
        chain_id=networks.network("base").chain_id,
        known_chains={networks.network("base").chain_id},
    )


@pytest.fixture(params=[(390, "light"), (390, "dark"), (1440, "light"), (1440, "dark")], ids=str)
def page(
    chromium: Browser, wallet: InjectedWallet, request: pytest.FixtureRequest
) -> Iterator[Page]:
    width, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    wallet.install(context)
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "console",
        lambda message: (
            troubles.append(message.text)
            if "Content Security Policy" in message.text or "integrity" in message.text
            else None
        ),
    )
    yield page
    context.close()
    assert troubles == []


def fits(page: Page) -> None:
    """Nothing has to be scrolled to sideways."""
    wide, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= room, f"{page.url} is {wide} wide"


def prepare(page: Page, running: Running, session_id: str, amount: str) -> None:
    """Sign in and prepare a refund on the session's page."""
    page.goto(running.about["dashboardUrl"])
    page.get_by_label("E-mail").fill(running.about["dashboardEmail"])
    page.get_by_label("Password").fill(running.about["dashboardPassword"])
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{running.base_url}/dashboard/test/sessions/{session_id}")
    page.get_by_label("Amount in USD").fill(amount)
    page.get_by_label("Reason").fill("The workshop was shorter")
    fits(page)
    page.get_by_role("button", name="Prepare the refund").click()
    expect(page).to_have_url(re.compile(r"/refunds/rfd_\w+"))
    expect(page.locator("#headline")).to_have_text("Your wallet has to send it")


def give_back(page: Page) -> None:
    choose_wallet(page)


def test_the_merchants_wallet_gives_money_back(
    page: Page, running: Running, paid: str, wallet: InjectedWallet
) -> None:
    prepare(page, running, paid, "1.50")
    fits(page)
    give_back(page)
    expect(page.locator("#headline")).to_have_text("Given back")
    expect(page.get_by_role("button", name="Harbour Wallet")).to_be_hidden()
    expect(page.locator("#transaction")).to_have_text(wallet.hashes[-1])
    fits(page)
    # The wallet was asked for exactly the transfer that the page shows, once.
    [sent] = wallet.sent
    with running.client() as client:
        session = client.checkout_session.detail(paid).session
    token = running.networks.require_token("polygon::usdc", Mode.TEST)
    assert sent["to"] == to_checksum(token.address)
    payer = session.payer[2:].lower()
    assert sent["data"] == TRANSFER + payer.rjust(64, "0") + f"{1_500_000:064x}"
    assert wallet.chain_id == token.chain_id
    assert session.refunds[-1].status == "completed"
    page.goto(f"{running.base_url}/dashboard/test/sessions/{paid}")
    expect(page.get_by_text("Given back").first).to_be_visible()
    fits(page)


@pytest.mark.parametrize("page", [(390, "light")], indirect=True, ids=str)
def test_another_account_is_told_and_sends_nothing(
    page: Page, running: Running, paid: str, wallet: InjectedWallet
) -> None:
    wallet.account_index = 1
    prepare(page, running, paid, "0.01")
    give_back(page)
    expect(page.get_by_role("alert")).to_contain_text("Choose that account in your wallet")
    assert wallet.sent == []
    # A merchant may decline and try again, and a reload offers what was not sent.
    wallet.account_index, wallet.reject = 0, {"eth_sendTransaction"}
    give_back(page)
    expect(page.get_by_role("alert")).to_contain_text("You declined in your wallet")
    page.reload()
    expect(page.get_by_role("button", name="Harbour Wallet")).to_be_visible()
    page.get_by_role("button", name="Give this refund up").click()
    expect(page.get_by_role("status").first).to_contain_text("was given up")
    expect(page.locator("#headline")).to_have_text("Given up")
    expect(page.locator("#to-send")).to_be_hidden()


@pytest.mark.parametrize("page", [(390, "light")], indirect=True, ids=str)
def test_an_invented_transaction_is_never_shown_as_given_back(
    page: Page, running: Running, paid: str, wallet: InjectedWallet
) -> None:
    prepare(page, running, paid, "0.02")
    wallet.invent_hashes = True
    give_back(page)
    expect(page.get_by_text("Your wallet sent it.")).to_be_visible()
    expect(page.get_by_role("button", name="Harbour Wallet")).to_be_hidden()
    # After a reload, too, it is not offered unasked to send a second time.
    page.reload()
    expect(page.get_by_text("Your wallet sent it.")).to_be_visible()
    expect(page.locator("#headline")).to_have_text("Your wallet has to send it")
    wallet.invent_hashes = False
    page.get_by_role("button", name="It was not sent").click()
    give_back(page)
    expect(page.locator("#headline")).to_have_text("Given back")


@pytest.mark.parametrize("page", [(390, "light")], indirect=True, ids=str)
def test_a_transfer_that_would_fail_is_told_before_it_is_sent(
    page: Page, running: Running, paid: str, wallet: InjectedWallet
) -> None:
    # More than the wallet has: as if its owner had spent the money meanwhile.
    prepare(page, running, paid, "0.03")
    page.evaluate("document.getElementById('refund').dataset.amount = '9'.repeat(30)")
    give_back(page)
    expect(page.get_by_role("alert")).to_contain_text("would fail, so nothing was sent")
    assert wallet.sent == []
