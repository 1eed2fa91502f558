"""The command ``./run shots``: pictures of every state of the payer's pages, for the guide, and of
every page of the merchant's console (``console_shots``).

Each on a phone and on a desktop, light and dark, and one from right to left; then the page that
shows them all.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from itertools import groupby, product
from pathlib import Path
from typing import Literal

import structlog
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, expect

from gstable_server.plumbing.embedded_postgres import temporary_postgres
from tests.browser.conftest import launched
from tests.browser.gallery import REMOTE, STATES, Gallery, State, opened
from tests.browser.office import Office, shown_places
from tests.browser.paper import installed
from tests.conftest import Databases

FOLDER = Path("docs/guide/checkout")
WIDTHS = {390: 844, 1440: 900}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
COLOURS = 48
"""Enough for pages that are nearly all text, and a tenth of the bytes."""
ALL_STATES = (*STATES, REMOTE)
RIGHT_TO_LEFT = ("session-settling", "ar")
TITLE = """# The payer's pages, state by state

Every state of link pages, payments and receipts, on a phone and on a desktop, light and dark. The
pictures are made by `./run shots`, which brings real sessions into each state by the product's own
operations (`tests/browser/gallery.py`).
"""


def name_of(state: State, width: int, scheme: str) -> str:
    """The file of one picture."""
    return f"{state.name}-{width}-{scheme}.webp"


def index() -> str:
    """The page that shows all pictures."""
    parts = [TITLE]
    for state in ALL_STATES:
        phone, desktop = (
            f'<a href="{name_of(state, width, "light")}">'
            f'<img src="{name_of(state, width, "light")}" width="{shown}"'
            f' alt="{state.name} at {width} px"></a>'
            for width, shown in ((390, 195), (1440, 560))
        )
        dark = " · ".join(
            f"[dark, {width} px]({name_of(state, width, 'dark')})" for width in WIDTHS
        )
        parts.append(f"## {state.name}\n\n{state.sentence} {dark}\n\n{phone} {desktop}\n")
    state_name, language = RIGHT_TO_LEFT
    picture = f"{state_name}-{language}.webp"
    parts.append(f"## From right to left\n\n`{state_name}` in Arabic.\n\n![{picture}]({picture})\n")
    return "\n".join(parts)


def small(shot: bytes) -> bytes:
    """The same picture in few bytes, without anything else in its file."""
    with Image.open(BytesIO(shot)) as whole:
        few = whole.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    kept = BytesIO()
    few.convert("RGB").save(kept, "WEBP", lossless=True, quality=80, method=4)
    return kept.getvalue()


@contextmanager
def _window(
    browser: Browser, gallery: Gallery, width: int, scheme: str, has_wallet: bool
) -> Iterator[BrowserContext]:
    context = browser.new_context(
        viewport={"width": width, "height": WIDTHS[width]},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        has_touch=width < 500,
        is_mobile=width < 500,
    )
    try:
        if has_wallet:
            installed(context, gallery.studio.merchant.desk.networks)
        yield context
    finally:
        context.close()


def take(window: BrowserContext, gallery: Gallery, state: State, **query: str) -> bytes:
    """A picture of all of a page in that state."""
    page = window.new_page()
    page.goto(gallery.url(state.name, **query))
    expect(page.locator("main")).to_be_visible()
    page.wait_for_load_state("load")
    if state.act is not None:
        state.act(page)
    # Nobody's pointer or cursor is on the picture.
    page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
    # Behind what is asked for in a window of its own, the page's end is not to be seen.
    is_whole = page.locator("dialog[open]").count() == 0
    shot = page.screenshot(full_page=is_whole, animations="disabled")
    page.close()
    return shot


Wanted = tuple[State, int, str]


def _window_of(one: Wanted) -> tuple[int, str, bool]:
    state, width, scheme = one
    return width, scheme, state.act is not None


def shoot(gallery: Gallery, folder: Path, wanted: list[Wanted]) -> list[int]:
    """Every picture of ``wanted``, and the one from right to left; returns how many bytes each
    has."""
    sizes: list[int] = []

    def keep(name: str, shot: bytes) -> None:
        content = small(shot)
        sizes.append(len(content))
        (folder / name).write_bytes(content)

    # Few windows for many pages, which then share what they load.
    with launched() as browser:
        for (width, scheme, has_wallet), group in groupby(
            sorted(wanted, key=_window_of), _window_of
        ):
            with _window(browser, gallery, width, scheme, has_wallet) as window:
                for state, _, _ in group:
                    keep(name_of(state, width, scheme), take(window, gallery, state))
        state_name, language = RIGHT_TO_LEFT
        state = gallery.state(state_name)
        with _window(browser, gallery, 390, "light", False) as window:
            keep(f"{state_name}-{language}.webp", take(window, gallery, state, lang=language))
    return sizes


def _shoot_console(chosen: argparse.Namespace) -> None:
    """The pages of the merchant's console, which have their own folder."""
    from tests.browser import console_shots as console

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    folder = console.FOLDER if chosen.to == FOLDER else chosen.to / "console"
    widths = [chosen.width] if chosen.width else list(WIDTHS)
    schemes = [chosen.scheme] if chosen.scheme else list(SCHEMES)
    with (
        temporary_postgres() as server,
        closing(Databases(server.url)) as databases,
        opened(databases.take(), "localhost") as gallery,
        launched() as browser,
    ):
        sizes = console.shoot(browser, gallery, folder, set(chosen.states), widths, schemes)
        names = console.names([path for path, _ in shown_places(Office.nobodys_guard())])
    if folder == console.FOLDER:
        (folder / "README.md").write_text(console.index(names))
    print(f"{len(sizes)} pictures, {sum(sizes) / 1e6:.2f} MB: {folder}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run shots", description=__doc__)
    parser.add_argument("states", nargs="*", help="their names; all without")
    parser.add_argument("--console", action="store_true", help="the console's pages only")
    parser.add_argument("--width", type=int, choices=WIDTHS, help="that one only")
    parser.add_argument("--scheme", choices=SCHEMES, help="that one only")
    parser.add_argument(
        "--to", type=Path, default=FOLDER, help="the folder, by default the guide's"
    )
    chosen = parser.parse_args()
    if chosen.console or not chosen.states:
        _shoot_console(chosen)
    if chosen.console:
        return 0
    known = {state.name: state for state in ALL_STATES}
    if unknown := [name for name in chosen.states if name not in known]:
        parser.error(f"no state {', '.join(unknown)}: one of {', '.join(known)}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    chosen.to.mkdir(parents=True, exist_ok=True)
    began, states = time.monotonic(), [known[name] for name in chosen.states] or list(ALL_STATES)
    widths = [chosen.width] if chosen.width else list(WIDTHS)
    schemes = [chosen.scheme] if chosen.scheme else list(SCHEMES)
    sizes = []
    with temporary_postgres() as server, closing(Databases(server.url)) as databases:
        for has_relay in (False, True):
            wanted = [one for one in states if (one is REMOTE) is has_relay]
            if wanted:
                with opened(databases.take(), has_relay=has_relay) as gallery:
                    sizes += shoot(gallery, chosen.to, list(product(wanted, widths, schemes)))
                databases.give_back()
    if chosen.to == FOLDER:
        (chosen.to / "README.md").write_text(index())
    seconds, megabytes = time.monotonic() - began, sum(sizes) / 1e6
    print(f"{len(sizes)} pictures, {megabytes:.2f} MB, {seconds:.0f} s: {chosen.to}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
