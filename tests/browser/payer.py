"""What a payer does on a session's page of the gallery, with a wallet that has no chain."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from gstable_server.chain.facts import PaymentLog
from gstable_server.sessions.model import Session
from tests.browser.gallery import Gallery
from tests.browser.paper import NAME, PaperWallet

HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def url_of(gallery: Gallery, session: Session) -> str:
    return f"{gallery.base_url}/pay/{session.session_id}"


def choose(page: Page) -> None:
    page.get_by_role("button", name=NAME).click()
    expect(page.locator("#review")).to_be_visible()


def choose_transaction(page: Page, paper: PaperWallet) -> None:
    """To send a transaction where a signature would do; the permission is there already."""
    paper.allowance = 10**12
    choose(page)
    page.locator("#other-way").click()
    expect(page.locator("#other-way")).to_be_hidden()
    expect(page.locator("#review")).to_be_visible()


def send(page: Page, paper: PaperWallet) -> str:
    """Pay by a transaction; returns its hash."""
    choose_transaction(page, paper)
    page.locator("#confirm").click()
    is_waiting(page)
    return paper.hashes[-1]


def is_waiting(page: Page) -> None:
    expect(page.locator("#sent-text")).to_have_text(re.compile("Waiting for the network"))
    expect(page.locator("#choose")).to_be_hidden()
    expect(page.locator("#confirm")).to_be_hidden()


def headline(page: Page, text: str) -> None:
    expect(page.locator("#headline")).to_have_text(text)


def pay(gallery: Gallery, session: Session, *facts: str) -> PaymentLog:
    return gallery.run(gallery.studio.paid(session, *facts))
