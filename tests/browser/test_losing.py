"""What gets lost on the way, and must cost nobody a second payment: answers of the server, the
browser's memory, and the time that a phone slept. On the gallery."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from gstable_server.sessions.model import Session
from tests.browser.conftest import until
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
    url_of,
)

pytestmark = pytest.mark.browser

FULL = """Storage.prototype.setItem = () => {
  throw new DOMException("full", "QuotaExceededError");
};"""
LATER = "() => { const now = Date.now; Date.now = () => now() + 40 * 60 * 1000; }"
A_MOMENT = "() => new Promise((go) => setTimeout(go, 50))"


@pytest.fixture
def page(session_page: Page) -> Page:
    return session_page


def test_a_browser_without_room_does_not_offer_to_pay_twice(page: Page, paper: PaperWallet) -> None:
    page.add_init_script(FULL)
    page.reload()
    send(page, paper)
    expect(page.locator("[data-busy]")).to_have_count(0)
    is_waiting(page)


def test_an_answer_that_took_long_does_not_undo_what_was_told_since(
    page: Page, gallery: Gallery, session: Session
) -> None:
    # Given a question whose answer, that nothing was paid, is long on its way
    before = page.request.get(f"{url_of(gallery, session)}/status?lang=en").json()
    held: list[Route] = []
    page.route("**/status?*", lambda route: held.append(route))
    page.evaluate(HIDE, False)
    until(page, lambda: bool(held))
    # When the page is told of the payment, and then the answer comes
    pay(gallery, session, "seen")
    headline(page, "Your payment has arrived")
    with page.expect_response("**/status?*"):
        held[0].fulfill(json=before)
    page.evaluate(A_MOMENT)
    # Then it still says so
    assert page.locator("#headline").text_content() == "Your payment has arrived"
    assert page.locator("#choose").is_hidden()


def test_a_signature_whose_answer_was_lost_is_handed_in_again(
    page: Page, paper: PaperWallet
) -> None:
    handed_in: list[str] = []

    def lose(route: Route) -> None:
        handed_in.append(route.request.post_data or "")
        route.fetch()
        route.abort()
        page.unroute("**/authorize?*")

    page.route("**/authorize?*", lose)
    page.on("requestfinished", lambda asked: handed_in.append(asked.post_data or ""))
    choose(page)
    page.locator("#confirm").click()
    is_waiting(page)
    first, again = [text for text in handed_in if "signature" in text]
    assert first == again
    assert paper.asked.count(SIGN) == 1


def test_who_comes_back_too_late_from_the_wallet_is_not_asked_to_pay(
    phone: BrowserContext, page: Page, paper: PaperWallet
) -> None:
    # Given a wallet that waits for the permission while the phone sleeps
    choose_transaction(page, paper)
    paper.allowance = 0
    hold(page, SEND)
    page.locator("#confirm").click()
    expect(page.locator("#working")).to_have_text(re.compile("allow this one payment"))
    phone.set_offline(True)
    page.evaluate(LATER)
    # When it is given, before the server could be heard again
    release(page)
    # Then nothing more is asked for
    over = "The time for this payment is over, so nothing was sent."
    expect(page.get_by_role("alert")).to_have_text(over)
    assert paper.asked.count(SEND) == 1
