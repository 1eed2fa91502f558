"""A receipt as a PDF of A4 pages.

Noto Sans is embedded as far as its letters are used, with Noto Sans Arabic and Devanagari for those
scripts; HarfBuzz joins and orders the letters. Chinese, Japanese and Korean letters come from a
font of the operator's, because such a font is larger than everything else together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import fontpkg
from fpdf import FPDF
from fpdf.enums import WrapMode, XPos, YPos
from fpdf.fonts import TTFFont

from gstable_server.web.receipts.order import Fonts, Reading
from gstable_server.web.receipts.sheet import Row, Sheet

MARGIN = 20
LABEL = 48
WIDTH = 210 - 2 * MARGIN
BLACK, GREY, RULE = (20, 24, 29), (86, 97, 112), (221, 226, 232)
BASE = "Noto Sans"
SCRIPTS = (
    ("Noto Sans Arabic", ((0x0600, 0x06FF), (0x0750, 0x077F), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC))),
    ("Noto Sans Devanagari", ((0x0900, 0x097F),)),
)
CJK = ((0x1100, 0x11FF), (0x2E80, 0x9FFF), (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF))
# Marks of direction: obeyed, not drawn.
UNSEEN = frozenset("\u200c\u200d\u200e\u200f\u2066\u2067\u2068\u2069\u00ad\n\t")


class NoFont(Exception):
    """No font here has a letter of the receipt."""


def pdf(sheet: Sheet, reading: Reading, fonts: Fonts, at: datetime) -> bytes:
    """The document; the same for the same sheet, as if made at ``at``.

    Takes up to some seconds of CPU, so ``press`` has a process for it. Raises ``NoFont`` rather
    than to show boxes in the place of letters.
    """
    document = _Document(reading, fonts, set("".join(_texts(sheet))))
    paper = document.paper
    paper.set_title(f"{sheet.title} – {sheet.merchant}")
    paper.set_lang(reading.tag)
    paper.set_creation_date(at)
    if sheet.test:
        document.text(sheet.test, 10, GREY)
    document.text(sheet.title, 10, GREY)
    document.text(sheet.merchant, 18)
    document.text(sheet.total, 18)
    document.text(sheet.state, 10)
    document.rows(sheet.facts)
    document.rule()
    for line in sheet.lines:
        document.pair(line.name, line.total, 11)
        if line.each:
            document.text(line.each, 9, GREY)
    document.rule()
    for row in sheet.sums:
        document.pair(row.label, row.value, 11)
    for part in sheet.parts:
        document.heading(part.title)
        document.rows(part.rows)
    if sheet.contact:
        document.rule()
        document.rows(sheet.contact)
    document.rule()
    document.text(sheet.proof, 8, GREY, url=sheet.proof)
    return bytes(paper.output())


def _texts(sheet: Sheet) -> Iterator[str]:
    yield from (sheet.title, sheet.merchant, sheet.total, sheet.state, sheet.test, sheet.proof)
    for line in sheet.lines:
        yield from (line.name, line.each, line.total)
    for part in sheet.parts:
        yield part.title
    for rows in (sheet.facts, sheet.sums, sheet.contact, *(part.rows for part in sheet.parts)):
        for row in rows:
            yield from (row.label, row.value)


def _uses(letters: Iterable[str], ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= ord(letter) <= high for letter in letters for low, high in ranges)


class _Document:
    """The paper, with where the next piece goes."""

    def __init__(self, reading: Reading, fonts: Fonts, letters: set[str]) -> None:
        self._right = reading.direction == "rtl"
        self.paper = FPDF(format="A4")
        self.paper.set_margin(MARGIN)
        self.paper.set_auto_page_break(True, MARGIN)
        self.paper.add_page()
        needed = {BASE: Path(fontpkg.path(BASE))}
        for name, ranges in SCRIPTS:
            if _uses(letters, ranges):
                needed[name] = Path(fontpkg.path(name))
        if fonts.cjk is not None and fonts.cjk.exists() and _uses(letters, CJK):
            needed["cjk"] = fonts.cjk
        for name, file in needed.items():
            self.paper.add_font(name, fname=file)
        # The base has some of these letters too. But what stands in one font is shaped as the
        # script of its first letter, so each script has to have a font of its own.
        base = self.paper.fonts[BASE.lower()]
        if isinstance(base, TTFFont):
            base.cmap = {
                code: glyph
                for code, glyph in base.cmap.items()
                if not any(_uses((chr(code),), ranges) for _, ranges in SCRIPTS)
            }
        loaded = [font for font in self.paper.fonts.values() if isinstance(font, TTFFont)]
        known = {code for font in loaded for code in font.cmap}
        if missing := {one for one in letters - UNSEEN if ord(one) not in known}:
            raise NoFont("".join(sorted(missing)))
        self.paper.set_fallback_fonts([name for name in needed if name != BASE], exact_match=False)
        self.paper.set_text_shaping(True)
        self.paper.set_font(BASE, size=10)

    def text(
        self, text: str, size: int, colour: tuple[int, int, int] = BLACK, url: str = ""
    ) -> None:
        """A paragraph from the side where reading begins."""
        self._write(WIDTH, text, size, colour, url, end="R" if self._right else "L")
        self.paper.ln(size * 0.12)

    def pair(self, name: str, value: str, size: int) -> None:
        """A name where reading begins, and a figure at the other side."""
        self._across(name, value, size, WIDTH - 2 * LABEL, apart=True)

    def rows(self, rows: Iterable[Row]) -> None:
        """Names in a column of their own, and beside each what it stands for."""
        self.paper.ln(1)
        for row in rows:
            self._across(row.label, row.value, 9, LABEL, apart=False, url=row.url)

    def heading(self, text: str) -> None:
        self.paper.ln(3)
        self.text(text, 12)

    def rule(self) -> None:
        self.paper.ln(2)
        self.paper.set_draw_color(*RULE)
        self.paper.line(MARGIN, self.paper.y, MARGIN + WIDTH, self.paper.y)
        self.paper.ln(2)

    def _across(
        self, left: str, right: str, size: int, width: float, *, apart: bool, url: str = ""
    ) -> None:
        if self.paper.will_page_break(size):
            self.paper.add_page()
        top, rest = self.paper.y, WIDTH - width
        near, far = (MARGIN + rest, MARGIN) if self._right else (MARGIN, MARGIN + width)
        near_end, far_end = ("R", "L") if self._right else ("L", "R")
        self.paper.x = near
        self._write(width, left, size, BLACK if apart else GREY, "", end=near_end)
        bottom = self.paper.y
        self.paper.set_xy(far, top)
        self._write(rest, right, size, BLACK, url, end=far_end if apart else near_end)
        self.paper.set_xy(MARGIN, max(bottom, self.paper.y))

    def _write(
        self,
        width: float,
        text: str,
        size: int,
        colour: tuple[int, int, int],
        url: str,
        *,
        end: str,
    ) -> None:
        self.paper.set_font(BASE, size=size)
        self.paper.set_text_color(*colour)
        self.paper.multi_cell(
            width,
            size * 0.52,
            text,
            align=end,
            link=url,
            wrapmode=WrapMode.WORD,
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )
