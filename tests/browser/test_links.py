"""Link pages in a browser: how many, how much, and once more after the time is over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from gstable_server.sessions.model import SessionState
from tests.browser.gallery import Gallery

PHONE = {"width": 390, "height": 844}


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def payer(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A phone, with and without JavaScript."""
    context = chromium.new_context(
        viewport=PHONE, java_script_enabled=request.param, reduced_motion="reduce"
    )
    yield context.new_page()
    context.close()


def quantity(page: Page, number: str, total: str) -> None:
    expect(page.get_by_label("Quantity", exact=True)).to_have_value(number)
    expect(page.locator("#link-total")).to_have_text(total)
    expect(page.get_by_role("button", name=f"Continue to pay {total}")).to_be_visible()


def test_a_payer_counts_with_the_buttons_and_the_keys(payer: Page, gallery: Gallery) -> None:
    payer.goto(gallery.url("link-quantity"))
    quantity(payer, "2", "50.00 USD")
    payer.get_by_role("button", name="One more").click()
    quantity(payer, "3", "75.00 USD")
    payer.get_by_role("button", name="One fewer").click()
    payer.get_by_role("button", name="One fewer").click()
    quantity(payer, "1", "25.00 USD")
    expect(payer.get_by_role("button", name="One fewer")).to_have_attribute("aria-disabled", "true")
    field = payer.get_by_label("Quantity", exact=True)
    field.fill("7")
    # Enter goes on with what was typed; it presses neither button.
    field.press("Enter")
    expect(payer).to_have_url(re.compile("/pay/"))
    expect(payer.locator("#order-title")).to_have_text(re.compile(r"175\.00"))


def test_the_page_counts_without_leaving(chromium: Browser, gallery: Gallery) -> None:
    context = chromium.new_context(viewport=PHONE)
    page = context.new_page()
    page.goto(gallery.url("link-quantity"))
    page.evaluate("document.body.dataset.stayed = 'yes'")
    more = page.get_by_role("button", name="One more")
    for _ in range(8):
        more.click()
    quantity(page, "10", "250.00 USD")
    expect(more).to_have_attribute("aria-disabled", "true")
    expect(more).to_be_focused()
    assert page.evaluate("document.body.dataset.stayed") == "yes"
    context.close()


def test_an_amount_is_typed_or_picked_but_never_both(payer: Page, gallery: Gallery) -> None:
    payer.goto(gallery.url("link-custom"))
    field = payer.get_by_label("Other amount")
    expect(payer.locator("#amount-help")).to_contain_text("From 0.01 USD to 1,000,000.00 USD.")
    field.fill("0.001")
    payer.get_by_role("button", name="Continue to payment").click()
    expect(payer.get_by_role("alert")).to_have_text(
        "Only amounts from 0.01 USD to 1,000,000.00 USD can be paid here."
    )
    payer.get_by_label("10.00").check()
    expect(field).to_be_hidden()
    payer.get_by_label("Other", exact=True).check()
    expect(field).to_have_value("0.001")
    payer.get_by_label("10.00").check()
    payer.get_by_role("button", name="Continue to payment").click()
    expect(payer.locator("#order-title")).to_have_text(re.compile(r"10\.00"))


def test_one_tap_starts_again_after_the_time_is_over(payer: Page, gallery: Gallery) -> None:
    payer.goto(gallery.url("link-quantity", lang="de"))
    payer.get_by_label("Anzahl", exact=True).fill("4")
    payer.locator("#link-continue").click()
    expect(payer).to_have_url(re.compile("/pay/"))
    old = payer.url
    session_id = old.partition("/pay/")[2].partition("?")[0]
    gallery.run(set_state_of(gallery, session_id, SessionState.EXPIRED))
    payer.goto(old)
    payer.locator("#again button").click()
    expect(payer.locator("#order-title")).to_have_text(re.compile("100,00"))
    assert payer.url != old
    expect(payer.locator("html")).to_have_attribute("lang", "de")


MERCHANTS = {
    *("Spring catalogue", "Field guide to harbour birds", "Workshop ticket"),
    *("Paperback, 240 pages, with maps.", "We are counting stock. Back on Monday."),
}
"""What the merchant of the gallery wrote, in whatever language."""

PHRASE = re.compile(r"[A-Za-z]{2,},? [a-z]{2,}")


class Said(HTMLParser):
    """What a page says, by sight or aloud."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: set[str] = set()
        self.feed(re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        read_out = {"alt", "aria-label", "placeholder", "title"}
        self.texts |= {value for name, value in attrs if name in read_out and value}

    def handle_data(self, data: str) -> None:
        self.texts.add(" ".join(data.split()))


@pytest.mark.parametrize(
    "state",
    [
        *("link-quantity", "link-disabled", "link-none", "session-open-fee", "session-address"),
        *("session-underpaid", "session-cancelled", "session-settling", "receipt-refunded"),
    ],
)
def test_a_page_in_japanese_says_nothing_in_english(gallery: Gallery, state: str) -> None:
    english, japanese = (
        Said(httpx2.get(gallery.url(state, lang=tag), timeout=180).text).texts
        for tag in ("en", "ja")
    )
    assert len(japanese) > 2
    left = {text for text in english & japanese if PHRASE.search(text)} - MERCHANTS
    assert not {text for text in left if not text.startswith("Spring catalogue –")}


async def set_state_of(gallery: Gallery, session_id: str, state: SessionState) -> None:
    async with gallery.studio.db.begin() as tx:
        await tx.execute(
            "UPDATE sessions SET state = $2 WHERE session_id = $1", session_id, state.value
        )
