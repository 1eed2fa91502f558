"""The payer's page in a modal of a merchant's site of another origin, with and without leave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, Route, expect

from tests.browser.conftest import Seller, until
from tests.browser.wallet import choose_wallet
from tests.running import Running

pytestmark = [pytest.mark.browser, pytest.mark.anvil]

THANKS = "https://shop.example.com/thanks"


class Site:
    """A merchant's own site: one page, on a port of its own and so of an origin of its own."""

    def __init__(self) -> None:
        self.body = b""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805 - http.server's name; self is the site
                handler.send_response(200)
                handler.send_header("content-type", "text/html")
                handler.end_headers()
                handler.wfile.write(self.body)

            def log_message(handler, *_: object) -> None: ...  # noqa: N805

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def show(self, page: Page, running: Running, url: str) -> list[list[str]]:
        """Open its page. Returns what the button tells, which is kept when the page is left, and as
        ``heard`` every message that its page got, of whatever type and from wherever."""
        told: list[list[str]] = []
        page.expose_function("note", lambda name, session_id: told.append([name, session_id]))
        self.body = f"""<!doctype html><title>Shop</title><h1>Shop</h1>
            <script type="module" src="{running.base_url}/embed/v1/gstable.js"></script>
            <script>for (const name of ["opened", "paid", "closed"])
              addEventListener("gstable:" + name, ({{detail}}) =>
                note(name, detail.sessionId ?? ""));
              addEventListener("message", ({{data}}) => data.test && note("heard", data.type));
            </script>
            <gstable-button link="{url}">Pay here</gstable-button>
            <a data-gstable href="{url}">Pay by link</a>""".encode()
        page.goto(f"{self.origin}/cart")
        return told


@pytest.fixture(scope="module")
def sites() -> Iterator[tuple[Site, Site]]:
    """A shop, and another site."""
    made = Site(), Site()
    yield made
    for site in made:
        site.server.shutdown()
        site.server.server_close()


@pytest.fixture(scope="module")
def shop(chromium: Browser, running: Running, sites: tuple[Site, Site]) -> Iterator[Site]:
    """The shop, which the demo merchant lists, by the dashboard."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(running.about["dashboardUrl"])
    page.get_by_label("E-mail").fill(running.about["dashboardEmail"])
    page.get_by_label("Password").fill(running.about["dashboardPassword"])
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()

    def save(origins: str) -> None:
        page.goto(f"{running.base_url}/dashboard/test/branding")
        page.locator("#frameOrigins").fill(origins)
        with page.expect_navigation():
            page.get_by_role("button", name="Save").click()
        page.goto(f"{running.base_url}/dashboard/test/branding")
        expect(page.locator("#frameOrigins")).to_have_value(origins)

    save(sites[0].origin)
    yield sites[0]
    save("")
    context.close()


def modal(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


def see_into(page: Page) -> None:
    """The modal's shadow root is closed; the test must look inside."""
    page.add_init_script(
        "const attach = Element.prototype.attachShadow;"
        "Element.prototype.attachShadow = function () { return attach.call(this, {mode: 'open'}); }"
    )


def test_chk_02_a_listed_shop_shows_the_page_and_hears_of_the_payment(
    page: Page, seller: Seller, running: Running, shop: Site
) -> None:
    see_into(page)
    session_id, url = seller.session(success_url=THANKS)
    told = shop.show(page, running, url)
    page.get_by_role("button", name="Pay here").click()
    expect(modal(page).locator("#headline")).to_have_text("Waiting for your payment")
    assert page.evaluate("document.documentElement.style.overflow") == "hidden"
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    # The dialog tells of its closing a moment after it is gone.
    until(page, lambda: page.evaluate("document.documentElement.style.overflow") == "")
    page.get_by_role("link", name="Pay by link").click()
    page.evaluate(
        f"postMessage({{gstable: 1, type: 'paid', session: 'x', url: ''}}, '{shop.origin}')"
    )
    choose_wallet(modal(page))  # type: ignore[arg-type]
    arrived: list[str] = []

    def thanks(route: Route) -> None:
        arrived.append(route.request.url)
        route.fulfill(body="Thanks", content_type="text/html")

    page.route(f"{THANKS}**", thanks)
    modal(page).locator("#confirm").click()
    page.wait_for_url(f"{THANKS}**")  # the whole window, not the frame
    assert arrived
    until(page, lambda: len(told) >= 4)
    assert told == [["opened", ""], ["closed", ""], ["opened", ""], ["paid", session_id]]


@pytest.mark.usefixtures("shop")
def test_chk_02_any_other_site_is_refused_and_the_payer_goes_to_the_page(
    context: BrowserContext, seller: Seller, running: Running, sites: tuple[Site, Site]
) -> None:
    page = context.new_page()  # not the one that may break no policy: this breaks one
    _, url = seller.session()
    sites[1].show(page, running, url)
    page.get_by_role("button", name="Pay here").click()
    page.wait_for_url(url)
    expect(page.locator("#headline")).to_have_text("Waiting for your payment")


def test_chk_02_the_script_opens_pages_of_its_own_server_only(
    page: Page, running: Running, sites: tuple[Site, Site]
) -> None:
    told = sites[0].show(page, running, "https://pay.example.com/link/link_x")
    page.get_by_role("button", name="Pay here").click()
    assert page.locator("iframe").count() == 0
    assert told == []


def test_chk_02_messages_of_other_origins_and_windows_are_ignored(
    page: Page, seller: Seller, running: Running, shop: Site, sites: tuple[Site, Site]
) -> None:
    see_into(page)
    _, url = seller.session()
    told = shop.show(page, running, url)
    page.get_by_role("button", name="Pay here").click()
    expect(modal(page).locator("#headline")).to_have_text("Waiting for your payment")
    said = "{gstable: 1, type, session: 'x', url: 'https://evil.example/', test: 1}"

    def heard(count: int) -> None:
        page.wait_for_function("count => window.told >= count", arg=count)

    page.evaluate(
        "window.told = 0; addEventListener('message', ({data}) => window.told += data.test ? 1 : 0)"
    )
    types = ("paid", "close", "leave")
    # Another window of the right origin.
    _, other = seller.session()
    page.evaluate(
        "url => document.body.append(Object.assign(document.createElement('iframe'), {src: url}))",
        other,
    )
    frame = page.wait_for_selector(f"body > iframe[src='{other}']")
    stranger = frame.content_frame() if frame else None
    assert stranger is not None
    stranger.wait_for_load_state()
    for type_ in types:
        stranger.evaluate(f"type => parent.postMessage({said}, '*')", type_)
    heard(3)
    # The right window, which another site got hold of.
    sites[1].body = f"""<script>for (const type of {list(types)})
        parent.postMessage({said}, "*");</script>""".encode()
    page.evaluate(
        "url => document.querySelector('div').shadowRoot.querySelector('iframe').src = url",
        f"{sites[1].origin}/",
    )
    heard(6)
    expect(page.locator("dialog")).to_be_visible()
    assert page.url.startswith(shop.origin)
    assert [name for name, _ in told if name != "heard"] == ["opened"]


def test_a_closed_modal_holds_no_stream_and_opens_where_it_was(
    page: Page, seller: Seller, running: Running, shop: Site
) -> None:
    see_into(page)
    page.clock.install()
    told = shop.show(page, running, seller.link())
    page.get_by_role("button", name="Pay here").click()
    with page.expect_response("**/events*"):
        modal(page).get_by_role("button", name="Continue").click()
    expect(modal(page).locator("#headline")).to_have_text("Waiting for your payment")
    session_id = modal(page).locator("#pay").get_attribute("data-session")
    close = page.get_by_role("button", name="Close")
    close.click()
    # A payer who comes back soon finds the page as it was left.
    page.get_by_role("button", name="Pay here").click()
    page.clock.fast_forward(60_000)
    expect(modal(page).locator("#headline")).to_be_visible()
    close.click()
    page.clock.fast_forward(60_000)
    # With the frame its stream is gone.
    expect(page.locator("iframe")).to_have_count(0)
    page.get_by_role("button", name="Pay here").click()
    expect(modal(page).locator("#pay")).to_have_attribute("data-session", str(session_id))
    until(page, lambda: len(told) >= 5)
    assert [name for name, _ in told] == ["opened", "closed", "opened", "closed", "opened"]


def test_help_opens_beside_the_shop_and_other_links_take_the_whole_window(
    page: Page, seller: Seller, running: Running, shop: Site
) -> None:
    see_into(page)
    _, url = seller.session()
    shop.show(page, running, url)
    page.get_by_role("button", name="Pay here").click()
    expect(modal(page).locator("#headline")).to_have_text("Waiting for your payment")
    inside = page.frames[-1]
    targets = inside.evaluate(
        """() => [["https://books.example/help", "_blank"], ["https://wallet.example/", ""],
            ["mailto:help@books.example", ""], ["/receipt/x", "_blank"]].map(([href, target]) => {
          const link = Object.assign(document.createElement("a"), {href, target});
          document.body.append(link);
          link.addEventListener("click", (event) => event.preventDefault());
          link.click();
          return link.target;
        })"""
    )
    assert targets == ["_blank", "_top", "_top", "_blank"]
