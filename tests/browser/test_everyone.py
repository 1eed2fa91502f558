"""The payer's pages for everyone: by keys, by ear, on the smallest phone, in any language, with
large text, without colours, without motion and without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from gstable_server.kernel.ids import SessionId
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.model import Session
from tests.browser.conftest import until
from tests.browser.gallery import STATES, Gallery, State
from tests.browser.paper import NAME, hold, installed, release
from tests.browser.reading import faults, heard, listen

pytestmark = [pytest.mark.browser]

NARROW = {"width": 320, "height": 640}
WIDE = {"width": 1440, "height": 900}
LONG_WORDS = ("de", "ar", "hi")
every_state = pytest.mark.parametrize("state", STATES, ids=[state.name for state in STATES])


@pytest.fixture(scope="module")
def bare(chromium: Browser) -> Iterator[Page]:
    """A window without a wallet."""
    context = chromium.new_context(viewport=NARROW)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def with_wallet(chromium: Browser, gallery: Gallery) -> Iterator[Page]:
    context = chromium.new_context(viewport=NARROW)
    installed(context, gallery.studio.merchant.desk.networks)
    yield context.new_page()
    context.close()


@pytest.fixture
def window(chromium: Browser, gallery: Gallery) -> Iterator[BrowserContext]:
    """One of its own, with a wallet, in which everything that is said is noted."""
    context = chromium.new_context(viewport=NARROW)
    installed(context, gallery.studio.merchant.desk.networks)
    listen(context)
    yield context
    context.close()


def show(page: Page, gallery: Gallery, state: State, language: str) -> None:
    page.goto(gallery.url(state.name, lang=language))
    if state.act is not None:
        state.act(page)


def is_too_wide(page: Page) -> bool:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width > page.evaluate("innerWidth")


def session_of(page: Page, gallery: Gallery) -> Session:
    found = re.search(r"/pay/(sess_\w+)", page.url)
    assert found is not None

    async def read() -> Session:
        async with gallery.studio.db.read() as tx:
            return (await sessions.view(tx, SessionId(found.group(1)))).session

    return gallery.run(read())


@every_state
def test_chk_12_every_state_is_without_fault_for_axe(
    bare: Page, with_wallet: Page, gallery: Gallery, state: State
) -> None:
    page = with_wallet if state.act else bare
    page.set_viewport_size(NARROW)
    page.emulate_media(color_scheme="light")
    show(page, gallery, state, "en")
    assert faults(page) == []
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="dark")
    assert faults(page) == []
    page.emulate_media(color_scheme="light")
    # Not a page in Arabic: what a payer did for this state would be gone on a new one.
    page.evaluate("document.dir = 'rtl'")
    assert faults(page) == []
    assert not is_too_wide(page)


@pytest.fixture(scope="module")
def scriptless(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport=NARROW, java_script_enabled=False)
    yield context.new_page()
    context.close()


@every_state
def test_chk_12_no_state_scrolls_sideways_in_any_writing_or_with_large_text(
    scriptless: Page, gallery: Gallery, state: State
) -> None:
    # The languages take turns: what they have to fit in are the same few boxes in all states.
    language = LONG_WORDS[STATES.index(state) % len(LONG_WORDS)]
    scriptless.goto(gallery.url(state.name, lang=language))
    assert not is_too_wide(scriptless)
    # As readers set it in their browser: everything is measured in the size of the text.
    scriptless.evaluate("document.documentElement.style.fontSize = '200%'")
    assert not is_too_wide(scriptless)


@pytest.mark.parametrize("name", ["link-custom", "session-review", "session-address", "receipt"])
def test_chk_12_pages_from_right_to_left_are_without_fault_for_axe(
    with_wallet: Page, gallery: Gallery, name: str
) -> None:
    with_wallet.set_viewport_size(NARROW)
    with_wallet.emulate_media(color_scheme="dark")
    show(with_wallet, gallery, gallery.state(name), "ar")
    assert with_wallet.evaluate("document.dir") == "rtl"
    assert faults(with_wallet) == []
    assert not is_too_wide(with_wallet)


# --- by keys --------------------------------------------------------------------------------------

_FOCUSED = """
() => {
  const one = document.activeElement;
  const shown = one.matches(".tab") ? one.nextElementSibling : one.closest(".pick, .choice") ?? one;
  const { outlineStyle, outlineWidth } = getComputedStyle(shown);
  const box = shown.getBoundingClientRect();
  const isSeen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2
    && box.width > 0 && box.height > 0 && box.top < innerHeight && box.bottom > 0;
  return [one.tagName, one.id || one.name || one.innerText, isSeen];
}
"""


def focused(page: Page) -> str:
    """What has the focus, which must be to be seen; nothing at the page's end."""
    tag, name, is_seen = page.evaluate(_FOCUSED)
    if tag == "BODY":
        return ""
    assert is_seen, f"the focus on {name} is not to be seen"
    return str(name).strip()


def tab_to(page: Page, name: str, most: int = 40) -> None:
    """Press the key until the focus is on ``name``."""
    seen = []
    for _ in range(most):
        page.keyboard.press("Tab")
        seen.append(focused(page))
        if seen[-1] == name:
            return
    raise AssertionError(f"{name} is not reached, only {seen}")


def test_a_payment_is_made_by_keys_alone(window: BrowserContext, gallery: Gallery) -> None:
    page = window.new_page()
    page.goto(gallery.url("link-custom"))
    tab_to(page, "pick")
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    tab_to(page, "link-continue")
    page.keyboard.press("Enter")
    page.wait_for_url("**/pay/**")
    expect(page.get_by_role("button", name=NAME)).to_be_visible()
    tab_to(page, NAME)
    page.keyboard.press("Enter")
    expect(page.locator("#review-title")).to_be_focused()
    tab_to(page, "confirm")
    page.keyboard.press("Enter")
    expect(page.locator("#sent-text")).to_be_visible()
    expect(page.locator("#headline")).to_be_focused()
    gallery.run(gallery.studio.paid(session_of(page, gallery)))
    expect(page.locator("#headline")).to_have_text("Payment complete")
    expect(page.locator("#headline")).to_be_focused()
    tab_to(page, "receipt-page")
    page.keyboard.press("Enter")
    page.wait_for_url("**/receipt/**")


def test_keys_lead_through_the_page_in_its_order_and_out_of_it(
    window: BrowserContext, gallery: Gallery
) -> None:
    page = window.new_page()
    for name in ("link-quantity", "session-address", "session-expired-link"):
        page.goto(gallery.url(name))
        order = []
        for _ in range(60):
            page.keyboard.press("Tab")
            if not focused(page):
                break
            order.append(page.evaluate("[...document.all].indexOf(document.activeElement)"))
        else:
            raise AssertionError(f"{name}: the keyboard does not get out of the page")
        assert order == sorted(order)
        assert len(order) >= 2


# --- by ear ---------------------------------------------------------------------------------------


def test_a_screen_reader_says_each_change_once(window: BrowserContext, gallery: Gallery) -> None:
    page = window.new_page()
    page.goto(gallery.url("session-open"))
    expect(page.get_by_role("button", name=NAME)).to_be_visible()
    assert heard(page) == []
    page.get_by_role("button", name=NAME).click()
    expect(page.locator("#review")).to_be_visible()
    hold(page)
    page.locator("#confirm").click()
    expect(page.locator("#working")).to_have_text(re.compile("Sign in your wallet"))
    release(page)
    expect(page.locator("#sent-text")).to_be_visible()
    session = session_of(page, gallery)
    log = gallery.run(gallery.studio.payment(session))
    gallery.run(gallery.studio.hear(("seen", log)))
    expect(page.locator("#headline")).not_to_have_text("Waiting for your payment")
    gallery.run(gallery.studio.hear(("final", log)))
    expect(page.locator("#headline")).to_have_text("Payment complete")
    until(page, lambda: heard(page)[-1].startswith("Payment complete"))
    said = heard(page)
    assert len(said) == len(set(said))
    steps = [
        "Open your wallet",
        "Sign in your wallet",
        "Waiting for the network",
        "Payment complete",
    ]
    found = [one for step in steps for one in said if step in one]
    assert len(found) == len(steps)
    assert found == sorted(found, key=said.index)
    assert said[-1].startswith("Payment complete")


def test_live_regions_are_in_the_accessibility_tree_before_they_say_anything(
    window: BrowserContext, gallery: Gallery
) -> None:
    page = window.new_page()
    page.goto(gallery.url("session-open"))
    devtools = window.new_cdp_session(page)
    devtools.send("Accessibility.enable")
    document = devtools.send("DOM.getDocument")["root"]["nodeId"]
    found = devtools.send("Accessibility.queryAXTree", {"nodeId": document, "role": "status"})
    assert len([node for node in found["nodes"] if not node["ignored"]]) == 4
    # A wallet that declines is an alert, which is read out when it comes.
    page.evaluate("document.getElementById('problem').hidden = false")
    found = devtools.send("Accessibility.queryAXTree", {"nodeId": document, "role": "alert"})
    assert len(found["nodes"]) == 1


# --- as the system is set -------------------------------------------------------------------------


def test_nothing_turns_or_slides_for_who_asked_for_less_motion(
    window: BrowserContext, gallery: Gallery
) -> None:
    page = window.new_page()
    show(page, gallery, gallery.state("session-signing"), "en")
    moving = """() => document.getAnimations().filter((one) => one.playState === "running"
        && one.animationName !== "late" && one.effect.getComputedTiming().endTime > 1).length"""
    until(page, lambda: bool(page.evaluate(moving) == 1))
    page.emulate_media(reduced_motion="reduce")
    until(page, lambda: bool(page.evaluate(moving) == 0))


def test_codes_and_choices_keep_what_they_say_without_the_pages_colours(
    window: BrowserContext, gallery: Gallery
) -> None:
    page = window.new_page()
    page.emulate_media(forced_colors="active", color_scheme="dark")
    look = "(one) => { const s = getComputedStyle(one); return [s.backgroundColor, s.color]; }"
    page.goto(gallery.url("session-address"))
    for code in page.locator(".qr").all():
        assert code.evaluate(look)[0] == "rgb(255, 255, 255)"
    address, uri = page.locator(".tab-label").all()
    assert address.evaluate(look) != uri.evaluate(look)
    page.goto(gallery.url("link-custom"))
    picks = page.locator(".pick").all()
    picks[0].click()
    assert picks[0].evaluate(look) != picks[1].evaluate(look)


# --- without a script -----------------------------------------------------------------------------


def test_chk_12_without_a_script_an_amount_leads_to_an_address_and_the_status_is_renewed(
    scriptless: Page, gallery: Gallery
) -> None:
    page = scriptless
    page.goto(gallery.url("link-custom", lang="en"))
    page.get_by_label("Other", exact=True).check()
    page.get_by_label("Other amount").fill("seven")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#amount-help")).to_have_text(re.compile("figures"))
    page.get_by_label("Other amount").fill("7.30")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#order-title")).to_have_text(re.compile(r"7\.30"))
    assert page.locator("meta[http-equiv=refresh]").count() == 0
    page.get_by_label("Token and network").select_option("base::usdc")
    page.get_by_role("button", name="Show the address").click()
    expect(page.locator("#deposit-address")).to_have_text(re.compile("^0x[0-9a-fA-F]{40}$"))
    expect(page.locator("#deposit-amount")).to_have_text("7.30")
    expect(page.get_by_role("img", name="QR code of the address")).to_be_visible()
    session = session_of(page, gallery)
    gallery.run(gallery.studio.arrive(session, "base::usdc", 7_300_000))
    page.reload()
    expect(page.locator("#headline")).to_have_text("Your transfer has arrived")
    assert page.locator("meta[http-equiv=refresh]").get_attribute("content") == "10"


def test_chk_12_without_a_script_a_link_asks_for_the_e_mail_address(
    scriptless: Page, gallery: Gallery
) -> None:
    page = scriptless
    page.goto(gallery.url("link-email", lang="en"))
    page.get_by_label("Your e-mail").fill("reader@example.com")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#headline")).to_have_text("Waiting for your payment")
    assert session_of(page, gallery).payer_email == "reader@example.com"
