"""What the first view of the payer's pages may cost a phone, by what does not depend on how busy
the machine is that the tests run on: bytes and round trips are counted, and the processor's time is
that of the page's own thread. ``./run bench lighthouse`` measures by the clock."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, ViewportSize, expect

from tests.browser.gallery import Gallery
from tests.browser.paper import NAME, installed

pytestmark = [pytest.mark.browser]

PHONE: ViewportSize = {"width": 390, "height": 844}
MOST_BYTES = 35_000
"""The aim; 60 kB are the limit."""
MOST_SCRIPT_BYTES = 20_000
MOST_REQUESTS = 8
MOST_SHIFT = 0.01
# What Lighthouse calls slow 4G; the first flight of TCP is ten packets (RFC 6928).
ROUND_TRIP_MS = 150
BYTES_PER_MS = 1_638.4 / 8
FIRST_FLIGHT = 14_600
MOST_PAINT_MS = 1_200
"""The largest paint on slow 4G, with a processor that is four times slower than this one."""
SLOWER = 4
TRIES = 5
FIRST_VIEWS = ["link-fixed", "link-custom", "session-open", "session-completed", "receipt"]


@dataclass
class Loaded:
    """What a page asked for: by request, with the bytes that came, head and packed body."""

    requests: dict[str, dict[str, Any]] = field(default_factory=dict)

    def hear(self, context: BrowserContext, page: Page) -> None:
        devtools = context.new_cdp_session(page)
        devtools.on("Network.requestWillBeSent", self._asked)
        devtools.on("Network.dataReceived", self._came)
        devtools.on("Network.responseReceived", self._answered)
        devtools.on("Network.loadingFinished", self._ended)
        devtools.send("Network.enable")

    def _asked(self, event: dict[str, Any]) -> None:
        request = event["request"]
        if not request["url"].startswith("data:"):
            blocks = event.get("renderBlockingBehavior", request.get("renderBlockingBehavior", ""))
            self.requests[event["requestId"]] = {
                "url": request["url"],
                "type": event["type"],
                "blocks": blocks,
                "named_by": event["initiator"].get("url", ""),
                "bytes": 0,
            }

    def _of(self, event: dict[str, Any]) -> dict[str, Any]:
        return self.requests.get(event["requestId"], {"bytes": 0})

    def _answered(self, event: dict[str, Any]) -> None:
        self._of(event)["headers"] = {
            name.lower(): value for name, value in event["response"]["headers"].items()
        }
        self._of(event)["bytes"] += event["response"]["encodedDataLength"]

    def _came(self, event: dict[str, Any]) -> None:
        self._of(event)["bytes"] += event["encodedDataLength"]

    def _ended(self, event: dict[str, Any]) -> None:
        self._of(event)["bytes"] = event["encodedDataLength"]

    @property
    def all(self) -> list[dict[str, Any]]:
        return list(self.requests.values())

    def of_type(self, name: str) -> list[dict[str, Any]]:
        return [one for one in self.all if one["type"] == name]

    @property
    def bytes(self) -> int:
        return sum(one["bytes"] for one in self.all)


@pytest.fixture
def window(chromium: Browser, gallery: Gallery) -> Iterator[BrowserContext]:
    """Nothing is kept from a page before."""
    context = chromium.new_context(viewport=PHONE)
    yield context
    context.close()


def load(window: BrowserContext, url: str) -> tuple[Page, Loaded]:
    page, loaded = window.new_page(), Loaded()
    loaded.hear(window, page)
    page.goto(url)
    if page.locator("#pay").count():
        # All that the page does by itself was begun when its script ran.
        expect(page.locator("#script-failed")).to_be_hidden()
    return page, loaded


def wire_ms(loaded: Loaded) -> float:
    """How long the network alone holds up the first paint: a connection (TCP and TLS), the page,
    then together the sheets that it names, then those that a sheet names. Rendering waits for
    nothing else."""
    [document] = loaded.of_type("Document")
    sheets = {one["url"]: one for one in loaded.of_type("Stylesheet")}
    assert {one["url"] for one in loaded.all if one["blocks"] == "Blocking"} <= set(sheets)

    def depth(sheet: dict[str, Any]) -> int:
        named_by = sheets.get(sheet["named_by"])
        return 1 if named_by is None else 1 + depth(named_by)

    flights = 1 + sum(document["bytes"] > FIRST_FLIGHT * n for n in (1, 3, 7))
    trips = 2 + flights + max(map(depth, sheets.values()), default=0)
    size = int(sum(one["bytes"] for one in [document, *sheets.values()]))
    return trips * ROUND_TRIP_MS + size / BYTES_PER_MS


def paint_ms(window: BrowserContext, url: str) -> float:
    """When the largest paint is done at the latest, on a phone with slow 4G: after what the network
    takes, and all that the page's thread then does until it stands still, also what it could do
    while it waits. Its time is the thread's own, which stands still while others have the
    processor. The pages' answers are no part of it: they come in a few milliseconds."""
    page, loaded = window.new_page(), Loaded()
    loaded.hear(window, page)
    devtools = window.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def worked_ms() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return 1_000 * float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))

    before = worked_ms()
    page.goto(url)
    page.evaluate(_PAINTED)
    worked = worked_ms() - before
    page.close()
    return float(wire_ms(loaded) + SLOWER * worked)


@pytest.mark.parametrize("name", FIRST_VIEWS)
def test_a_first_view_keeps_to_its_budget(
    window: BrowserContext, gallery: Gallery, name: str
) -> None:
    _, loaded = load(window, gallery.url(name))
    scripts = [*loaded.of_type("Script"), *(one for one in loaded.all if ".js" in one["url"])]
    assert len(loaded.all) <= MOST_REQUESTS
    assert {urlsplit(one["url"]).netloc for one in loaded.all} == {
        urlsplit(gallery.base_url).netloc
    }
    assert loaded.bytes <= MOST_BYTES
    assert sum({one["url"]: one["bytes"] for one in scripts}.values()) <= MOST_SCRIPT_BYTES
    [document] = loaded.of_type("Document")
    assert document["headers"]["cache-control"] == "no-store"
    for one in [document, *loaded.of_type("Stylesheet"), *scripts]:
        assert one["headers"]["content-encoding"] == "gzip"
        assert one["headers"]["vary"] == "accept-encoding"
        if one is not document:
            assert "immutable" in one["headers"]["cache-control"]


@pytest.mark.parametrize("language", ["hi", "ru", "ar"])
def test_a_first_view_in_other_writings_stays_small(
    window: BrowserContext, gallery: Gallery, language: str
) -> None:
    _, loaded = load(window, gallery.url("session-open", lang=language))
    assert loaded.bytes <= MOST_BYTES


def best_paint_ms(chromium: Browser, url: str) -> float:
    """The least of some tries, each with nothing kept from before: what else the processor did may
    cost the page's thread something too. The first one within the budget is enough."""
    tries: list[float] = []
    while len(tries) < TRIES and not any(one <= MOST_PAINT_MS for one in tries):
        with chromium.new_context(viewport=PHONE) as window:
            tries.append(paint_ms(window, url))
    return min(tries)


@pytest.mark.parametrize(
    ("name", "language"), [*((name, "en") for name in FIRST_VIEWS), ("session-open", "hi")]
)
def test_the_largest_paint_keeps_to_its_budget(
    chromium: Browser, gallery: Gallery, name: str, language: str
) -> None:
    assert best_paint_ms(chromium, gallery.url(name, lang=language)) <= MOST_PAINT_MS


def _late_sheets(page: Page) -> None:
    """Each sheet names another one, and that one a third."""

    def answer(route: Route) -> None:
        url = route.request.url.partition("?")[0]
        more = route.request.url.count("+")
        body = f'@import "{url}?{"+" * (more + 1)}";' if more < 4 else ""
        route.fulfill(body=body, content_type="text/css")

    page.route("**/static/*.css*", answer)
    _drop_integrity(page)


def _fat_sheets(page: Page) -> None:
    filler = f"/*{secrets.token_hex(60_000)}*/"
    page.route("**/static/*.css", lambda route: route.fulfill(body=filler, content_type="text/css"))
    _drop_integrity(page)


def _drop_integrity(page: Page) -> None:
    def answer(route: Route) -> None:
        fetched = route.fetch()
        body = re.sub(r' integrity="[^"]*"', "", fetched.text())
        route.fulfill(response=fetched, body=body)

    page.route("**/pay/sess_*", answer)


def _busy_script(page: Page) -> None:
    # By work, not by the clock: beside others there may be little of it in a second.
    page.add_init_script("for (let i = 0, x = 1; i < 6e7; i += 1) x = (x * 48271) % 2147483647;")


@pytest.mark.parametrize("spoil", [_late_sheets, _fat_sheets, _busy_script])
def test_a_page_that_keeps_a_payer_waiting_is_found_out(
    window: BrowserContext, gallery: Gallery, spoil: Callable[[Page], None]
) -> None:
    window.on("page", spoil)
    assert paint_ms(window, gallery.url("session-open")) > MOST_PAINT_MS


def test_what_was_loaded_once_is_not_asked_for_again(
    window: BrowserContext, gallery: Gallery
) -> None:
    url = gallery.url("session-open")
    load(window, url)
    _, again = load(window, url)
    assert [
        one for one in again.all if one["type"] in {"Script", "Stylesheet"} and one["bytes"]
    ] == []


_OBSERVE = """
window.__shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.__shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
window.__paint = [];
new PerformanceObserver((list) => {
  for (const { element, url } of list.getEntries()) {
    window.__paint.push([element ? element.tagName : "", url]);
  }
}).observe({ type: "largest-contentful-paint", buffered: true });
"""
_FIRST_PAINT = """() => new Promise((done) => {
  new PerformanceObserver(done).observe({ type: "largest-contentful-paint", buffered: true });
})"""
_PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.mark.parametrize(
    ("name", "has_wallet"),
    [
        ("link-custom", False),
        ("session-open", False),
        ("session-open", True),
        ("session-confirming", False),
        ("session-completed", False),
    ],
)
def test_nothing_moves_when_the_script_comes_after_the_first_paint(
    window: BrowserContext, gallery: Gallery, name: str, has_wallet: bool
) -> None:
    if has_wallet:
        installed(window, gallery.studio.merchant.desk.networks)
    window.add_init_script(_OBSERVE)
    page = window.new_page()
    held: list[Route] = []
    is_held = True  # what is asked for later comes at once
    page.route("**/static/*.js", lambda route: held.append(route) if is_held else route.continue_())
    page.goto(gallery.url(name), wait_until="commit")
    page.evaluate(_FIRST_PAINT)
    # The largest thing to be seen is a text of the page itself: nothing has to come for it.
    assert {url for _, url in page.evaluate("window.__paint")} == {""}
    for route in held:
        route.continue_()
    is_held = False
    page.wait_for_load_state("load")
    if has_wallet:
        expect(page.get_by_role("button", name=NAME)).to_be_visible()
        expect(page.locator(".enough").first).to_be_visible()
    page.evaluate(_PAINTED)
    assert page.evaluate("window.__shift") <= MOST_SHIFT
