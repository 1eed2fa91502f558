"""The dashboard's page of branding, and what payers' pages load because of it."""

from __future__ import annotations

import asyncio
import io
import re
import threading
from collections.abc import AsyncIterator

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from PIL import Image
from starlette.applications import Starlette

from gstable_server.accounts.branding import logo
from gstable_server.accounts.branding import operations as brandings
from gstable_server.accounts.branding.model import Branding
from gstable_server.plumbing.db import Database
from gstable_server.web import branding
from tests.unit.web.console import EMAIL, FROM_OUR_PAGE, Browser, browser_on, reader, registered
from tests.unit.web.shop import new_desk

pytestmark = pytest.mark.anyio

PATH = "/dashboard/test/branding"
ENTRIES = {
    "displayName": "Blue <b>Door</b>",
    "accent": "#ffcc00",
    "corners": "round",
    "supportEmail": "help@books.example",
    "frameOrigins": "https://books.example",
}


@pytest.fixture
async def console(database: Database) -> AsyncIterator[Browser]:
    desk = new_desk()
    async with browser_on(database, desk) as browser:
        await registered(database, desk, browser)
        await browser.get(PATH)
        yield browser


@pytest.fixture
async def public(database: Database) -> AsyncIterator[AsyncClient]:
    app = Starlette(routes=branding.routes(database))
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url="http://shop.test") as client:
        yield client


def _picture() -> bytes:
    drawn = io.BytesIO()
    Image.new("RGB", (90, 30), (10, 107, 88)).save(drawn, "PNG")
    return drawn.getvalue()


async def _send(
    console: Browser,
    logo: bytes = b"",
    headers: dict[str, str] | None = None,
    path: str = PATH,
    /,
    **fields: str,
) -> Response:
    return await console.client.post(
        path,
        data={"formToken": console.form_token, **fields},
        files={"logo": ("logo.svg" if logo else "", logo, "image/svg+xml")},
        headers=FROM_OUR_PAGE if headers is None else headers,
    )


def _text(answer: Response) -> str:
    return " ".join(reader(answer).text.split())


async def _held(database: Database) -> Branding:
    async with database.read() as tx:
        merchant_id = await tx.fetchval("SELECT merchant_id FROM memberships")
        return await brandings.branding(tx, merchant_id)


async def test_a_merchant_sets_how_it_looks(
    database: Database, console: Browser, public: AsyncClient
) -> None:
    answer = await _send(console, _picture(), **ENTRIES)
    assert answer.status_code == 303
    page = await console.get(f"{PATH}?done=branding-saved")
    assert "It was saved." in page.text
    assert "<b>Door</b>" not in page.text

    # Who changed it, for the merchant's other members to see.
    assert page.text.count(EMAIL) >= len(ENTRIES)
    assert "help@books.example" in _text(page)

    held = await _held(database)
    assert held.display_name == ENTRIES["displayName"]
    assert held.logo_path is not None
    assert held.logo_path in page.text
    assert held.theme.preview_path in page.text
    # What was handed in as an SVG by its name is served as what it is, and as nothing else.
    shown = await public.get(held.logo_path)
    assert shown.headers["content-type"] == "image/webp"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in shown.headers["cache-control"]


async def test_pictures_are_drawn_one_after_the_other(
    console: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing, together, redraw = 0, 0, logo.redraw

    def counted(content: bytes) -> bytes:
        nonlocal drawing, together
        drawing += 1
        together = max(together, drawing)
        busy.wait(0.05)  # others get here meanwhile, if they may
        drawing -= 1
        return redraw(content)

    busy = threading.Event()
    monkeypatch.setattr(logo, "redraw", counted)
    answers = await asyncio.gather(*(_send(console, _picture(), **ENTRIES) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [303, 303, 303]
    assert together == 1


async def test_the_colours_come_as_a_sheet_that_is_never_out_of_date(public: AsyncClient) -> None:
    theme = brandings.parse(ENTRIES).theme
    for path, selector in ((theme.path, ":root{"), (theme.preview_path, ".preview{")):
        answer = await public.get(path)
        assert answer.headers["content-type"].startswith("text/css")
        assert "immutable" in answer.headers["cache-control"]
        assert answer.text.startswith(selector)
    # Rules of light and of dark pages, and nothing but colours and lengths in them.
    css = (await public.get(theme.path)).text
    values = re.findall(r":([^:;{}]+)[;}]", css.replace("(prefers-color-scheme:dark)", ""))
    assert len(values) == 10
    assert all(re.fullmatch(r"#[0-9a-f]{6}|[0-9]+px", value) for value in values)


@pytest.mark.parametrize(
    "path",
    [
        "/branding/sheet-ffcc00-round-000000000000.css",
        "/branding/sheet-ffcc00-star-000000000000.css",
        "/branding/sheet-};a{-round-000000000000.css",
        "/logos/img_000000000000000000000000",
        "/logos/..%2f..%2fetc",
    ],
)
async def test_no_other_sheet_or_logo_is_served(public: AsyncClient, path: str) -> None:
    assert (await public.get(path)).status_code == 404


async def test_a_wrong_entry_keeps_what_was_typed_and_saves_nothing(
    database: Database, console: Browser
) -> None:
    before = await _held(database)
    answer = await _send(console, _picture(), **{**ENTRIES, "accent": "yellow"})
    assert answer.status_code == 422
    page = reader(answer)
    assert "Must be a colour like #0a6b58." in page.text
    assert "Choose the picture again" in page.text
    assert page.field("displayName")["value"] == ENTRIES["displayName"]
    assert page.field("accent")["value"] == "yellow"
    assert page.field("accent")["aria-invalid"] == "true"
    assert "https://books.example" in page.text
    assert await _held(database) == before

    answer = await _send(console, b"<svg xmlns='http://www.w3.org/2000/svg'/>", **ENTRIES)
    assert answer.status_code == 422
    assert "Must be a PNG, JPEG or WebP picture." in answer.text
    assert await _held(database) == before


async def test_a_preview_saves_nothing(database: Database, console: Browser) -> None:
    before = await _held(database)
    answer = await _send(console, b"", None, f"{PATH}/preview", **ENTRIES)
    assert answer.status_code == 200
    assert brandings.parse(ENTRIES).theme.preview_path in answer.text
    assert re.search(r"On light pages #[0-9a-f]{6} is used: the nearest", _text(answer))
    assert await _held(database) == before


async def test_a_form_that_is_not_our_own_changes_nothing(
    database: Database, console: Browser
) -> None:
    before = await _held(database)
    for headers, fields in (
        (FROM_OUR_PAGE, {"formToken": "0" * 64}),
        (FROM_OUR_PAGE, {"formToken": ""}),
        ({"sec-fetch-site": "cross-site"}, {}),
    ):
        answer = await _send(console, b"", headers, **{**ENTRIES, **fields})
        assert answer.status_code == 403
    assert (await _send(console, b"x" * 3_000_000, **ENTRIES)).status_code == 422
    broken = {**FROM_OUR_PAGE, "content-type": "multipart/form-data"}
    answer = await console.client.post(PATH, content=b"--x", headers=broken)
    assert answer.status_code == 422
    assert await _held(database) == before
    console.client.cookies.clear()
    assert (await _send(console, **ENTRIES)).headers["location"] == "/dashboard/login"
