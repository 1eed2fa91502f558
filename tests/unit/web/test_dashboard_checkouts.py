"""Payment pages for one payer, made by hand in the console."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from PIL import Image

from gstable_server.accounts import operations as accounts
from gstable_server.kernel.paging import Page
from gstable_server.plumbing.db import Database
from gstable_server.sessions import operations as sessions
from tests.unit.web.console import Browser, reader, registered
from tests.unit.web.shop import PUBLIC_URL, WALLET, Merchant, new_desk

pytestmark = pytest.mark.anyio

NEW = "/dashboard/test/sessions/new"


@pytest.fixture
async def merchant(database: Database, browser: Browser) -> Merchant:
    merchant = await registered(database, new_desk(), browser)
    async with database.begin() as tx:
        account = await accounts.create_account(
            tx, merchant.tenant, merchant.desk.networks, "Till", WALLET
        )
    return replace(merchant, account=account)


def _bill(merchant: Merchant, **changes: str) -> dict[str, str]:
    return {
        "lineItems[0].productData.productName": "Invoice 1042",
        "lineItems[0].unitPrice": "120",
        "accountId": merchant.account.account_id,
        "settlementToken": "polygon::usdc",
        "feeModel": "1",
        "lifetime": "7d",
        **changes,
    }


async def test_a_bill_becomes_an_address_and_a_qr_code(
    browser: Browser, merchant: Merchant
) -> None:
    assert "Add a line" in (await browser.get(NEW)).text
    answer = await browser.post(NEW, **_bill(merchant, orderId="INV-1042", payerEmailRequired="1"))
    assert answer.status_code == 303, answer.text
    path = answer.headers["location"].partition("?")[0]
    async with merchant.db.read() as tx:
        _, [view] = await sessions.list_sessions(tx, merchant.tenant, None, Page(1, 10))
    session = view.session
    assert (session.amount, session.metadata) == (120_000_000, {"orderId": "INV-1042"})
    assert session.payer_email_required
    assert (session.expires_at - session.created_at).days == 7
    page = await browser.get(path)
    assert f"{PUBLIC_URL}/pay/{session.session_id}" in page.text
    png = await browser.get(path.replace("/page", "/qr.png"))
    with Image.open(io.BytesIO(png.content)) as drawn:
        assert drawn.width > 500
    assert "session.created" in reader(await browser.get("/dashboard/test/audit")).text


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"lineItems[0].productData.productName": ""}, "lineItems[0].productData.productName"),
        ({"lineItems[0].unitPrice": ""}, "lineItems[0].unitPrice"),
        ({"lineItems[0].quantity": "1.5"}, "lineItems[0].quantity"),
        ({"lineItems[0].unitPrice": "-1"}, "lineItems[0].unitPrice"),
        ({"successUrl": "javascript:alert(1)"}, "successUrl"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(
    browser: Browser, merchant: Merchant, changes: dict[str, str], wrong: str
) -> None:
    answer = await browser.post(NEW, **_bill(merchant, orderId="INV-1042", **changes))
    page = reader(answer)
    assert answer.status_code == 422
    assert [at["name"] for _, at in page.tags if at.get("aria-invalid")] == [wrong]
    assert page.field("orderId")["value"] == "INV-1042"


async def test_a_line_more_opens_nothing(browser: Browser, merchant: Merchant) -> None:
    page = reader(await browser.post(f"{NEW}/more", **_bill(merchant)))
    assert page.field("lineItems[0].unitPrice")["value"] == "120"
    assert page.field("lineItems[1].unitPrice")["value"] == ""
    async with merchant.db.read() as tx:
        assert (await sessions.list_sessions(tx, merchant.tenant, None, Page(1, 10)))[0] == 0
