"""Several wallets in one browser (EIP-6963): the payer chooses, and no other is asked."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from gstable_server.sessions.model import Session
from tests.browser.gallery import Gallery
from tests.browser.paper import SEND, SIGN, PaperWallet
from tests.browser.payer import headline, is_waiting, pay, url_of

pytestmark = pytest.mark.browser

QUESTIONS = {"eth_requestAccounts", "wallet_switchEthereumChain", SEND, SIGN}
"""What a wallet asks its owner about; the rest it answers by itself."""


@pytest.fixture
def wallets(phone: BrowserContext, gallery: Gallery) -> list[PaperWallet]:
    """Two, with an account each."""
    networks = gallery.studio.merchant.desk.networks
    paper, linen = PaperWallet.of(networks), PaperWallet.of(networks)
    linen.name, linen.account_index = "Linen Wallet", 1
    linen.uuid = "5d1f1f0e-8f1c-4a54-9f0e-0c6c0a7a7d11"
    for wallet in (paper, linen):
        wallet.install(phone)
    return [paper, linen]


@pytest.fixture
def page(phone: BrowserContext, wallets: list[PaperWallet]) -> Page:
    """A window that both are in."""
    return phone.new_page()


def questions(wallet: PaperWallet) -> list[str]:
    return [method for method in wallet.asked if method in QUESTIONS]


def choose(page: Page, wallet: PaperWallet) -> None:
    page.get_by_role("button", name=wallet.name).click()
    expect(page.locator("#term-payer")).to_have_text(wallet.address)
    expect(page.locator("#review")).to_be_visible()
    expect(page.locator("#term-asks")).to_contain_text(wallet.name)


@pytest.mark.parametrize("chosen", [0, 1])
def test_the_wallet_that_was_not_chosen_is_never_asked(
    page: Page, gallery: Gallery, session: Session, wallets: list[PaperWallet], chosen: int
) -> None:
    wallet, other = wallets[chosen], wallets[1 - chosen]
    page.goto(url_of(gallery, session))
    expect(page.locator("#wallets button")).to_have_text([one.name for one in wallets])
    choose(page, wallet)
    page.locator("#confirm").click()
    is_waiting(page)
    pay(gallery, session)
    headline(page, "Payment complete")
    assert questions(wallet) == ["eth_requestAccounts", SIGN]
    assert questions(other) == []


def test_a_payer_changes_the_wallet_before_paying(
    page: Page, gallery: Gallery, session: Session, wallets: list[PaperWallet]
) -> None:
    paper, linen = wallets
    page.goto(url_of(gallery, session))
    choose(page, paper)
    page.locator("#back").click()
    choose(page, linen)
    # What happens in the first one is nobody's business any more.
    paper.use_account(page, 1)
    expect(page.locator("#review")).to_be_visible()
    page.locator("#confirm").click()
    is_waiting(page)
    assert questions(paper) == ["eth_requestAccounts"]
    assert questions(linen) == ["eth_requestAccounts", SIGN]
    [signed] = linen.signed
    assert signed["message"]["from"].lower() == linen.address.lower()
