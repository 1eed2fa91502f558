"""The products of the console, as a browser without scripts uses it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from httpx2 import Response
from PIL import Image

from gstable_server.accounts import operations as accounts
from gstable_server.catalog import operations as catalog
from gstable_server.catalog.model import Product
from gstable_server.kernel.ids import ProductId
from gstable_server.kernel.paging import Page
from gstable_server.plumbing.db import Database
from tests.unit.web.console import Browser, reader, registered
from tests.unit.web.shop import WALLET, Merchant, new_desk

pytestmark = pytest.mark.anyio

MAP = {
    "name": "Harbour map",
    "description": "Folded, <b>with</b> depths.",
    "commonPrices[0]": "12.50",
    "commonPrices[2]": "20",
    "attributes[3].name": "Size",
    "attributes[3].value": "A2",
}


@pytest.fixture
async def merchant(database: Database, browser: Browser) -> Merchant:
    return await registered(database, new_desk(), browser)


async def _make(browser: Browser, **fields: str) -> str:
    """The path of the new product's page."""
    answer = await browser.post("/dashboard/test/products", **{**MAP, **fields})
    assert answer.status_code == 303, answer.text
    path, _, query = answer.headers["location"].partition("?")
    assert query == "done=product-created"
    return str(path)


async def _only(merchant: Merchant) -> Product:
    async with merchant.db.read() as tx:
        _, [product] = await catalog.list_products(tx, merchant.tenant, Page(1, 10))
    return product


async def _send_picture(browser: Browser, path: str, content: bytes) -> Response:
    return await browser.client.post(
        f"{path}/picture",
        files={"formToken": (None, browser.form_token), "picture": ("a.png", content)},
        headers={"sec-fetch-site": "same-origin"},
    )


def _picture(mode: str, size: tuple[int, int]) -> bytes:
    made = io.BytesIO()
    Image.new(mode, size, "red").save(made, "PNG")
    return made.getvalue()


async def test_a_product_is_made_and_shown_as_it_was_typed(
    browser: Browser, merchant: Merchant
) -> None:
    empty = await browser.get("/dashboard/test/products")
    assert "Make the first product" in empty.text
    page = reader(await browser.get(await _make(browser)))
    product = await _only(merchant)
    assert product.common_prices == (12_500_000, 20_000_000)
    assert [(one.name, one.value) for one in product.attributes] == [("Size", "A2")]
    assert page.field("commonPrices[1]")["value"] == "20.00"
    assert page.field("attributes[0].value")["value"] == "A2"
    assert "Folded, <b>with</b> depths." in page.text
    assert not any(tag == "b" for tag, _ in page.tags)


async def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(
    browser: Browser, merchant: Merchant
) -> None:
    for field, text, said in (
        ("name", " ", "Must have 1 to 100 characters."),
        ("commonPrices[0]", "1.500", "Write the amount with two figures after the point"),
        ("commonPrices[0]", "0", "Enter an amount above zero."),
        ("commonPrices[0]", "2000000", "Must be at most 1,000,000 USD."),
        ("attributes[3].name", "x" * 51, "Must have 1 to 50 characters."),
    ):
        answer = await browser.post("/dashboard/test/products", **{**MAP, field: text})
        page = reader(answer)
        assert answer.status_code == 422
        assert said in page.text, field
        wrong = [at for tag, at in page.tags if tag == "input" and at.get("aria-invalid")]
        assert [at["name"] for at in wrong] == [field.replace("[3]", "[0]")]
        assert page.field("attributes[0].value")["value"] == "A2"
        assert "Folded, <b>with</b> depths." in page.text
    async with merchant.db.read() as tx:
        count, _ = await catalog.list_products(tx, merchant.tenant, Page(1, 10))
    assert count == 0


async def test_without_a_price_the_first_field_says_so(
    browser: Browser, merchant: Merchant
) -> None:
    fields = {**MAP, "commonPrices[0]": "", "commonPrices[2]": ""}
    answer = await browser.post("/dashboard/test/products", **fields)
    assert reader(answer).field("commonPrices[0]")["aria-invalid"] == "true"


async def test_dsh_06_two_who_change_one_product_are_shown_both_versions(
    browser: Browser, merchant: Merchant
) -> None:
    path = await _make(browser)
    version = reader(await browser.get(path)).field("version")["value"]
    first = await browser.post(path, **{**MAP, "name": "Chart", "version": version})
    assert first.status_code == 303
    late = {**MAP, "name": "Sea chart", "commonPrices[0]": "13", "version": version}
    second = await browser.post(path, **late)
    assert second.status_code == 409
    page = reader(second)
    assert "Chart" in page.text
    assert "Sea chart" in page.text
    assert (await _only(merchant)).name == "Chart"
    kept = {at["name"]: at["value"] for tag, at in page.tags if at.get("type") == "hidden"}
    assert kept["commonPrices[0]"] == "13"
    kept.pop("formToken")
    again = await browser.post(path, **kept)
    assert again.status_code == 303
    changed = await _only(merchant)
    assert (changed.name, changed.common_prices[0]) == ("Sea chart", 13_000_000)


async def test_a_picture_is_drawn_anew_and_older_ones_stay_where_they_are(
    browser: Browser, merchant: Merchant
) -> None:
    path = await _make(browser)
    await browser.get(path)
    shown = await _send_picture(browser, path, _picture("RGB", (1200, 600)) + b"<script>")
    assert shown.headers["location"].endswith("done=picture-saved")
    first = await _only(merchant)
    assert first.image_id is not None
    async with merchant.db.read() as tx:
        stored = await catalog.image(tx, first.image_id)
    assert stored is not None
    assert stored.content_type == "image/webp"
    assert b"<script>" not in stored.content
    with Image.open(io.BytesIO(stored.content)) as drawn:
        assert drawn.size == (960, 480)
    await _send_picture(browser, path, _picture("RGB", (10, 10)))
    second = await _only(merchant)
    assert second.image_id != first.image_id
    async with merchant.db.read() as tx:
        assert await catalog.image(tx, first.image_id) == stored
    # Saving the words, and the API sending back what it read, both keep the picture.
    version = reader(await browser.get(path)).field("version")["value"]
    await browser.post(path, **{**MAP, "name": "Chart", "version": version})
    assert (await _only(merchant)).image_id == second.image_id
    await browser.client.post(
        f"{path}/picture",
        files={"formToken": (None, browser.form_token), "withoutPicture": (None, "yes")},
        headers={"sec-fetch-site": "same-origin"},
    )
    assert (await _only(merchant)).image_id is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Must be a PNG, JPEG or WebP picture."),
        (b"GIF89a" + b"\x00" * 20, "Must be a PNG, JPEG or WebP picture."),
        (_picture("1", (5000, 4000)), "Must have at most 16,000,000 pixels."),
        (b"\x89PNG" + b"\x00" * (5 * 1024**2), "Must have at most 5 MB."),
    ],
)
async def test_what_is_no_picture_is_refused_beside_the_field(
    browser: Browser, merchant: Merchant, content: bytes, said: str
) -> None:
    path = await _make(browser)
    await browser.get(path)
    answer = await _send_picture(browser, path, content)
    assert answer.status_code == 422
    assert said in reader(answer).text
    assert (await _only(merchant)).image_id is None


async def test_archived_and_back_and_removed_or_not_if_a_link_names_it(
    browser: Browser, merchant: Merchant
) -> None:
    path = await _make(browser)
    await browser.get(path)
    await browser.post(f"{path}/archive")
    assert "It is archived" in (await browser.get(path)).text
    assert (await _only(merchant)).status == "archived"
    await browser.post(f"{path}/unarchive")
    copy = await browser.post(f"{path}/duplicate")
    copied = copy.headers["location"].partition("?")[0]
    assert "Harbour map (copy)" in (await browser.get(copied)).text
    gone = await browser.post(f"{copied}/remove")
    assert gone.headers["location"].endswith("/products?done=product-removed")
    assert (await browser.get(copied)).status_code == 404
    product = await _only(merchant)
    link = await _linked(merchant, product)
    page = await browser.get(path)
    assert link in page.text
    kept = await browser.post(f"{path}/remove")
    assert kept.status_code == 422
    assert "Archive it instead." in kept.text
    assert (await _only(merchant)).product_id == product.product_id


async def _linked(merchant: Merchant, product: Product) -> str:
    """The name of a link that sells the product to this merchant's payers."""
    async with merchant.db.begin() as tx:
        account = await accounts.create_account(
            tx,
            merchant.tenant,
            merchant.desk.networks,
            "Till",
            WALLET,
        )
    own = replace(merchant, account=account, product=product)
    return (await own.link(linkName="Maps for all")).name


async def test_products_are_found_by_a_part_of_their_name(
    browser: Browser, merchant: Merchant
) -> None:
    await _make(browser)
    other = await _make(browser, name="Tide table 100%_")
    for query, found in (
        ("q=TIDE", {"Tide table 100%_"}),
        ("q=%25_", {"Tide table 100%_"}),
        (f"q={other.rpartition('/')[2]}", {"Tide table 100%_"}),
        ("q=nothing", set()),
        ("status=archived", set()),
        ("status=active", {"Tide table 100%_", "Harbour map"}),
        ("status=nonsense", {"Tide table 100%_", "Harbour map"}),
    ):
        page = reader(await browser.get(f"/dashboard/test/products?{query}"))
        shown = {name for name in ("Tide table 100%_", "Harbour map") if name in page.text}
        assert shown == found, query


async def test_every_change_is_in_the_audit_log(browser: Browser, merchant: Merchant) -> None:
    path = await _make(browser)
    version = reader(await browser.get(path)).field("version")["value"]
    await browser.post(path, **{**MAP, "name": "Chart", "version": version})
    await browser.post(f"{path}/archive")
    log = reader(await browser.get("/dashboard/test/audit")).text
    for what in ("product.created", "product.changed", "product.archived"):
        assert what in log
    assert ProductId(path.rpartition("/")[2]) in log
