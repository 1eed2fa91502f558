"""A browser, a payer's wallet in it, and a merchant who opens sessions through the API."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from gstable import Client
from gstable_server.chain.checksum import to_checksum
from gstable_server.cli.stack import Keys
from gstable_server.sessions.model import Session
from tests.browser.gallery import Gallery, opened
from tests.browser.paper import PaperWallet, installed
from tests.browser.payer import url_of
from tests.browser.wallet import InjectedWallet
from tests.conftest import Databases
from tests.running import Running, eventually

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
PRICE = 24_750_000

PATIENCE_MS = 180_000
"""What a page shows or does is waited for as long, also on a busy machine."""

expect.set_options(timeout=PATIENCE_MS)


def _be_patient(browser: Browser) -> None:
    """Every window of ``browser`` waits longer than the 30 s of Playwright."""
    opening = browser.new_context

    def new_context(**options: Any) -> BrowserContext:
        context = opening(**options)
        context.set_default_timeout(PATIENCE_MS)
        return context

    browser.new_context = new_context  # type: ignore[method-assign]


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Wait until that is so; the page goes on meanwhile. A policy that forbids a page to evaluate
    text forbids Playwright's own way too."""
    for _ in range(PATIENCE_MS // 50):
        if holds():
            return
        page.wait_for_timeout(50)
    assert holds()


@contextmanager
def launched() -> Iterator[Browser]:
    """Chromium, until the end."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    assert path is not None, "no chromium: ./run setup installs it"
    with sync_playwright() as playwright:
        # Root may not use chromium's own sandbox, and the pages are ours.
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], timeout=PATIENCE_MS
        )
        _be_patient(browser)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for one module: while it is open the thread's event loop counts as running, and
    no other kind of test could start one of its own."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def gallery(databases: Databases) -> Iterator[Gallery]:
    """Every state of the payer's pages, in milliseconds; see ``tests.browser.gallery``."""
    with opened(databases.take()) as made:
        yield made
    databases.give_back()


@dataclass(frozen=True)
class Seller:
    """The demo merchant, by the SDK."""

    running: Running
    client: Client

    def session(self, token_id: str = "polygon::usdc", **fields: Any) -> tuple[str, str]:
        """A session for one workshop ticket: its id and the address of its page."""
        session = self.client.checkout_session.create(
            account_id=self.running.account_id,
            settlement_token=token_id,
            line_items=[
                {
                    "item_type": "one_time",
                    "quantity": 1,
                    "unit_price": PRICE,
                    "product_data": {"product_name": "Workshop ticket"},
                }
            ],
            **fields,
        )
        return session.session_id, session.payment_url

    def link(self, **fields: Any) -> str:
        """The address of a link for two books, or of a custom one."""
        product = self.client.product.create(
            name="Field guide to harbour birds", common_prices=[5_000_000, 12_500_000]
        )
        item: dict[str, Any] = {"product_id": product.product_id}
        if fields.get("link_type") == "custom":
            item |= {"item_type": "user_priced", "quantity": 1}
        else:
            item |= {"item_type": "product", "quantity": 2, "unit_price": PRICE}
        settings: dict[str, Any] = {
            "link_type": "fixed",
            "link_name": "Spring catalogue",
            "account_id": self.running.account_id,
            "settlement_token": "polygon::usdc",
            "fee_model": 1,
            "line_items": [item],
        }
        return self.client.payment_link.create(**{**settings, **fields}).link_url

    def state(self, session_id: str) -> str:
        return self.client.checkout_session.detail(session_id).session.status


@pytest.fixture
def seller(running: Running) -> Iterator[Seller]:
    with running.client() as client:
        yield Seller(running, client)


def _is_alive(base: str) -> bool:
    try:
        with urlopen(f"{base}/health/live", timeout=PATIENCE_MS / 1000) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.fixture
def fresh(running: Running, database_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that nobody has visited yet; its parameter is what it does, all by
    default. Its chains are those of the installation beside it, and so is its key: their contracts
    take its orders. What an indexer of it reads there of others' payments is unusual to it."""
    networks_file = Path(running.about["networksFile"])
    keys = Keys.from_json((networks_file.parent / "keys.json").read_text())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    role: str = getattr(request, "param", "all")
    settings = {
        "DATABASE_URL": database_url,
        "GSTABLE_PUBLIC_URL": base,
        "GSTABLE_PORT": str(port),
        "GSTABLE_NETWORKS_FILE": str(networks_file),
        "GSTABLE_ORDER_SIGNING_KEY": keys.order_signing_key,
        "GSTABLE_FEE_RECEIVER": to_checksum(keys.address("fee_receiver_key")),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gstable_server.cli", "serve", "--role", role],
        env={**os.environ, **settings},
    )
    try:
        eventually(lambda: _is_alive(base), "the server answers")
        yield base
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(180)


@pytest.fixture
def wallet(running: Running) -> InjectedWallet:
    """On the chain that stands in for Polygon, which is also the only one that it knows."""
    networks = running.networks
    polygon = networks.network("polygon").chain_id
    return InjectedWallet(
        private_keys=[f"0x{key}" for key in running.payer_keys],
        nodes={network.chain_id: network.rpc_urls[0] for network in networks.all},
        chain_id=polygon,
        known_chains={polygon},
    )


@pytest.fixture
def context(chromium: Browser, wallet: InjectedWallet) -> Iterator[BrowserContext]:
    """A phone-sized window of its own, with the wallet in it."""
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    wallet.install(context)
    yield context
    context.close()


@pytest.fixture
def phone(chromium: Browser) -> Iterator[BrowserContext]:
    """A phone-sized window without a wallet."""
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    yield context
    context.close()


@pytest.fixture
def paper(phone: BrowserContext, gallery: Gallery) -> PaperWallet:
    """A wallet without a chain, in the phone."""
    return installed(phone, gallery.studio.merchant.desk.networks)


@pytest.fixture
def session(gallery: Gallery) -> Session:
    """One of the gallery's, open."""
    return gallery.run(gallery.studio.session())


@pytest.fixture
def session_page(
    phone: BrowserContext, paper: PaperWallet, gallery: Gallery, session: Session
) -> Page:
    """Its page on the phone, with the wallet in it."""
    page = phone.new_page()
    page.goto(url_of(gallery, session))
    return page


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that may fail at nothing: every script error and refused file fails the test."""
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "console",
        lambda message: (
            troubles.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    yield page
    assert troubles == []
