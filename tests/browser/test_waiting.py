"""While a payer waits: reloads, second tabs, lost networks, wallet apps, and transactions that do
not come. On the gallery: what chains tell is told by hand, and the wallet answers as it is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from gstable_server.sessions.model import Session
from tests.browser.gallery import Gallery
from tests.browser.paper import SEND, SIGN, PaperWallet, hold, release
from tests.browser.payer import (
    HIDE,
    choose,
    choose_transaction,
    headline,
    is_waiting,
    pay,
    send,
)

pytestmark = pytest.mark.browser

WAITING = (
    "session-open",
    "session-sent",
    "session-address",
    "session-underpaid",
    "session-arrived",
    "session-seen",
    "session-confirming",
    "session-settling",
    "session-delayed",
)
WORDS = ("headline", "detail", "notices", "confirmation-text", "deposit-address")
BACK_AS_LEFT = 'window.dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))'


@pytest.fixture
def page(session_page: Page) -> Page:
    """A session's page with a wallet in it."""
    return session_page


@pytest.fixture
def later(gallery: Gallery) -> Iterator[None]:
    """The time of the sessions that are open is over; afterwards it is as it was."""
    today = gallery.clock.now()
    yield
    gallery.clock.set(today)


def let_time_pass(gallery: Gallery) -> None:
    gallery.clock.set(gallery.clock.now() + timedelta(minutes=31))
    gallery.run(gallery.studio.expire())


@pytest.mark.parametrize("name", WAITING)
def test_chk_06_every_state_survives_a_reload_a_lost_network_and_a_second_tab(
    phone: BrowserContext, paper: PaperWallet, gallery: Gallery, name: str
) -> None:
    # Given a page that waits
    page, state = phone.new_page(), gallery.state(name)
    page.goto(gallery.url(name))
    if state.act is not None:
        state.act(page)
    said = {word: page.locator(f"#{word}").all_text_contents() for word in WORDS}

    def says_the_same(where: Page) -> None:
        for word, texts in said.items():
            expect(where.locator(f"#{word}")).to_have_text([text.strip() for text in texts])
        if name == "session-sent":
            is_waiting(where)

    # When it is loaded again, or the network goes and comes back, or it is opened beside itself
    page.reload()
    says_the_same(page)
    phone.set_offline(True)
    expect(page.locator("#offline")).to_be_visible()
    says_the_same(page)
    phone.set_offline(False)
    expect(page.locator("#offline")).to_be_hidden()
    beside = phone.new_page()
    beside.goto(page.url)
    # Then both say what it said
    says_the_same(beside)
    says_the_same(page)


def test_what_happened_without_a_network_is_shown_when_it_is_back(
    phone: BrowserContext, page: Page, gallery: Gallery, session: Session
) -> None:
    payment = pay(gallery, session, "seen")
    headline(page, "Your payment has arrived")
    phone.set_offline(True)
    expect(page.locator("#offline")).to_be_visible()
    gallery.run(gallery.studio.hear(("final", payment)))
    phone.set_offline(False)
    headline(page, "Payment complete")
    expect(page.locator("#offline")).to_be_hidden()


def test_chk_06_one_payment_is_under_way_in_all_tabs(
    phone: BrowserContext, page: Page, paper: PaperWallet, gallery: Gallery, session: Session
) -> None:
    # Given two tabs, both with the terms on the screen
    other = phone.new_page()
    other.goto(page.url)
    choose(page)
    choose(other)
    # When one of them pays
    page.locator("#confirm").click()
    is_waiting(page)
    # Then the other one waits too, a third one begins so, and the wallet was asked once
    is_waiting(other)
    third = phone.new_page()
    third.goto(page.url)
    is_waiting(third)
    assert paper.asked.count(SIGN) == 1
    pay(gallery, session, "seen")
    for tab in (page, other, third):
        headline(tab, "Your payment has arrived")


def test_chk_06_a_chain_that_is_switched_while_the_terms_are_read_makes_them_old(
    page: Page, paper: PaperWallet
) -> None:
    polygon = paper.chain_id
    choose(page)
    paper.chain_id = next(iter(paper.known_chains - {paper.chain_id}))
    paper.tell(page, "chainChanged", hex(paper.chain_id))
    expect(page.get_by_role("alert")).to_have_text(re.compile("account or network"))
    expect(page.locator("#review")).to_be_hidden()
    # Chosen again, the wallet is brought back to the network of the terms.
    choose(page)
    page.locator("#confirm").click()
    is_waiting(page)
    assert [signed["domain"]["chainId"] for signed in paper.signed] == [polygon]


def test_chk_07_a_reverted_transaction_is_told_and_may_be_paid_again(
    phone: BrowserContext, page: Page, paper: PaperWallet
) -> None:
    tx_hash = send(page, paper)
    other = phone.new_page()
    other.goto(page.url)
    is_waiting(other)
    paper.mine(tx_hash, succeeds=False)
    # Whichever finds it first, both say so.
    for tab in (page, other):
        expect(tab.get_by_role("alert")).to_have_text(re.compile("turned the payment down"))
        expect(tab.locator("#choose")).to_be_visible()
    headline(page, "Waiting for your payment")
    page.reload()
    expect(page.locator("#choose")).to_be_visible()


def test_chk_07_a_transaction_that_reverts_after_a_reload_is_told_too(
    page: Page, paper: PaperWallet
) -> None:
    tx_hash = send(page, paper)
    page.reload()
    is_waiting(page)
    paper.mine(tx_hash, succeeds=False)
    expect(page.get_by_role("alert")).to_have_text(re.compile("turned the payment down"))
    expect(page.locator("#choose")).to_be_visible()


def test_chk_07_a_dropped_transaction_is_doubted_and_may_be_sent_again(
    page: Page, paper: PaperWallet
) -> None:
    page.clock.install()
    page.reload()
    first = send(page, paper)
    page.clock.fast_forward(61_000)
    expect(page.locator("#sent-text")).to_have_text(re.compile("Still waiting.*in your wallet"))
    headline(page, "Waiting for your payment")
    page.get_by_role("button", name="Pay again").click()
    again = send(page, paper)
    assert paper.hashes == [first, again]


def test_chk_07_the_page_follows_the_transaction_that_replaced_its_own(
    page: Page, paper: PaperWallet, gallery: Gallery, session: Session
) -> None:
    tx_hash = send(page, paper)
    log = pay(gallery, session, "seen")
    headline(page, "Your payment has arrived")
    shown = f"0x{log.tx_hash.hex()}"
    assert shown != tx_hash
    expect(page.locator("#receipt-hash")).to_have_text(shown)


@pytest.mark.usefixtures("later")
def test_chk_10_what_is_signed_after_the_time_is_over_pays_nothing(
    page: Page, paper: PaperWallet, gallery: Gallery
) -> None:
    choose(page)
    hold(page, SIGN)
    page.locator("#confirm").click()
    expect(page.locator("#working")).to_have_text(re.compile("Sign in your wallet"))
    let_time_pass(gallery)
    headline(page, "The time for this payment is over")
    release(page)
    expect(page.locator("#working")).to_be_hidden()
    expect(page.locator("#detail")).to_have_text(re.compile("Nothing was charged"))
    expect(page.locator("#payment")).to_be_hidden()
    page.reload()
    expect(page.locator("#detail")).to_have_text(re.compile("Nothing was charged"))


@pytest.mark.usefixtures("later")
def test_chk_10_what_is_sent_after_the_time_is_over_is_not_called_nothing(
    page: Page, paper: PaperWallet, gallery: Gallery, session: Session
) -> None:
    choose_transaction(page, paper)
    log = gallery.run(gallery.studio.payment(session))
    hold(page, SEND)
    page.locator("#confirm").click()
    expect(page.locator("#working")).to_have_text(re.compile("Confirm in your wallet"))
    let_time_pass(gallery)
    headline(page, "The time for this payment is over")
    release(page)
    sent = re.compile("You sent a payment that the network has not shown yet")
    expect(page.locator("#detail")).to_have_text(sent)
    page.reload()
    expect(page.locator("#detail")).to_have_text(sent)
    late = gallery.studio.at(log, gallery.clock.now())
    gallery.run(gallery.studio.hear(("seen", late)))
    expect(page.locator("#notices")).to_have_text(re.compile("Ask Blue Door Books to accept"))
    expect(page.locator("#detail")).to_have_text("Please do not pay any more.")


@pytest.mark.parametrize("back", ["shown again", "as it was left"])
def test_the_page_knows_at_once_what_happened_while_the_wallet_app_was_open(
    page: Page, gallery: Gallery, session: Session, back: str
) -> None:
    # Given a page in the background, which hears of nothing
    page.evaluate(HIDE, True)
    pay(gallery, session, "seen")
    # When the payer comes back to it
    if back == "shown again":
        page.evaluate(HIDE, False)
    else:
        page.evaluate("delete document.hidden")
        page.evaluate(BACK_AS_LEFT)
    # Then it says where the payment stands
    headline(page, "Your payment has arrived")
    pay_button = page.locator("#confirm")
    expect(pay_button).to_be_hidden()


def test_there_is_a_way_back_to_the_merchant(phone: BrowserContext, gallery: Gallery) -> None:
    page = phone.new_page()
    page.goto(gallery.url("session-expired"))
    expect(page.locator(".contact >> visible=true")).to_have_count(1)
    expect(page.get_by_role("link", name="Back to Blue Door Books")).to_be_hidden()
    page.goto(gallery.url("session-expired-shop"))
    way_back = page.get_by_role("link", name="Back to Blue Door Books")
    expect(way_back).to_have_attribute("href", "https://bluedoor.example/")
    page.goto(gallery.url("session-overpaid"))
    expect(page.locator(".contact >> visible=true")).to_have_count(1)
