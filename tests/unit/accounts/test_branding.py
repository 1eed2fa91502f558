"""A merchant's branding: what is kept of it, and that it can be read."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from PIL import Image, PngImagePlugin

from gstable_server.accounts.branding import logo
from gstable_server.accounts.branding import operations as brandings
from gstable_server.accounts.branding.colours import (
    CONTRAST_MIN,
    DARK,
    LIGHT,
    Colour,
    Ground,
    colour_from_text,
    contrast,
    shades,
)
from gstable_server.accounts.branding.model import (
    Branding,
    Change,
    Corners,
    FieldChange,
    Theme,
)
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock

pytestmark = pytest.mark.anyio

ORIENTATION, RESOLUTION = 0x0112, 0x011A
"""Of EXIF (CIPA DC-008)."""
ANNA, BERT = "anna@books.example", "bert@books.example"
ENTRIES = {
    "displayName": "Blue Door Books",
    "accent": "#FFCC00",
    "corners": "round",
    "supportEmail": "Help@Books.example",
    "supportUrl": "https://books.example/help",
    "termsUrl": "https://books.example/terms",
    "defaultLanguage": "pt-BR",
    "frameOrigins": "https://books.example\nhttps://shop.books.example:8443",
}


def picture(kind: str, size: tuple[int, int] = (600, 300), **options: Any) -> bytes:
    drawn = io.BytesIO()
    mode = "RGB" if kind in {"JPEG", "GIF"} else "RGBA"
    Image.new(mode, size, (10, 107, 88)).save(drawn, kind, **options)
    return drawn.getvalue()


def turned_with_odd_exif() -> bytes:
    """A picture to be turned, whose resolution is a word instead of a number."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[RESOLUTION] = 6, 72.0
    whole = picture("JPEG", exif=exif)
    entry = RESOLUTION.to_bytes(2) + (5).to_bytes(2)
    assert whole.count(entry) == 1
    return whole.replace(entry, RESOLUTION.to_bytes(2) + (2).to_bytes(2))


def test_contrast_is_that_of_wcag() -> None:
    # The extremes by definition, and the grey that WebAIM's and the W3C's documents name as the
    # lightest one that passes on white.
    assert contrast(Colour(0, 0, 0), Colour(255, 255, 255)) == 21
    assert contrast(Colour(9, 9, 9), Colour(9, 9, 9)) == 1
    assert round(contrast(colour_from_text("#767676"), colour_from_text("#fff")), 2) == 4.54
    assert contrast(colour_from_text("#777777"), colour_from_text("#ffffff")) < 4.5


@pytest.mark.parametrize("ground", [LIGHT, DARK])
def test_every_accent_can_be_read(ground: Ground) -> None:
    steps = (0, 51, 102, 128, 204, 255)
    for accent in (Colour(red, green, blue) for red in steps for green in steps for blue in steps):
        used = shades(accent, ground)
        for text, under in (
            (used.accent, ground.hardest),
            (used.accent, ground.surface),
            (used.on_accent, used.accent),
            (used.strong, used.soft),
        ):
            assert contrast(text, under) >= CONTRAST_MIN, (accent, text, under)


def test_an_accent_that_passes_is_left_alone_and_another_moves_no_further_than_it_must() -> None:
    assert shades(colour_from_text("#0a6b58"), LIGHT).accent == colour_from_text("#0a6b58")
    yellow = shades(colour_from_text("#ffcc00"), LIGHT).accent
    assert contrast(yellow, LIGHT.hardest) < CONTRAST_MIN + 0.2
    assert shades(colour_from_text("#ffcc00"), DARK).accent == colour_from_text("#ffcc00")


def test_the_address_of_a_sheet_says_what_is_in_it() -> None:
    theme = Theme(colour_from_text("#0a6b58"), Corners.SQUARE)
    assert theme.path.startswith("/branding/sheet-0a6b58-square-")
    assert "--accent:#0a6b58;" in theme.css
    assert Theme(colour_from_text("#0a6b59"), Corners.SQUARE).path != theme.path
    assert Branding("Name").stylesheet_path is None
    assert "--accent" not in Theme(None, Corners.ROUND).css


async def test_a_merchant_is_shown_by_its_name_until_it_says_more(
    database: Database, tenant: Tenant
) -> None:
    async with database.read() as tx:
        held = await brandings.branding(tx, tenant.merchant_id)
    assert held == Branding(display_name="Example Ltd")


async def test_what_was_set_is_shown_and_can_be_taken_away(
    database: Database, tenant: Tenant
) -> None:
    drawn = logo.redraw(picture("PNG"))
    merchant_id = tenant.merchant_id
    saved = await database.run(brandings.save, merchant_id, ENTRIES, actor=ANNA, logo=drawn)
    async with database.read() as tx:
        held = await brandings.branding(tx, tenant.merchant_id)
        assert saved.logo_id is not None
        shown = await brandings.logo(tx, saved.logo_id)
    assert held == saved
    assert shown is not None
    assert (shown.content_type, shown.content) == ("image/webp", drawn)
    assert held.theme == Theme(colour_from_text("#ffcc00"), Corners.ROUND)
    assert held.support_email == "help@books.example"
    assert held.frame_origins == ("https://books.example", "https://shop.books.example:8443")

    less = {"displayName": "Books"}
    kept = await database.run(brandings.save, merchant_id, less, actor=ANNA)
    assert kept == Branding(display_name="Books", logo_id=saved.logo_id)
    last = await database.run(brandings.save, merchant_id, less, actor=ANNA, without_logo=True)
    assert last == Branding(display_name="Books")
    async with database.read() as tx:
        assert await brandings.logo(tx, saved.logo_id) is None


async def test_who_changed_what_and_when_is_kept_for_good(
    database: Database, tenant: Tenant, clock: FakeClock
) -> None:
    first = clock.now()
    await database.run(brandings.save, tenant.merchant_id, ENTRIES, actor=ANNA)
    clock.set(first + timedelta(days=1))
    changed = {**ENTRIES, "supportEmail": "help@evil.example", "accent": ""}
    for _ in range(2):  # the second time nothing changes
        await database.run(brandings.save, tenant.merchant_id, changed, actor=BERT)
    with pytest.raises(Refused):
        await database.run(brandings.save, tenant.merchant_id, {"displayName": ""}, actor=BERT)
    drawn = logo.redraw(picture("PNG"))
    saved = await database.run(brandings.save, tenant.merchant_id, changed, actor=ANNA, logo=drawn)
    async with database.read() as tx:
        third, second, one = await brandings.changes(tx, tenant.merchant_id)
    assert third.fields == (FieldChange("logo", "", str(saved.logo_id)),)
    assert second == Change(
        actor=BERT,
        fields=(
            FieldChange("accent", "#ffcc00", ""),
            FieldChange("supportEmail", "help@books.example", "help@evil.example"),
        ),
        at=first + timedelta(days=1),
    )
    assert (one.actor, one.at) == (ANNA, first)
    names = {"displayName", "accent", "corners", "supportEmail", "frameOrigins"}
    assert {change.field for change in one.fields} >= names
    for statement in ("UPDATE branding_changes SET actor = 'x'", "DELETE FROM branding_changes"):
        with pytest.raises(asyncpg.RestrictViolationError):
            async with database.begin() as tx:
                await tx.execute(statement)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("displayName", ""),
        ("displayName", "x" * 101),
        ("accent", "red"),
        ("accent", "#12345"),
        ("accent", "#000;}*{display:none"),
        ("corners", "star"),
        ("supportEmail", "help@books.example\r\nBcc: all@books.example"),
        ("supportEmail", "hëlp@books.example"),
        ("supportEmail", "help..me@books.example"),
        ("supportEmail", "<help>@books.example"),
        ("supportEmail", "=?utf-8?q?a?=@books.example"),
        ("supportUrl", "http://books.example"),
        ("supportUrl", "javascript:alert(1)"),
        ("termsUrl", "https://me@books.example"),
        ("defaultLanguage", '"><script>'),
        ("frameOrigins", "https://books.example/path"),
        ("frameOrigins", " ".join(f"https://a{number}.example" for number in range(21))),
    ],
)
def test_what_cannot_be_shown_is_refused_by_its_field(field: str, text: str) -> None:
    with pytest.raises(Refused) as refused:
        brandings.parse({**ENTRIES, field: text})
    assert refused.value.detail.startswith(f"{field} ")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_logo_is_drawn_anew(kind: str) -> None:
    with Image.open(io.BytesIO(logo.redraw(picture(kind)))) as drawn:
        assert (drawn.format, drawn.size) == ("WEBP", (320, 160))


def test_nothing_but_the_picture_is_left_of_a_file() -> None:
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "<script>alert(1)</script>")
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    given = picture("PNG", pnginfo=note, exif=exif) + b"<?php system($_GET[0]); ?>"
    drawn = logo.redraw(given)
    assert b"script" not in drawn
    assert b"home" not in drawn
    assert b"php" not in drawn


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        picture("GIF"),
        picture("BMP"),
        picture("PNG")[:200],
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        picture("PNG") + b"\0" * logo.BYTES_MAX,
        # 17 million pixels in a file of some kilobytes.
        picture("PNG", (4_100, 4_100)),
        turned_with_odd_exif(),
    ],
    ids=[
        "nothing",
        "svg",
        "gif",
        "bmp",
        "broken off",
        "only a head",
        "too long",
        "too large",
        "odd exif",
    ],
)
def test_what_is_no_logo_is_refused(content: bytes) -> None:
    with pytest.raises(Refused) as refused:
        logo.redraw(content)
    assert refused.value.detail.startswith("logo ")


def test_the_support_address_is_a_link_that_mail_programs_read() -> None:
    assert Branding("Books").support_mailto is None
    shown = Branding("Books", support_email="help+50%@books.example")
    assert shown.support_mailto == "mailto:help%2B50%25@books.example"
