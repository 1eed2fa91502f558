"""Pictures of every page of the merchant's console, for the guide: a part of ``./run shots``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, expect

from gstable_server.kernel.roles import Action
from tests.browser import condition
from tests.browser.gallery import Gallery
from tests.browser.office import SETUP, Office, Shown, name_of
from tests.browser.shots import SCHEMES, WIDTHS, small

FOLDER = Path("docs/guide/console")
HEIGHT_MAX = 6_000
SETUP_NAME = name_of(SETUP)
TROUBLES = Shown("health-troubles", "/dashboard/test/health", Action.HEALTH_READ)
"""The same page once more, when not all is well."""
TITLE = """# The console, page by page

Every page of the merchant's console, on a phone and on a desktop, light and dark. The pictures are
made by `./run shots`, which opens a business by the product's own operations
(`tests/browser/office.py`) and goes through the console's own table of places.
"""


def picture_of(name: str, width: int, scheme: str) -> str:
    """The file of one picture."""
    return f"{name}-{width}-{scheme}.webp"


def index(names: Iterable[str]) -> str:
    """The page that shows all pictures."""
    parts = [TITLE]
    for name in names:
        phone, desktop = (
            f'<a href="{picture_of(name, width, "light")}">'
            f'<img src="{picture_of(name, width, "light")}" width="{shown}"'
            f' alt="{name} at {width} px"></a>'
            for width, shown in ((390, 195), (1440, 560))
        )
        dark = " · ".join(
            f"[dark, {width} px]({picture_of(name, width, 'dark')})" for width in WIDTHS
        )
        parts.append(f"## {name}\n\n{dark}\n\n{phone} {desktop}\n")
    return "\n".join(parts)


def shoot(
    browser: Browser,
    gallery: Gallery,
    folder: Path,
    names: set[str],
    widths: Iterable[int],
    schemes: Iterable[str],
) -> list[int]:
    """Every page, or those of ``names``; returns how many bytes each picture has. The gallery has
    nobody signed up yet: that is the first picture."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = [(width, scheme) for width in widths for scheme in schemes]
    first = Shown(SETUP_NAME, SETUP, None)
    opening = [first] if not names or first.name in names else []
    sizes = _round(browser, gallery, None, folder, kinds, opening)
    office = Office.open(gallery)
    wanted = [one for one in office.pages() if not names or one.name in names]
    sizes += _round(browser, gallery, office, folder, kinds, wanted)
    if names and TROUBLES.name not in names:
        return sizes
    gallery.run(condition.troubles(gallery.studio))
    return sizes + _round(browser, gallery, office, folder, kinds, [TROUBLES])


def _round(
    browser: Browser,
    gallery: Gallery,
    office: Office | None,
    folder: Path,
    kinds: list[tuple[int, str]],
    wanted: list[Shown],
) -> list[int]:
    sizes = []
    for width, scheme in kinds:
        window = browser.new_context(
            viewport={"width": width, "height": WIDTHS[width]},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
            has_touch=width < 500,
            is_mobile=width < 500,
        )
        for one in wanted:
            if office is not None:
                window.clear_cookies()
                office.let_in(window, one)
            content = small(_take(window, gallery.base_url + one.path, width))
            sizes.append(len(content))
            (folder / picture_of(one.name, width, scheme)).write_bytes(content)
        window.close()
    return sizes


def _take(window: BrowserContext, url: str, width: int) -> bytes:
    """A picture of all of a page; what stays at the foot of the window is at the page's foot."""
    page = window.new_page()
    page.goto(url)
    expect(page.locator("main")).to_be_visible()
    height = page.evaluate("Math.ceil(document.documentElement.scrollHeight)")
    page.set_viewport_size({"width": width, "height": max(WIDTHS[width], min(height, HEIGHT_MAX))})
    page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
    shot = page.screenshot(animations="disabled")
    page.close()
    return shot


def names(pages: Iterable[str]) -> list[str]:
    """What there are pictures of, by the console's table of places."""
    return [SETUP_NAME, *map(name_of, pages), TROUBLES.name]


__all__ = ["FOLDER", "SCHEMES", "index", "names", "picture_of", "shoot"]
