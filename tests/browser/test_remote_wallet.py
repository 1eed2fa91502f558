"""Paying with a wallet of another device, over a relay, on real local chains.

The relay is a small one (``remote/peer.mjs``); both ends are the library that wallets use, so that
what the relay has to say is judged by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Seller
from tests.browser.reading import faults
from tests.browser.remote_wallet import NAME, RemoteWallet, remote_wallet
from tests.browser.wallet import InjectedWallet
from tests.conftest import Installation
from tests.running import Running

pytestmark = [pytest.mark.browser, pytest.mark.anvil]

DECLINED = re.compile("You declined in your wallet")
SIGN = "eth_signTypedData_v4"
SEND = "eth_sendTransaction"


@dataclass
class Asked:
    """Whom the page asked for anything: hosts of requests, and addresses of sockets."""

    hosts: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)

    def hear(self, page: Page) -> None:
        page.on("request", lambda one: self._asked(one.url))
        page.on("websocket", lambda one: self.sockets.append(one.url))

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"}:
            self.hosts.add(parts.netloc)
            self.files.append(parts.path.rpartition("/")[2])

    @property
    def has_client(self) -> bool:
        return any(name.startswith("walletconnect") for name in self.files)


@pytest.fixture
def context(phone: BrowserContext) -> BrowserContext:
    """No wallet is in this browser."""
    return phone


@pytest.fixture
def asked(page: Page) -> Asked:
    heard = Asked()
    heard.hear(page)
    return heard


@pytest.fixture
def remote(
    running: Running, installation: Installation, wallet: InjectedWallet
) -> Iterator[RemoteWallet]:
    with remote_wallet(wallet, installation.relay_port) as started:
        yield started


def code(page: Page) -> str:
    """What stands in the code that is shown now."""
    page.locator("#remote-wallet").click()
    expect(page.locator("#remote-code")).to_be_visible()
    return str(page.locator("#remote-app").get_attribute("href"))


def test_a_session_is_paid_with_a_wallet_of_another_device(
    page: Page, seller: Seller, remote: RemoteWallet, asked: Asked, installation: Installation
) -> None:
    session_id, url = seller.session()
    page.goto(url)
    expect(page.locator("#script-failed")).to_be_hidden()
    assert not asked.has_client
    assert asked.sockets == []
    uri = code(page)
    assert re.fullmatch(r"wc:[0-9a-f]{64}@2\?.*symKey=[0-9a-f]{64}.*", uri)
    assert faults(page) == []
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="dark")
    assert faults(page) == []
    remote.scan(uri)
    expect(page.locator("#review")).to_be_visible()
    expect(page.locator("#remote")).to_be_hidden()
    expect(page.locator("#term-payer")).to_have_text(remote.keys.address)
    expect(page.locator("#term-asks")).to_contain_text(NAME)
    page.locator("#confirm").click()
    expect(page.locator("#headline")).to_have_text("Payment complete")
    assert seller.state(session_id) == "completed"
    assert [one["request"]["method"] for one in remote.requests] == [SIGN]
    # Nobody else was asked for anything: no counting, no vouching, no list of wallets.
    assert asked.hosts == {urlsplit(url).netloc}
    assert asked.has_client
    assert {urlsplit(one).netloc for one in asked.sockets} == {
        f"127.0.0.1:{installation.relay_port}"
    }


def test_a_payer_declines_on_the_other_device_and_pays_by_transaction(
    page: Page, seller: Seller, remote: RemoteWallet
) -> None:
    session_id, url = seller.session("base::usdc")
    page.goto(url)
    remote.declines = {"connection"}
    remote.scan(code(page))
    expect(page.get_by_role("alert")).to_have_text(DECLINED)
    remote.declines = {SIGN}
    remote.scan(code(page))
    expect(page.locator("#review")).to_be_visible()
    page.locator("#confirm").click()
    expect(page.get_by_role("alert")).to_have_text(DECLINED)
    # It is connected still: nothing has to be scanned again.
    page.locator("#remote-wallet").click()
    expect(page.locator("#review")).to_be_visible()
    page.get_by_role("button", name="Pay by transaction instead").click()
    expect(page.get_by_role("button", name="Pay by transaction instead")).to_be_hidden()
    expect(page.locator("#review")).to_be_visible()
    page.locator("#confirm").click()
    expect(page.locator("#headline")).to_have_text("Payment complete")
    assert seller.state(session_id) == "completed"
    assert [one["request"]["method"] for one in remote.requests] == [SIGN, SEND, SEND]


def test_a_code_that_is_closed_or_a_relay_out_of_reach_leaves_the_other_ways(
    page: Page, seller: Seller, asked: Asked
) -> None:
    page.clock.install()
    _, url = seller.session()
    page.goto(url)
    page.locator("#remote-wallet").click()
    expect(page.locator("#remote-waiting")).to_have_text(re.compile("Reaching"))
    page.keyboard.press("Escape")
    expect(page.locator("#remote")).to_be_hidden()
    expect(page.locator("#remote-wallet")).to_be_focused()
    page.locator("#remote-wallet").click()
    expect(page.locator("#remote-waiting")).to_have_text(re.compile("Reaching"))
    page.clock.fast_forward(10_000)
    expect(page.get_by_role("alert")).to_have_text(re.compile("could not be reached"))
    expect(page.locator("#remote")).to_be_hidden()
    expect(page.locator("#deposit")).to_be_visible()
    assert asked.hosts == {urlsplit(url).netloc}
