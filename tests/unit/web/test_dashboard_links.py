"""The payment links of the console, as a browser without scripts uses it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from httpx2 import ASGITransport, AsyncClient
from PIL import Image
from starlette.applications import Starlette

from gstable_server.accounts import operations as accounts
from gstable_server.catalog import operations as catalog
from gstable_server.chain.networks import X402
from gstable_server.kernel.ids import LinkId
from gstable_server.kernel.paging import Page
from gstable_server.links import operations as links
from gstable_server.links.model import LinkStatus, PaymentLink
from gstable_server.links.operations import Shop
from gstable_server.plumbing.db import Database
from gstable_server.sessions.model import SessionState
from gstable_server.web.base import Pages
from gstable_server.web.checkout import routes as checkout
from gstable_server.web.checkout.visits import Visits
from gstable_server.web.dashboard.catalog import link_forms
from gstable_server.web.dashboard.catalog.building import first_token
from tests.unit.web.console import Browser, Reader, reader, registered
from tests.unit.web.shop import PUBLIC_URL, WALLET, Merchant, new_desk, set_state

pytestmark = pytest.mark.anyio

NEW = "/dashboard/test/links"


@pytest.fixture
async def merchant(database: Database, browser: Browser) -> Merchant:
    """The owner's own business, with an account and a product."""
    merchant = await registered(database, new_desk(), browser)
    async with database.begin() as tx:
        account = await accounts.create_account(
            tx, merchant.tenant, merchant.desk.networks, "Till", WALLET
        )
    made = await browser.post(
        "/dashboard/test/products", **{"name": "Harbour map", "commonPrices[0]": "12.50"}
    )
    async with database.read() as tx:
        _, [product] = await catalog.list_products(tx, merchant.tenant, Page(1, 1))
    assert made.status_code == 303
    return replace(merchant, account=account, product=product)


def _fields(merchant: Merchant, **changes: str) -> dict[str, str]:
    return {
        "linkName": "Maps for all",
        "linkType": "fixed",
        "lineItems[0].productId": merchant.product.product_id,
        "lineItems[0].quantity": "2",
        "accountId": merchant.account.account_id,
        "settlementToken": "polygon::usdc",
        "feeModel": "1",
        **changes,
    }


async def _made(browser: Browser, merchant: Merchant, **changes: str) -> PaymentLink:
    answer = await browser.post(NEW, **_fields(merchant, **changes))
    assert answer.status_code == 303, answer.text
    link_id = answer.headers["location"].partition("?")[0].rpartition("/")[2]
    return await _link(merchant, link_id)


async def _link(merchant: Merchant, link_id: str) -> PaymentLink:
    shop = Shop(merchant.desk.networks, PUBLIC_URL)
    async with merchant.db.read() as tx:
        return (await links.detail(tx, shop, merchant.tenant, LinkId(link_id))).link


async def test_a_link_is_made_with_its_products_usual_price(
    browser: Browser, merchant: Merchant
) -> None:
    begun = reader(await browser.get(f"{NEW}/new?product={merchant.product.product_id}"))
    assert begun.field("lineItems[0].unitPrice")["value"] == "12.50"
    assert begun.field("linkName")["value"] == "Harbour map"
    link = await _made(browser, merchant)
    assert (link.amount, link.line_items[0].unit_price) == (25_000_000, 12_500_000)
    page = await browser.get(f"{NEW}/{link.link_id}")
    assert f"{PUBLIC_URL}/link/{link.link_id}" in page.text
    assert "Nobody opened it in this time" in page.text


async def test_every_field_of_a_link_can_be_set_and_comes_back_for_a_change(
    browser: Browser, merchant: Merchant
) -> None:
    every = {
        "lineItems[0].unitPrice": "9.99",
        "lineItems[0].adjustableQuantity.minimum": "1",
        "lineItems[0].adjustableQuantity.maximum": "5",
        "lineItems[4].productId": str(merchant.product.product_id),
        "lineItems[4].unitPrice": "1",
        "feeModel": "2",
        "payerEmailRequired": "1",
        "successUrl": "https://shop.example.com/done?order=1",
        "customSuccessText": "It is in the post.\r\nThank you!",
        "customDisabledText": "Back on Monday.",
        "settlementToken": "polygon::usdt",
    }
    link = await _made(browser, merchant, **every)
    assert link.line_items[0].adjustable is not None
    assert link.line_items[1].quantity == 1
    assert (link.fee_model, link.payer_email_required) == (2, True)
    assert link.custom_success_text == "It is in the post.\nThank you!"
    page = reader(await browser.get(f"{NEW}/{link.link_id}/edit"))
    assert page.field("lineItems[0].adjustableQuantity.maximum")["value"] == "5"
    assert page.field("lineItems[1].unitPrice")["value"] == "1.00"
    chosen = [at for tag, at in page.tags if tag == "option" and "selected" in at]
    assert {"polygon::usdt", merchant.account.account_id} <= {at["value"] for at in chosen}


async def test_a_payer_who_names_the_amount_needs_no_price(
    browser: Browser, merchant: Merchant
) -> None:
    link = await _made(
        browser, merchant, linkType="custom", **{"lineItems[0].unitPrice": "nonsense"}
    )
    assert (link.link_type, link.line_items[0].unit_price) == ("custom", None)


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("linkName", "", "Must have 1 to 100 characters."),
        ("lineItems[0].productId", "", "Must be chosen from your products."),
        ("lineItems[0].quantity", "0", "Must be between 1 and 1000000."),
        ("lineItems[0].quantity", "two", "Must be a whole number."),
        ("lineItems[0].unitPrice", "1.2.3", "Write the amount in figures"),
        ("lineItems[0].adjustableQuantity.maximum", "1", "Must be above the minimum."),
        ("successUrl", "shop", "Must"),
        ("successUrl", "http://shop.example.com", "Must"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(
    browser: Browser, merchant: Merchant, field: str, text: str, said: str
) -> None:
    fields = {
        **_fields(merchant),
        "lineItems[0].unitPrice": "3",
        "customSuccessText": "Thank you",
        field: text,
    }
    answer = await browser.post(NEW, **fields)
    page = reader(answer)
    assert answer.status_code == 422
    assert said in page.text
    wrong = [at["name"] for _, at in page.tags if at.get("aria-invalid")]
    assert wrong == [field]
    assert "Thank you" in page.text


async def test_a_line_more_keeps_what_was_typed_and_saves_nothing(
    browser: Browser, merchant: Merchant
) -> None:
    answer = await browser.post(f"{NEW}/more", **_fields(merchant, linkName="Half"))
    page = reader(answer)
    assert page.field("linkName")["value"] == "Half"
    assert page.field("lineItems[1].quantity")["value"] == ""
    async with merchant.db.read() as tx:
        shop = Shop(merchant.desk.networks, PUBLIC_URL)
        assert (await links.list_links(tx, shop, merchant.tenant, Page(1, 1)))[0] == 0


async def test_the_preview_is_the_payers_page_and_makes_nothing(
    browser: Browser, merchant: Merchant
) -> None:
    answer = await browser.post(f"{NEW}/preview", **_fields(merchant, linkName="<i>Maps"))
    assert answer.status_code == 200
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    assert "x-frame-options" not in answer.headers
    assert "&lt;i&gt;Maps" in answer.text
    assert "25.00" in answer.text
    nameless = await browser.post(f"{NEW}/preview", **_fields(merchant, linkName=""))
    assert "25.00" in nameless.text
    empty = await browser.post(f"{NEW}/preview", accountId=merchant.account.account_id)
    assert "Must be chosen from your products." in empty.text
    async with merchant.db.read() as tx:
        shop = Shop(merchant.desk.networks, PUBLIC_URL)
        assert (await links.list_links(tx, shop, merchant.tenant, Page(1, 1)))[0] == 0
        assert await tx.fetchval("SELECT count(*) FROM products WHERE used_at IS NOT NULL") == 0
    builder = await browser.get(f"{NEW}/new")
    assert "frame-src 'self'" in builder.headers["content-security-policy"]


async def test_dsh_06_two_who_change_one_link_are_shown_both_versions(
    browser: Browser, merchant: Merchant
) -> None:
    link = await _made(browser, merchant)
    path = f"{NEW}/{link.link_id}"
    version = reader(await browser.get(f"{path}/edit")).field("version")["value"]
    first = await browser.post(path, **_fields(merchant, version=version, linkName="Charts"))
    assert first.status_code == 303
    late = _fields(merchant, version=version, linkName="Sea charts")
    second = await browser.post(path, **late)
    assert second.status_code == 409
    assert "Charts" in second.text
    assert "Sea charts" in second.text
    assert (await _link(merchant, link.link_id)).name == "Charts"


async def test_a_link_of_more_lines_than_the_form_has_loses_none(
    browser: Browser, merchant: Merchant
) -> None:
    link = await _made(browser, merchant)
    path = f"{NEW}/{link.link_id}"
    version = reader(await browser.get(f"{path}/edit")).field("version")["value"]
    async with merchant.db.begin() as tx:
        shop = Shop(merchant.desk.networks, PUBLIC_URL)
        terms = link_forms.terms_of(link)
        terms = replace(terms, lines=terms.lines[:1] * (link_forms.LINES_MAX + 1))
        await links.update(tx, shop, merchant.tenant, link.link_id, terms)
    for answer in (
        await browser.get(f"{path}/edit"),
        await browser.post(path, **_fields(merchant, version=version)),
        await browser.post(f"{path}/more", **_fields(merchant, version=version)),
    ):
        assert answer.status_code == 422
        assert "more lines than this form" in reader(answer).text
    after = await _link(merchant, link.link_id)
    assert len(after.line_items) == link_forms.LINES_MAX + 1


async def test_off_with_a_text_on_again_and_closed_for_good(
    browser: Browser, merchant: Merchant
) -> None:
    link = await _made(browser, merchant)
    path = f"{NEW}/{link.link_id}"
    too_long = await browser.post(f"{path}/disable", customDisabledText="x" * 501)
    assert too_long.status_code == 422
    assert (await _link(merchant, link.link_id)).status is LinkStatus.ACTIVE
    await browser.post(f"{path}/disable", customDisabledText="Back on Monday.")
    off = await _link(merchant, link.link_id)
    assert (off.status, off.custom_disabled_text) == (LinkStatus.INACTIVE, "Back on Monday.")
    await browser.post(f"{path}/enable")
    assert (await _link(merchant, link.link_id)).status is LinkStatus.ACTIVE
    assert "Close Maps for all for good?" in reader(await browser.get(f"{path}/archive")).text
    await browser.post(f"{path}/archive")
    assert (await _link(merchant, link.link_id)).status is LinkStatus.ARCHIVED
    assert "Switch" not in (await browser.get(path)).text
    assert (await browser.get(f"{path}/edit")).status_code == 422
    async with merchant.db.read() as tx:
        told = await tx.fetchval("SELECT count(*) FROM events WHERE type = 'payment.link.archived'")
    assert told == 1
    log = reader(await browser.get("/dashboard/test/audit")).text
    for what in ("link.created", "link.disabled", "link.enabled", "link.archived"):
        assert what in log


async def test_the_qr_code_is_there_as_png_and_as_svg(browser: Browser, merchant: Merchant) -> None:
    link = await _made(browser, merchant)
    png = await browser.get(f"{NEW}/{link.link_id}/qr.png")
    with Image.open(io.BytesIO(png.content)) as drawn:
        assert drawn.width > 500
    assert f'filename="{link.link_id}.png"' in png.headers["content-disposition"]
    svg = await browser.get(f"{NEW}/{link.link_id}/qr.svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert svg.content.startswith(b"<?xml")


async def test_statistics_count_payers_and_neither_programs_nor_the_merchant(
    browser: Browser, merchant: Merchant
) -> None:
    link = await _made(browser, merchant)
    visits = Visits(merchant.db)
    pages = Pages.load()
    app = Starlette(routes=checkout.routes(merchant.db, merchant.desk, pages, visits=visits))
    person = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"}
    async with AsyncClient(transport=ASGITransport(app=app), base_url=PUBLIC_URL) as payer:
        for headers in (
            person,
            person,
            {"user-agent": "Googlebot/2.1"},
            {"user-agent": "WhatsApp/2.23"},
            {"user-agent": ""},
            {**person, "sec-purpose": "prefetch;prerender"},
            {**person, "cookie": "gstable=abc"},
        ):
            assert (await payer.get(f"/link/{link.link_id}", headers=headers)).status_code == 200
        missing = await payer.get(f"/link/lnk_{'a' * 32}", headers=person)
        assert missing.status_code == 404
    await visits.write()
    await visits.write()
    session = await merchant.link_session(link)
    await merchant.link_session(link)
    await set_state(merchant.db, session, SessionState.PAID)
    page = reader(await browser.get(f"{NEW}/{link.link_id}?days=7"))
    assert "Opened2 Started2 Paid1 Paid of opened50%" in " ".join(page.text.split())


async def test_links_are_found_by_name_and_state(browser: Browser, merchant: Merchant) -> None:
    await _made(browser, merchant)
    other = await _made(browser, merchant, linkName="Tide tables")
    await browser.post(f"{NEW}/{other.link_id}/disable")
    for query, found in (
        ("q=TIDE", {"Tide tables"}),
        (f"q={other.link_id}", {"Tide tables"}),
        ("status=inactive", {"Tide tables"}),
        ("status=active", {"Maps for all"}),
        ("", {"Tide tables", "Maps for all"}),
    ):
        page = reader(await browser.get(f"{NEW}?{query}"))
        assert {one for one in ("Tide tables", "Maps for all") if one in page.text} == found


def _chosen(page: Reader) -> list[str]:
    return [at["value"] for tag, at in page.tags if tag == "option" and "selected" in at]


async def test_a_form_begins_with_what_was_chosen_last(
    browser: Browser, merchant: Merchant
) -> None:
    for path in ("/dashboard/test/links/new", "/dashboard/test/sessions/new"):
        assert "polygon::usdc" in _chosen(reader(await browser.get(path)))
    await _made(browser, merchant, settlementToken="polygon::usdt")
    for path in ("/dashboard/test/links/new", "/dashboard/test/sessions/new"):
        chosen = _chosen(reader(await browser.get(path)))
        assert "polygon::usdt" in chosen
        assert merchant.account.account_id in chosen


def test_who_never_chose_is_paid_in_usdc_where_the_least_is_worth_its_gas() -> None:
    [polygon] = new_desk().networks.all
    usdc, usdt = polygon.tokens
    dear = replace(polygon, x402=X402(amount_min=2_000_000))
    assert first_token(
        [replace(dear, tokens=(replace(usdc, token_id="dear::usdc"),)), polygon]
    ) == ("polygon::usdc")
    assert first_token([replace(polygon, tokens=(usdt, usdc))]) == "polygon::usdc"
    assert first_token([replace(polygon, tokens=(usdt,))]) == "polygon::usdt"
    assert first_token([]) == ""
